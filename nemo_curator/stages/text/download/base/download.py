"""`DocumentDownloader`: from a URL to a local file, complete or not there; and the stage that calls it."""

from __future__ import annotations

import contextlib
import logging
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from nemo_curator.errors import DataError, OptionError, OutputError, TransientError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.part import DownloadPart
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.atomic_io import atomic_path

__all__ = ["DocumentDownloadStage", "DocumentDownloader"]

_log = logging.getLogger(__name__)


class DocumentDownloader(DownloadPart, ABC):
    """Brings what is behind a URL to the local disk. Picklable; it is called in workers, of several processes at once.

    Args:
        download_dir: Where files go; made when it is needed. A relative path is resolved here, so that it means the same in every worker.
        verbose: Log every file that is downloaded or already there.
    """

    def __init__(self, download_dir: str, verbose: bool = False) -> None:
        self._download_dir = os.path.abspath(os.path.expanduser(download_dir))
        self._verbose = verbose

    @abstractmethod
    def _get_output_filename(self, url: str) -> str:
        """Return the name of the file for a URL, without a folder; different URLs, different names."""

    @abstractmethod
    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        """Write what is behind the URL to `path`, which does not exist, and return ``(True, None)``.

        Return ``(False, why)`` if it cannot be had. `path` is a temporary name: what was written of it is removed on failure,
        and renamed when all is there.
        """

    def num_workers_per_node(self) -> int | None:
        """Return how many downloads may run on a node at once; `None` for as many as help."""
        return None

    def download(self, url: str) -> str | None:
        """Return the path of the file with the content of a URL; a file that is there and not empty is not downloaded again.

        Returns:
            `None`, after an error in the log, when it could not be downloaded.
        """
        path, problem = self.try_download(url)
        if path is None:
            _log.error("%s was not downloaded: %s", url, problem)
        return path

    def try_download(self, url: str) -> tuple[str | None, str | None]:
        """Return the path, or why there is none.

        Raises:
            OutputError: The folder cannot be made or written to, which would be so for every URL.
        """
        path = os.path.join(self._download_dir, self._file_name(url))
        if os.path.exists(path) and os.path.getsize(path) > 0:
            self._say("%s is there already, as %s", url, path)
            return path, None
        try:
            os.makedirs(self._download_dir, exist_ok=True)
            with contextlib.ExitStack() as cleanup:
                temporary = cleanup.enter_context(atomic_path(path))
                done, problem = self._download_to_path(url, temporary)
                if done and (not os.path.exists(temporary) or os.path.getsize(temporary) == 0):
                    done, problem = False, "there is nothing in it"
                if not done:
                    raise _NotDownloadedError(problem or "the downloader does not say why")
        except _NotDownloadedError as error:
            return None, str(error)
        except OSError as error:
            message = f"cannot write {path}: {error}. Check that the folder may be written to and that there is room"
            raise OutputError(message) from error
        self._say("%s was downloaded to %s", url, path)
        return path, None

    def _file_name(self, url: str) -> str:
        name = self._get_output_filename(url)
        if not name or name in {".", ".."} or "/" in name or "\0" in name:
            message = f"{type(self).__name__} names the file for {url} {name!r}, which is not the name of a file"
            raise DataError(message)
        return name

    def _say(self, message: str, *arguments: Any) -> None:
        if self._verbose:
            _log.info(message, *arguments)


class _NotDownloadedError(Exception):
    """The downloader returned that it failed."""


@dataclass
class DocumentDownloadStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Download the URLs of a task. Files that are there already are used, so an attempt after a crash costs what is missing.

    Attributes:
        downloader: Downloads one URL.
        on_failure: ``"drop"`` leaves out what cannot be downloaded; the report counts it as ``download_failed``. ``"raise"`` lets
            the task fail, so that the run's own rules for failures apply: further attempts, the end of the run, a retry manifest.
    """

    downloader: DocumentDownloader
    on_failure: Literal["drop", "raise"] = "drop"
    # Not annotated, so that they are not arguments of the constructor.
    resources = Resources(cpus=0.5)
    batch_size = None

    def __post_init__(self) -> None:
        self.name = f"download_{type(self.downloader).__name__.lower()}"
        if self.on_failure not in {"drop", "raise"}:
            message = f"stage {self.name!r}: on_failure must be 'drop' or 'raise', got {self.on_failure!r}"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry URLs."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry paths."""
        return ["data"], []

    def num_workers_per_node(self) -> float | None:
        """Return what the downloader says."""
        return self.downloader.num_workers_per_node()

    def check_before_run(self) -> None:
        """Ask the downloader."""
        self.downloader.check_before_run()

    def process(self, task: FileGroupTask) -> FileGroupTask | None:
        """Return a task with the paths of what was downloaded; nothing if nothing was.

        Raises:
            TransientError: Something could not be downloaded and `on_failure` is ``"raise"``.
            OutputError: The folder cannot be written to.
        """
        paths: list[str] = []
        for url in task.data:
            path, problem = self.downloader.try_download(str(url))
            if path is not None:
                paths.append(path)
                continue
            message = f"stage {self.name!r}: {url} was not downloaded: {problem}"
            if self.on_failure == "raise":
                raise TransientError(message)
            _log.error("%s; it is left out", message)
            self.record_drops("download_failed", 1)
        if not paths:
            return None
        return FileGroupTask(
            dataset_name=task.dataset_name,
            data=paths,
            _metadata={**task._metadata, "source_files": list(paths)},
            reader_config=task.reader_config,
        )
