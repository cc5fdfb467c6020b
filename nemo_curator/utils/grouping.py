"""Sequences cut into pieces."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["pairwise", "split_by_chunk_size", "split_into_n_chunks"]

T = TypeVar("T")


def split_by_chunk_size(
    iterable: Iterable[T],
    chunk_size: float,
    custom_size_func: Callable[[T], float] | None = None,
    *,
    drop_incomplete_chunk: bool = False,
) -> Iterator[list[T]]:
    """Yield lists of consecutive items; each ends with the item by which it has reached `chunk_size`.

    Args:
        iterable: The items, taken as they are needed.
        chunk_size: How large a list becomes; above 0.
        custom_size_func: The size of an item; 1 for each when not given.
        drop_incomplete_chunk: Leave the last list out if it has not reached that size.

    Raises:
        ValueError: `chunk_size` is not above 0.
    """
    if chunk_size <= 0:
        message = f"chunk_size must be above 0, got {chunk_size}"
        raise ValueError(message)
    return _chunks(iterable, chunk_size, custom_size_func or (lambda _: 1), drop_incomplete_chunk)


def _chunks(
    iterable: Iterable[T], chunk_size: float, size_of: Callable[[T], float], drop_incomplete: bool
) -> Iterator[list[T]]:
    chunk: list[T] = []
    size = 0.0
    for item in iterable:
        chunk.append(item)
        size += size_of(item)
        if size >= chunk_size:
            yield chunk
            chunk, size = [], 0.0
    if chunk and not drop_incomplete:
        yield chunk


def split_into_n_chunks(iterable: Iterable[T], num_chunks: int) -> Iterator[list[T]]:
    """Yield `num_chunks` lists of consecutive items, whose lengths differ by 1 at most; fewer lists if there are fewer items.

    Args:
        iterable: The items; they are held in memory.
        num_chunks: How many lists; 1 or more.

    Raises:
        ValueError: `num_chunks` is below 1.
    """
    if num_chunks < 1:
        message = f"num_chunks must be 1 or more, got {num_chunks}"
        raise ValueError(message)
    items = list(iterable)
    number = min(num_chunks, len(items))
    return (items[len(items) * at // number : len(items) * (at + 1) // number] for at in range(number))


def pairwise(iterable: Iterable[T]) -> Iterator[tuple[T, T]]:
    """Yield every item but the last together with the one after it."""
    return itertools.pairwise(iterable)
