"""`CreateInitialManifestFleursStage`: FLEURS as audio entries."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.audio.common.places import absolute, check_writable, require_text
from nemo_curator.stages.audio.datasets.staging import fetch_file, unpack_recordings
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, EmptyTask
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["CreateInitialManifestFleursStage"]

_SPLITS = ("train", "dev", "test")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[a-z]+)+")
_COLUMNS = 7
_HUB = "https://huggingface.co/datasets/google/fleurs/resolve/main/data"


@dataclass
class CreateInitialManifestFleursStage(ProcessingStage[EmptyTask, AudioTask]):
    """Make an entry of every sentence of FLEURS (Conneau et al. 2022, arXiv 2205.12446; CC BY 4.0) in one language and split.

    Looks for ``<raw_data_dir>/<lang>/<split>.tsv`` and the recordings in the folder ``<raw_data_dir>/<lang>/<split>``. What is missing is
    downloaded, if that is allowed, and appears there complete. Sentences without a recording are counted as ``no_recording`` and left out.

    Attributes:
        lang: As FLEURS calls it: ``hy_am``.
        split: ``train``, ``dev`` or ``test``.
        raw_data_dir: The folder.
        filepath_key: Key for the path of the recording.
        text_key: Key for the sentence, with its punctuation and capitals.
        cache_dir: A folder in which downloaded archives are kept; without one they are removed once they are unpacked.
        auto_download: Whether the network may be used.
        base_url: What is before ``/<lang>/<split>.tsv`` and ``/<lang>/audio/<split>.tar.gz``.
        policy: How hard to try.
    """

    lang: str
    split: str
    raw_data_dir: str
    filepath_key: str = "audio_filepath"
    text_key: str = "text"
    cache_dir: str | None = None
    auto_download: bool = True
    name: str = "create_initial_manifest_fleurs"
    base_url: str = field(default=_HUB, kw_only=True)
    policy: HttpPolicy = field(default_factory=HttpPolicy, kw_only=True)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("lang", "split", "raw_data_dir", "filepath_key", "text_key")}
        require_text(self.name, **given)
        # Both become parts of paths.
        if not _LANGUAGE.fullmatch(self.lang):
            message = (
                f"stage {self.name!r}: lang must be a language as FLEURS calls it, such as 'en_us', got {self.lang!r}"
            )
            raise OptionError(message)
        if self.split not in _SPLITS:
            message = f"stage {self.name!r}: split must be one of {', '.join(_SPLITS)}, got {self.split!r}"
            raise OptionError(message)
        self.raw_data_dir = absolute(self.raw_data_dir)
        self.cache_dir = None if self.cache_dir is None else absolute(self.cache_dir)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of an entry."""
        return ["data"], [self.filepath_key, self.text_key]

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    @property
    def _table(self) -> str:
        return os.path.join(self.raw_data_dir, self.lang, f"{self.split}.tsv")

    @property
    def _folder(self) -> str:
        return os.path.join(self.raw_data_dir, self.lang, self.split)

    def check_before_run(self) -> None:
        """Raise `InputError` if something is not there and must not be downloaded, `OutputError` if it cannot be put there."""
        if self.auto_download:
            check_writable(self.name, self.raw_data_dir)
        else:
            self._check_staged()

    def _check_staged(self) -> None:
        for path, is_there in ((self._table, os.path.isfile), (self._folder, os.path.isdir)):
            if not is_there(path):
                message = f"stage {self.name!r}: there is no {path}, and auto_download=False; put it there, or allow the download"
                raise InputError(message)

    def process(self, task: EmptyTask) -> list[AudioTask]:
        """Return the entries, in the order of the table.

        Raises:
            InputError: Something is not there, here or on the hub.
            DataError: What was downloaded is not what it should be, or a line of the table has too few columns.
            TransientError: The hub cannot be reached.
        """
        if self.auto_download:
            self._stage()
        else:
            self._check_staged()
        entries: list[AudioTask] = []
        with open(self._table, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                columns = line.rstrip("\r\n").split("\t")
                if len(columns) < _COLUMNS:
                    message = f"stage {self.name!r}: line {number} of {self._table} has {len(columns)} columns, FLEURS has {_COLUMNS}; download it anew"
                    raise DataError(message)
                path = os.path.join(self._folder, os.path.basename(columns[1]))
                if os.path.isfile(path):
                    data: dict[str, Any] = {self.filepath_key: path, self.text_key: columns[2]}
                    entries.append(AudioTask(dataset_name=f"fleurs_{self.lang}_{self.split}", data=data))
                else:
                    self.record_drops("no_recording", 1)
        return entries

    def _stage(self) -> None:
        """Download what is missing."""
        fetch_file(f"{self.base_url}/{self.lang}/{self.split}.tsv", self._table, self.policy)
        if os.path.isdir(self._folder):
            return
        kept = self.cache_dir or os.path.join(self.raw_data_dir, self.lang)
        archive = os.path.join(kept, f"fleurs_{self.lang}_{self.split}.tar.gz")
        fetch_file(f"{self.base_url}/{self.lang}/audio/{self.split}.tar.gz", archive, self.policy)
        unpack_recordings(archive, self._folder)
        if self.cache_dir is None:
            os.unlink(archive)
