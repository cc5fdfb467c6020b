"""The functions that stages and plain loops call alike. Standard library only."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

__all__ = ["WORK", "payloads", "small_texts", "sum_of", "swallow"]

_WORD = re.compile(r"\w+")
_SENTENCE = "the curator keeps what is worth keeping and drops the rest, and says why"
_PAYLOAD_BYTES = 100_000


def small_texts(count: int) -> Iterator[str]:
    """Yield short texts, all different."""
    for number in range(count):
        yield f"{number} {_SENTENCE}"


def noop(text: str) -> str:
    """Do nothing."""
    return text


def fingerprint(text: str) -> str:
    """Hash every word of a text several times over: about 0.3 ms of pure Python for a small text."""
    digest = 0
    for salt in range(16):
        for word in _WORD.findall(text):
            digest ^= hash_of(f"{salt}{word}")
    return f"{text} {digest:x}"[: len(text)]


def hash_of(word: str) -> int:
    """Return a number for a word."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


WORK: dict[str, Callable[[str], str]] = {"noop": noop, "fingerprint": fingerprint}
"""What a stage may do, by name."""


def sum_of(texts: Iterable[str]) -> str:
    """Return a sum over texts that no order changes."""
    return f"{sum(zlib.crc32(text.encode()) for text in texts):x}"


def payloads(count: int) -> Iterator[bytes]:
    """Yield payloads of 100 kB, all different. Takes a few microseconds each."""
    for number in range(count):
        yield number.to_bytes(8, "little") * (_PAYLOAD_BYTES // 8)


def swallow(payload: bytes) -> int:
    """Reduce a payload to a number. Takes more than a hundred times as long as making it."""
    digest = b""
    for _ in range(2):
        digest = hashlib.sha256(digest + payload).digest()
    return digest[0]
