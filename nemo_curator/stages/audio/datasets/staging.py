"""Recordings of a published data set on the local disk: what is there, or what an archive brings."""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from itertools import islice

from nemo_curator.errors import DataError
from nemo_curator.utils.archives import ArchiveLimits, iter_tar_files
from nemo_curator.utils.atomic_io import atomic_path
from nemo_curator.utils.http_fetch import HttpPolicy, fetch_to

__all__ = ["AUDIO_EXTENSIONS", "fetch_file", "unpack_recordings"]

AUDIO_EXTENSIONS = (".wav", ".flac", ".mp3", ".ogg")
"""What recordings of data sets are called like."""


def fetch_file(url: str, path: str, policy: HttpPolicy) -> None:
    """Fetch a URL to a file, unless it is there; it appears complete.

    Raises:
        InputError: There is no such content.
        DataError: It is not acceptable.
        TransientError: Every attempt failed.
    """
    if os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_path(path) as partial, open(partial, "w+b") as sink:
        fetch_to(url, sink, policy)


def unpack_recordings(archive: str, folder: str, *, most: int | None = None) -> None:
    """Unpack the recordings of a tar archive into a folder, without its folders; the folder appears complete, and stays if it is there.

    Args:
        archive: The file, compressed in any way that tarfile knows.
        folder: Where they go.
        most: Recordings to take, the first of the archive.

    Raises:
        DataError: It is no archive, or holds no recordings; it is removed, so that another attempt fetches it anew.
    """
    parent = os.path.dirname(folder)
    os.makedirs(parent, exist_ok=True)
    building = tempfile.mkdtemp(prefix=f".{os.path.basename(folder)}.", dir=parent)
    try:
        with open(archive, "rb") as stream:
            members = iter_tar_files(
                stream, archive, ArchiveLimits(), lambda name, _size: name.lower().endswith(AUDIO_EXTENSIONS)
            )
            number = 0
            for name, content in islice(members, most):
                number += 1
                with open(os.path.join(building, posixpath.basename(name)), "wb") as handle:
                    handle.write(content)
        if not number:
            message = f"{archive} holds no recordings; download it again"
            raise DataError(message)
        os.chmod(building, 0o755)  # noqa: S103 - like any folder; temporary ones are private
        if not os.path.isdir(folder):
            os.rename(building, folder)
    except DataError:
        os.unlink(archive)
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
