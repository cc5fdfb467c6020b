"""What URL generators, downloaders, iterators and extractors have in common."""

from __future__ import annotations

__all__ = ["DownloadPart"]


class DownloadPart:
    """A part of a download: picklable, and used by a stage in its workers."""

    def check_before_run(self) -> None:
        """Look whether it can work, and raise a `CuratorError` if not, such as `MissingExtra`. The default finds nothing.

        Driver side, once, before the run. It must be quick, change nothing and not use the network.
        """
