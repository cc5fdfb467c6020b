"""Files that say which parts of some work are complete, kept in a checkpoint, so that only the others are done again.

Whoever has done a part lays down a file that is named after what the part is; doing it twice leaves one file. All files of one kind are in
one folder, where whoever plans the next attempt reads them. The folder is on a disk that all of them see: the local one, NFS, Lustre.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from nemo_curator.errors import CheckpointError, DataError, OptionError
from nemo_curator.utils.atomic_io import write_json_atomically
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import METADATA_DIRNAME, local_path

__all__ = [
    "METADATA_DIRNAME",
    "CompletionManifest",
    "CompletionManifestRecord",
    "metadata_folder",
    "read_completion_manifests",
    "safe_name",
]

_COMPLETED = "completed"


def metadata_folder(checkpoint_path: str | os.PathLike[str]) -> Path:
    """Return the folder in a checkpoint that is this package's own; it need not exist.

    Raises:
        OptionError: The checkpoint is not on a disk.
    """
    path = os.fspath(checkpoint_path)
    if is_remote_url(path):
        message = (
            f"checkpoint {path} is not on a disk, and manifests and markers are kept on disks only; choose a folder that all nodes see, "
            "on NFS or Lustre"
        )
        raise OptionError(message)
    return Path(local_path(path), METADATA_DIRNAME)


def safe_name(name: str) -> str:
    """Return a name with ``_`` for every character other than letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


@dataclass(frozen=True, slots=True)
class CompletionManifest:
    """The file that says that one part of some work is complete. As a context manager it is written if the block ends without an exception.

    Attributes:
        checkpoint_path: A folder on a disk, made if it is not there. `None` disables the manifest.
        namespace: What kind of work it is. Kinds whose names differ only in special characters are one.
        identity: What the part is, in values that JSON knows. The name of the file is made from it.
        metadata: What else to write down.
        completion_dirname: The folder's name in the metadata of the checkpoint; ``.<namespace>_completion`` when not given.
        enabled: Whether anything is written at all.
        flatten_identity: Whether the identity's keys stand beside the others, and not under ``identity``.
        flatten_metadata: Whether the metadata's keys stand beside the others, and not under ``metadata``.

    Raises:
        OptionError: The identity or metadata is not JSON, a key would stand there twice, or the checkpoint is not on a disk.
    """

    checkpoint_path: str | os.PathLike[str] | None
    namespace: str
    identity: Mapping[str, object]
    _: KW_ONLY
    metadata: Mapping[str, object] | None = None
    completion_dirname: str | None = None
    enabled: bool = True
    flatten_identity: bool = True
    flatten_metadata: bool = False

    def __post_init__(self) -> None:
        # What cannot be written is said before the work, and not after it.
        self._as_json(self._payload(None))
        _ = self.path

    @property
    def path(self) -> Path | None:
        """The file, whether it is there or not; `None` when the manifest is disabled."""
        if self.checkpoint_path is None or not self.enabled:
            return None
        digest = hashlib.sha256(self._as_json(self.identity).encode()).hexdigest()[:16]
        folder = _folder(self.checkpoint_path, self.namespace, self.completion_dirname)
        return folder / f"{_COMPLETED}_{safe_name(self.namespace)}_{digest}.json"

    def mark_completed(self, extra: Mapping[str, object] | None = None) -> Path | None:
        """Write the file, over one that is there, and return its path; `None` when the manifest is disabled.

        Args:
            extra: What only the end of the work could tell, to be written beside the rest.

        Raises:
            OptionError: `extra` is not JSON, or has a key that is there already.
            CheckpointError: The file cannot be written.
        """
        path = self.path
        if path is None:
            return None
        payload = self._payload(extra)
        self._as_json(payload)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomically(path, payload, indent=2)
        except OSError as error:
            message = f"{path} cannot be written: {error}. The work itself is done; make room or mend the disk, and run it again"
            raise CheckpointError(message) from error
        return path

    def withdraw(self) -> None:
        """Remove the file, if it is there. For whoever begins the part once more and may not come to its end.

        Raises:
            CheckpointError: The file cannot be removed.
        """
        path = self.path
        try:
            if path is not None:
                path.unlink(missing_ok=True)
        except OSError as error:
            message = f"{path} cannot be removed: {error}. It says that work is complete which begins again; delete it"
            raise CheckpointError(message) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.mark_completed()

    def _payload(self, extra: Mapping[str, object] | None) -> dict[str, object]:
        metadata = self.metadata
        if metadata is not None and not self.flatten_metadata:
            metadata = {"metadata": dict(metadata)}
        identity = self.identity if self.flatten_identity else {"identity": dict(self.identity)}
        parts = [identity, metadata or {}, extra or {}, {"status": _COMPLETED}]
        keys = [key for part in parts for key in part]
        twice = sorted({repr(key) for key in keys if keys.count(key) > 1})
        if twice:
            message = (
                f"a completion manifest of {self.namespace!r} would hold {', '.join(twice)} twice: the keys of identity, metadata and extra "
                "must differ, and 'status' is taken; rename one of them"
            )
            raise OptionError(message)
        return {key: value for part in parts for key, value in part.items()}

    def _as_json(self, value: Mapping[str, object]) -> str:
        try:
            return json.dumps(dict(value), sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            message = f"what a completion manifest of {self.namespace!r} should hold cannot be written as JSON: {error}"
            raise OptionError(message) from error


@dataclass(frozen=True, slots=True)
class CompletionManifestRecord:
    """A completion manifest that was found.

    Attributes:
        path: The file.
        payload: All that it holds.
    """

    path: Path
    payload: dict[str, Any]


def read_completion_manifests(
    checkpoint_path: str | os.PathLike[str], *, namespace: str, completion_dirname: str | None = None
) -> list[CompletionManifestRecord]:
    """Return the completion manifests of a kind of work, in the order of their names; none where there is no folder.

    Args:
        checkpoint_path: As it was given to `CompletionManifest`.
        namespace: As it was given to `CompletionManifest`.
        completion_dirname: As it was given to `CompletionManifest`.

    Raises:
        DataError: A file cannot be read, or says something else than that its part is complete. A `ValueError`.
        TypeError: A file holds JSON of another shape.
    """
    folder = _folder(checkpoint_path, namespace, completion_dirname)
    # A folder may be shared: what ends in another word and a digest belongs to a longer namespace.
    ours = re.compile(rf"{_COMPLETED}_{re.escape(safe_name(namespace))}_(?!.+_[0-9a-f]{{16}}\.json$).*\.json")
    try:
        names = sorted(name for name in os.listdir(folder) if ours.fullmatch(name))
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"{folder} cannot be read: {error}. Completion manifests should be there; mend it, or delete it to do all again"
        raise DataError(message) from error
    return [CompletionManifestRecord(folder / name, _read(folder / name)) for name in names]


def _read(path: Path) -> dict[str, Any]:
    advice = "delete it, and what it stands for is done again"
    try:
        payload: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} cannot be read as a completion manifest: {error}; {advice}"
        raise DataError(message) from error
    if not isinstance(payload, dict):
        message = f"{path} is not a completion manifest: an object was expected, and it holds a {type(payload).__name__}; {advice}"
        raise TypeError(message)
    fields = cast("dict[str, Any]", payload)
    status = fields.get("status")
    if not isinstance(status, str):
        message = (
            f"{path} is not a completion manifest: its status should be {_COMPLETED!r}, and is {status!r}; {advice}"
        )
        raise TypeError(message)
    if status != _COMPLETED:
        message = f"{path} has the status {status!r}, and only {_COMPLETED!r} is ever written there; {advice}"
        raise DataError(message)
    return fields


def _folder(checkpoint_path: str | os.PathLike[str], namespace: str, completion_dirname: str | None) -> Path:
    name = completion_dirname or f".{safe_name(namespace)}_completion"
    if not namespace or name in {".", ".."} or "/" in name:
        message = (
            f"a namespace and the plain name of a folder were expected, got {namespace!r} and {completion_dirname!r}"
        )
        raise OptionError(message)
    return metadata_folder(checkpoint_path) / name
