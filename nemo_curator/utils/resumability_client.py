"""What stages and backends written for a resumability actor ask and tell it. Here there is none, and these say so.

The driver of a run knows which sources are finished, as claims travel with the data, and writes it into files (`checkpoint_path` of
`Pipeline.run`, on every backend). Nothing has to be counted by an actor, so whoever asks for one is told that there is none, and what is
reported to it is known already. See ``docs/adr/0010-checkpoints-are-lines-in-files.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ACTOR_NAME",
    "completed_resumability_sources",
    "flush_resumability_deltas",
    "is_resumability_actor_active",
]

ACTOR_NAME = "nemo_curator_resumability"
"""The name that such an actor would have, and its namespace."""


def is_resumability_actor_active() -> bool:
    """Return `False`: no actor keeps what is finished."""
    return False


def flush_resumability_deltas(deltas: Iterable[tuple[str, str, int]]) -> None:
    """Do nothing: the engine has noted what became of these tasks.

    Args:
        deltas: Task, source, and by how much the number of tasks under way of that source changes.
    """


def completed_resumability_sources(source_ids: Iterable[str]) -> set[str]:
    """Return nothing: the engine has left finished sources out before any stage behind the source sees them.

    Args:
        source_ids: Whose state is asked for.
    """
    return set()
