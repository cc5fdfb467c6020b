"""Files and folders on any filesystem: find, list, read, check and clear them."""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.utils.archives import tar_safe_extract
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.byte_sizes import parse_bytes_string_to_int
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, normalize_extensions, resolve_url

if TYPE_CHECKING:
    import pandas as pd
    from fsspec import AbstractFileSystem

__all__ = [
    "FILETYPE_TO_DEFAULT_EXTENSIONS",
    "check_disallowed_kwargs",
    "check_output_mode",
    "create_or_overwrite_dir",
    "delete_dir",
    "filter_files_by_extension",
    "get_all_file_paths_and_size_under",
    "get_all_file_paths_under",
    "get_default_file_extensions",
    "get_fs",
    "infer_dataset_name_from_path",
    "infer_protocol_from_paths",
    "is_not_empty",
    "pandas_select_columns",
    "parse_bytes_string_to_int",
    "read_json_file",
    "tar_safe_extract",
    "write_json_file",
]

_log = logging.getLogger(__name__)

FILETYPE_TO_DEFAULT_EXTENSIONS = {
    "parquet": [".parquet"],
    "jsonl": [".jsonl", ".json"],
    "megatron": [".bin", ".idx"],
}


def get_default_file_extensions(filetype: str) -> list[str]:
    """Return the extensions of a kind of file.

    Raises:
        ValueError: No such kind.
    """
    if filetype not in FILETYPE_TO_DEFAULT_EXTENSIONS:
        message = f"file type {filetype!r} is not known; known: {', '.join(FILETYPE_TO_DEFAULT_EXTENSIONS)}"
        raise ValueError(message)
    return list(FILETYPE_TO_DEFAULT_EXTENSIONS[filetype])


def get_fs(path: str, storage_options: dict[str, Any] | None = None) -> AbstractFileSystem:
    """Return the fsspec filesystem that `path` is on."""
    return resolve_url(path, storage_options)[0]


def _filesystem_for(
    path: str, fs: AbstractFileSystem | None, storage_options: dict[str, Any] | None
) -> tuple[AbstractFileSystem, str]:
    if fs is not None and storage_options:
        message = "give either fs or storage_options, not both"
        raise ValueError(message)
    if fs is None:
        return resolve_url(path, storage_options)
    return fs, str(fs._strip_protocol(path))


def is_not_empty(
    path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None
) -> bool:
    """Say whether `path` is a folder with something in it."""
    fs, path = _filesystem_for(path, fs, storage_options)
    return fs.exists(path) and fs.isdir(path) and bool(fs.ls(path, detail=False))


def delete_dir(path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None) -> None:
    """Delete a folder and everything in it; nothing happens when there is no such folder."""
    fs, path = _filesystem_for(path, fs, storage_options)
    if fs.exists(path) and fs.isdir(path):
        fs.rm(path, recursive=True)


def create_or_overwrite_dir(
    path: str, fs: AbstractFileSystem | None = None, storage_options: dict[str, Any] | None = None
) -> None:
    """Make an empty folder at `path`; what was in it is deleted."""
    fs, path = _filesystem_for(path, fs, storage_options)
    if is_not_empty(path, fs=fs):
        _log.warning("deleting everything in %s", path)
        delete_dir(path, fs=fs)
    fs.makedirs(path, exist_ok=True)


def check_output_mode(mode: str, fs: AbstractFileSystem, path: str, append_mode_implemented: bool = False) -> None:
    """Prepare an output folder, at once: ``"overwrite"`` deletes what is in it now.

    Call it only where that is meant. The writers of this package do not: building a stage changes nothing, and they never
    delete what an earlier run finished.

    Raises:
        ValueError: No such mode.
        FileExistsError: The mode is ``"error"`` and the folder exists.
        NotImplementedError: The mode is ``"append"`` and the caller does not implement it.
    """
    known = ("ignore", "overwrite", "append", "error")
    if mode not in known:
        message = f"mode {mode!r} is not known; known: {', '.join(known)}"
        raise ValueError(message)
    if mode == "append" and not append_mode_implemented:
        message = f"mode 'append' is not implemented for {path}; use 'ignore', which leaves other files alone"
        raise NotImplementedError(message)
    if mode == "error" and fs.exists(path):
        message = f"{path} exists; choose another output folder, or mode='ignore' to write into it"
        raise FileExistsError(message)
    if mode == "overwrite":
        delete_dir(path, fs=fs)
    fs.makedirs(path, exist_ok=True)


def filter_files_by_extension(files: Iterable[str], extensions: str | Iterable[str]) -> list[str]:
    """Return the files that end in one of the extensions, in their order; a warning counts the others.

    The dot is optional, case does not matter, and ``.jsonl.gz`` counts as ``.jsonl``.
    """
    wanted = normalize_extensions(extensions)
    given = list(files)
    kept = [path for path in given if has_extension(path, wanted)]
    if len(kept) < len(given):
        _log.warning(
            "left out %d of %d files: they do not end in %s", len(given) - len(kept), len(given), ", ".join(wanted)
        )
    return kept


def get_all_file_paths_under(
    path: str,
    recurse_subdirectories: bool = False,
    keep_extensions: str | list[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    fs: AbstractFileSystem | None = None,
) -> list[str]:
    """Return the files of a folder (or the file itself, or the matches of a glob pattern), sorted."""
    found = iter_files(path, recurse=recurse_subdirectories, storage_options=storage_options, fs=fs)
    paths = sorted(file.path for file in found)
    return paths if keep_extensions is None else filter_files_by_extension(paths, keep_extensions)


def get_all_file_paths_and_size_under(
    path: str,
    recurse_subdirectories: bool = False,
    keep_extensions: str | list[str] | None = None,
    storage_options: dict[str, Any] | None = None,
    fs: AbstractFileSystem | None = None,
    sort_by_size: bool = True,
) -> list[tuple[str, int]]:
    """Return the files with their sizes (-1: not known), by size and then path, or by path."""
    found = iter_files(path, recurse=recurse_subdirectories, storage_options=storage_options, fs=fs)
    pairs = [(file.path, file.size) for file in found]
    if keep_extensions is not None:
        kept = set(filter_files_by_extension([name for name, _ in pairs], keep_extensions))
        pairs = [pair for pair in pairs if pair[0] in kept]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]) if sort_by_size else (0, pair[0]))


def infer_protocol_from_paths(paths: Iterable[str]) -> str | None:
    """Return the protocol of the first path that has one, without ``://``."""
    return next((path.partition("://")[0] for path in paths if "://" in path), None)


def infer_dataset_name_from_path(path: str, *, path_kind: Literal["file", "directory"] = "file") -> str:
    """Return a name for a data set: the lower-cased name of the folder.

    For a local file the folder that it is in, or its own stem when it is in none; for a URL of a file, as for a folder, the
    last part of the path.
    """
    if is_remote_url(path) or path_kind == "directory":
        return posixpath.basename(path.rstrip("/")).lower()
    folder, name = posixpath.split(path.replace("\\", "/"))
    return (posixpath.basename(folder) or posixpath.splitext(name)[0]).lower()


def pandas_select_columns(frame: pd.DataFrame, columns: list[str] | None, path: str) -> pd.DataFrame | None:
    """Return the columns that are there, in the order asked for; a warning names the others.

    Returns:
        `None`, after an error in the log, when none of them is there.
    """
    if columns is None:
        return frame
    present = [name for name in columns if name in frame.columns]
    missing = [name for name in columns if name not in frame.columns]
    there = ", ".join(map(str, frame.columns))
    if not present:
        _log.error("%s has none of the columns %s; it has: %s", path, ", ".join(missing), there)
        return None
    if missing:
        _log.warning("%s has no column %s; it has: %s", path, ", ".join(missing), there)
    return frame[present]


def check_disallowed_kwargs(
    kwargs: Mapping[str, Any], disallowed_keys: Iterable[str], raise_error: bool = True
) -> None:
    """Refuse keys that the caller sets itself.

    Raises:
        ValueError: One of them is there; a warning instead unless `raise_error`.
    """
    clashing = sorted(set(disallowed_keys) & set(kwargs))
    if not clashing:
        return
    message = f"{', '.join(clashing)} cannot be given here: it is set already"
    if raise_error:
        raise ValueError(message)
    _log.warning("%s", message)


def read_json_file(path: str, fs: AbstractFileSystem | None = None) -> Any:
    """Return the content of a JSON file."""
    fs, path = _filesystem_for(path, fs, None)
    with fs.open(path, "rb") as handle:
        return json.load(handle)


def write_json_file(path: str, payload: object, fs: AbstractFileSystem | None = None) -> None:
    """Write a JSON file; it is complete or not there. The folder is made."""
    fs, path = _filesystem_for(path, fs, None)
    fs.makedirs(fs._parent(path), exist_ok=True)
    with atomic_output(path, fs=fs, mode="w") as handle:
        json.dump(payload, handle)
