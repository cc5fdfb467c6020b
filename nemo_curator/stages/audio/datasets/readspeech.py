"""`CreateInitialManifestReadSpeechStage`: the read speech of the DNS Challenge as audio entries."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import InputError, OptionError
from nemo_curator.stages.audio.common.places import absolute, check_writable, require_text
from nemo_curator.stages.audio.datasets.staging import AUDIO_EXTENSIONS, fetch_file, unpack_recordings
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, EmptyTask
from nemo_curator.utils.file_listing import has_extension, iter_files
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["CreateInitialManifestReadSpeechStage"]

_ARCHIVE = (
    "https://dns4public.blob.core.windows.net/dns4archive/datasets_fullband/clean_fullband/"
    "datasets_fullband.clean_fullband.read_speech_000_0.00_3.75.tar.bz2"
)
_PARTS = re.compile(r"book_(?P<book_id>\d+)_chp_(?P<chapter_id>\d+)_reader_(?P<reader_id>\d+)")


@dataclass
class CreateInitialManifestReadSpeechStage(ProcessingStage[EmptyTask, AudioTask]):
    """Make an entry of every recording of LibriVox readers, without transcripts.

    They are those of the Deep Noise Suppression Challenge (Dubey et al. 2022, arXiv 2202.13288), at 48 kHz. Takes the recordings in `raw_data_dir` and below, in the order of their paths. If there are none, the first archive of the challenge, of
    some gigabytes, is downloaded, if that is allowed; of it `max_samples` recordings are kept in the folder ``read_speech``. Where its name
    says so, an entry has ``book_id``, ``chapter_id`` and ``reader_id`` too.

    Attributes:
        raw_data_dir: The folder.
        max_samples: Entries at most; `None` for all.
        auto_download: Whether the network may be used.
        filepath_key: Key for the path of the recording.
        archive_url: What is downloaded: a tar archive.
        policy: How hard to try.
    """

    raw_data_dir: str
    max_samples: int | None = 5000
    auto_download: bool = True
    filepath_key: str = "audio_filepath"
    name: str = "create_initial_manifest_readspeech"
    archive_url: str = field(default=_ARCHIVE, kw_only=True)
    policy: HttpPolicy = field(default_factory=HttpPolicy, kw_only=True)

    def __post_init__(self) -> None:
        require_text(self.name, raw_data_dir=self.raw_data_dir, filepath_key=self.filepath_key)
        if self.max_samples is not None and self.max_samples < 1:
            message = f"stage {self.name!r}: max_samples must be above 0, or None for all, got {self.max_samples}"
            raise OptionError(message)
        self.raw_data_dir = absolute(self.raw_data_dir)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys that every entry has."""
        return ["data"], [self.filepath_key]

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    def check_before_run(self) -> None:
        """Raise `InputError` if there are no recordings and none must be downloaded, `OutputError` if they cannot be put there."""
        if self.auto_download:
            check_writable(self.name, self.raw_data_dir)
        elif not self._is_staged():
            raise InputError(self._nothing())

    def _nothing(self) -> str:
        return f"stage {self.name!r}: there is no recording in {self.raw_data_dir}, and auto_download=False; put some there, or allow the download"

    def _is_staged(self) -> bool:
        return any(has_extension(file.path, AUDIO_EXTENSIONS) for file in iter_files(self.raw_data_dir, lazily=True))

    def process(self, task: EmptyTask) -> list[AudioTask]:
        """Return the entries, in the order of their paths.

        Raises:
            InputError: There are no recordings, here or in the archive.
            DataError: What was downloaded is not what it should be.
            TransientError: The archive cannot be fetched.
        """
        if not self._is_staged():
            if not self.auto_download:
                raise InputError(self._nothing())
            self._stage()
        found = (file.path for file in iter_files(self.raw_data_dir))
        paths = sorted(path for path in found if has_extension(path, AUDIO_EXTENSIONS))
        return [self._entry(path) for path in paths[: self.max_samples]]

    def _stage(self) -> None:
        archive = os.path.join(self.raw_data_dir, ".read_speech.tar")
        fetch_file(self.archive_url, archive, self.policy)
        unpack_recordings(archive, os.path.join(self.raw_data_dir, "read_speech"), most=self.max_samples)
        os.unlink(archive)

    def _entry(self, path: str) -> AudioTask:
        data: dict[str, Any] = {self.filepath_key: path}
        if told := _PARTS.search(os.path.basename(path)):
            data |= told.groupdict()
        return AudioTask(dataset_name="read_speech", data=data)
