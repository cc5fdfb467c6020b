from __future__ import annotations

import pytest

from nemo_curator.utils.byte_sizes import format_bytes, parse_bytes_string_to_int


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100", 100),
        ("100 MB", 100_000_000),
        ("100M", 100_000_000),
        ("5kB", 5_000),
        ("5.4 kB", 5_400),
        ("1kiB", 1_024),
        ("1Ki", 1_024),
        ("1e6", 1_000_000),
        ("1e6 kB", 1_000_000_000),
        ("MB", 1_000_000),
        ("gib", 1_073_741_824),
        ("2 PB", 2 * 1000**5),
        (".5GB", 500_000_000),
        ("7B", 7),
        (123, 123),
        (12.7, 12),
    ],
)
def test_sizes_are_parsed(text: float | str, size: int) -> None:
    assert parse_bytes_string_to_int(text) == size


@pytest.mark.parametrize("text", ["", "5 foos", "MB5", "1.2.3MB", "-1MB", "MBB", "1e"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size in bytes; write it like"):
        parse_bytes_string_to_int(text)


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (5 * 1000**6, "5000.0 PB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text
