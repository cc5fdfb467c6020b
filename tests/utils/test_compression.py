from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.utils.compression import (
    CompressionError,
    compressed_writer,
    compression_of,
    decompress,
    extensions_of,
    known_method,
    suffix_for,
)

METHODS = ["gzip", "bz2", "xz", "zstd", "lz4"]


def compress(data: bytes, method: str) -> bytes:
    handle = io.BytesIO()
    with compressed_writer(handle, method) as stream:
        stream.write(data)
    return handle.getvalue()


@pytest.mark.parametrize("method", METHODS)
@given(data=st.binary(max_size=200))
def test_what_is_compressed_comes_back(method: str, data: bytes) -> None:
    assert decompress(compress(data, method), method) == data


@pytest.mark.parametrize("method", METHODS)
def test_the_same_content_gives_the_same_bytes(method: str) -> None:
    assert compress(b"text" * 100, method) == compress(b"text" * 100, method)


@pytest.mark.parametrize("method", METHODS)
def test_files_joined_together_are_read_to_the_end(method: str) -> None:
    assert decompress(compress(b"one", method) + compress(b"two", method), method) == b"onetwo"


@pytest.mark.parametrize("method", METHODS)
def test_a_file_that_was_cut_off_is_refused(method: str) -> None:
    data = compress(bytes(range(256)) * 50, method)
    for length in (len(data) // 2, len(data) - 3):
        with pytest.raises(CompressionError, match=r"cut off|cannot be read"):
            decompress(data[:length], method)


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_or_foreign_file_is_refused(method: str) -> None:
    with pytest.raises(CompressionError, match="it is empty"):
        decompress(b"", method)
    with pytest.raises(CompressionError, match=f"its {method} stream cannot be read"):
        decompress(b'{"a": 1}\n' * 10, method)


def test_no_compression_passes_bytes_through() -> None:
    handle = io.BytesIO()
    with compressed_writer(handle, None) as stream:
        stream.write(b"text")
    assert handle.getvalue() == b"text"


@pytest.mark.parametrize(
    ("name", "method", "extensions"),
    [
        ("a.jsonl", None, (".jsonl",)),
        ("a.JSONL.GZ", "gzip", (".gz", ".jsonl")),
        ("s3://b/a.parquet.zst", "zstd", (".zst", ".parquet")),
        ("a.gz", "gzip", (".gz",)),
        ("a", None, ("",)),
    ],
)
def test_names_tell_compression_and_extension(name: str, method: str | None, extensions: tuple[str, ...]) -> None:
    assert (compression_of(name), extensions_of(name)) == (method, extensions)


def test_methods_have_other_names_and_suffixes() -> None:
    assert [known_method(name) for name in ("gz", "GZIP", "lzma", "zst")] == ["gzip", "gzip", "xz", "zstd"]
    assert [suffix_for(method) for method in (None, "gzip", "zstd")] == ["", ".gz", ".zst"]
    with pytest.raises(ValueError, match=re.escape("compression 'rar' is not known; known: gzip, bz2, xz, zstd, lz4")):
        known_method("rar")


@pytest.mark.parametrize("method", METHODS)
def test_no_more_is_unpacked_than_is_wanted(method: str) -> None:
    data = compress(b"x" * 10**6, method)
    assert decompress(data, method, limit=100) == b"x" * 101
    assert decompress(data, method, limit=10**6) == b"x" * 10**6
    with pytest.raises(CompressionError):
        decompress(data[: len(data) // 2], method, limit=10**6)
    with pytest.raises(CompressionError):
        decompress(b"nothing of that kind", method, limit=100)
