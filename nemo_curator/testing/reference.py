"""What a pipeline of modelled stages must give: a plain loop that shares no code with the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nemo_curator.testing.stages import Modelled

__all__ = ["interpret"]


def interpret(stages: Sequence[Modelled], start: Iterable[int]) -> list[tuple[str, int]]:
    """Return ids and numbers of a pipeline's outputs, in the order of its inputs."""
    stream = [(f"0_{position}", value) for position, value in enumerate(start)]
    for stage in stages:
        stream = [
            (f"{parent}_{slot}", child)
            for parent, value in stream
            for slot, child in enumerate(stage.model(value))
            if child is not None
        ]
    return stream
