"""How bytes come to the local disk: over HTTP, or from an object store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import IO, Any, cast

from nemo_curator.errors import DataError, TransientError, require
from nemo_curator.utils.file_utils import get_fs
from nemo_curator.utils.http_fetch import HttpPolicy, fetch_to

__all__ = ["download_from_store", "download_over_http", "require_s3"]

_CHUNK = 1 << 20


def download_over_http(url: str, path: str, policy: HttpPolicy) -> tuple[bool, str | None]:
    """Write the content of an http or https URL to a file; say whether it is there, or why not."""
    try:
        with open(path, "w+b") as sink:
            fetch_to(url, sink, policy)
    except (TransientError, DataError, FileNotFoundError) as error:
        return False, str(error)
    return True, None


def download_from_store(
    url: str, path: str, storage_options: Mapping[str, Any] | None = None
) -> tuple[bool, str | None]:
    """Write the content of a URL that fsspec knows to a file; say whether it is there, or why not."""
    options = dict(storage_options or {})
    try:
        fs = get_fs(url, options)
        expected = fs.size(url)
        source = cast("IO[bytes]", fs.open(url, "rb"))
    # Stores raise errors of their own kinds, from "access denied" to "no credentials".
    except Exception as error:
        return False, f"{url} cannot be opened: {type(error).__name__}: {error}. Check the name and the credentials"
    with source, open(path, "wb") as sink:
        try:
            shutil.copyfileobj(source, sink, _CHUNK)
        except Exception as error:
            return False, f"{url} broke off: {type(error).__name__}: {error}"
        received = sink.tell()
    if expected is not None and received != expected:
        return False, f"{url} ended after {received} of {expected} bytes"
    return True, None


def require_s3(purpose: str) -> None:
    """Raise `MissingExtra` unless S3 can be spoken to. Neither s5cmd nor any other program is needed."""
    require("s3fs", extra="s3", purpose=purpose)
