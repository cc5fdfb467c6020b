"""`Written`: the files that a run has written, and their commit when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.utils.output_manifest import RunOutput, WrittenFile

__all__ = ["FileNote", "PastFiles", "Progress", "Written"]


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file, who wrote it, and what is in it.

    Attributes:
        stage: Name of the stage.
        file: The file.
        sources: Names of the sources that it has something of; none if it was written before there were sources.
    """

    stage: str
    file: WrittenFile
    sources: tuple[str, ...]


@dataclass(slots=True)
class PastFiles:
    """What runs that this one goes on with have written, by stage.

    Attributes:
        whole: Files of sources that are finished, which this run will not write.
        loose: Paths of files of sources that are not. Most will be written again, under the same names.
    """

    whole: dict[str, dict[str, WrittenFile]] = field(default_factory=dict[str, dict[str, WrittenFile]])
    loose: dict[str, set[str]] = field(default_factory=dict[str, set[str]])


class Progress(Protocol):
    """Where a run notes how far it has come, for a later one to go on."""

    @property
    def files(self) -> PastFiles:
        """What earlier runs have written."""
        ...

    def note(self, written: Iterable[FileNote], finished: Iterable[str]) -> None:
        """Note files that were written, and then sources that are finished with them."""
        ...

    def forget(self) -> None:
        """Take back what this run has noted, as it begins again."""
        ...


class Written:
    """The driver's list of files.

    Args:
        plan: What runs.
        past: What the run goes on with.
    """

    def __init__(self, plan: ExecutionPlan, past: PastFiles | None = None) -> None:
        past = past or PastFiles()
        self._plan = plan
        self._files = {stage: dict(files) for stage, files in past.whole.items()}
        self._loose = {stage: set(paths) for stage, paths in past.loose.items()}
        self._now: dict[str, dict[str, WrittenFile]] = {}
        self._shares = False

    @property
    def shares_files(self) -> bool:
        """Whether a file of this run holds something of several sources."""
        return self._shares

    def add(self, receipt: Receipt) -> FileNote:
        """Enter a file; one of the same path takes its place."""
        assert receipt.written is not None
        self._shares |= len(receipt.claims) > 1
        self._now.setdefault(receipt.stage, {})[receipt.written.path] = receipt.written
        return FileNote(receipt.stage, receipt.written, tuple(source for source, _ in receipt.claims))

    def begin_again(self) -> None:
        """Forget what was written: it will be again, but perhaps in files of other names."""
        for stage, files in self._now.items():
            self._loose.setdefault(stage, set()).update(files)
        self._now = {}

    def commit(self, *, is_part: bool) -> None:
        """Let every stage commit what it has written. May raise what they raise."""
        for stage, files in self._now.items():
            self._files.setdefault(stage, {}).update(files)
        everything = frozenset(path for files in self._files.values() for path in files)
        shard = next((planned.sources.shard for planned in self._plan.stages if planned.sources is not None), None)
        for planned in self._plan.stages:
            own = tuple(self._files.get(planned.name, {}).values())
            stale = self._loose.get(planned.name, set()) - everything
            planned.stage.commit_output(
                RunOutput(self._plan.name, own, everything, tuple(sorted(stale)), is_part, shard)
            )
