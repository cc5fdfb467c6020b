"""Connected components of graphs whose edges do not fit in memory; their nodes do, with some 100 bytes each at the peak."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from nemo_curator.stages.deduplication.shuffle import sorted_distinct

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Edges = Iterable[tuple[Ids, Ids]]

__all__ = ["connected_components"]

# Fewer edges than this are put together, as every step looks at all nodes.
_FEWEST_EDGES = 1 << 20


def connected_components(edges: Callable[[], Edges]) -> tuple[Ids, Ids]:
    """Return the nodes of a graph and for each of them the smallest node that it is connected with.

    Edges are looked at twice, a chunk at a time. Every root that has a smaller neighbour is hung below the smallest of them, then paths are
    halved until every node knows its root, until no edge connects two roots (after Shiloach and Vishkin, "An O(log n) parallel connectivity
    algorithm", 1982).

    Args:
        edges: Yields chunks, anew at every call: two arrays of nodes, of the same shape (m,).

    Returns:
        The nodes, sorted, shape (n,), and the smallest node of the component of each, shape (n,).
    """
    import numpy as np

    nodes = _nodes(edges())
    roots = np.arange(len(nodes))
    for x, y in _together(edges(), max(_FEWEST_EDGES, len(nodes))):
        _connect(roots, _places(nodes, x), _places(nodes, y))
    return nodes, nodes[roots]


def _nodes(edges: Edges) -> Ids:
    import numpy as np

    known = np.zeros(0, np.int64)
    waiting: list[Ids] = []
    for x, y in edges:
        waiting.append(sorted_distinct(np.concatenate([x, y])))
        # Sorting everything again for every chunk would take the square of the time.
        if sum(map(len, waiting)) > max(len(known), _FEWEST_EDGES):
            known, waiting = sorted_distinct(np.concatenate([known, *waiting])), []
    return sorted_distinct(np.concatenate([known, *waiting]))


def _together(edges: Edges, fewest: int) -> Edges:
    import numpy as np

    waiting: list[tuple[Ids, Ids]] = []
    for x, y in edges:
        waiting.append((x, y))
        if sum(len(some) for some, _ in waiting) >= fewest:
            yield np.concatenate([x for x, _ in waiting]), np.concatenate([y for _, y in waiting])
            waiting = []
    if waiting:
        yield np.concatenate([x for x, _ in waiting]), np.concatenate([y for _, y in waiting])


def _connect(roots: Ids, x: Ids, y: Ids) -> None:
    """Put what some edges connect below the same root. Every node is right below its root, before and after."""
    import numpy as np

    x, y = _apart(roots[x], roots[y])
    # Only the roots that edges have to do with are looked at again and again; then all nodes, once.
    involved = sorted_distinct(np.concatenate([x, y]))
    below = _solved(len(involved), _places(involved, x), _places(involved, y))
    roots[involved] = involved[below]
    roots[:] = roots[roots]


def _places(known: Ids, values: Ids) -> Ids:
    """Return where values are in a sorted array. In order they are found ten times as fast: one is near the one before."""
    import numpy as np

    order = np.argsort(values)
    places = np.empty(len(values), np.int64)
    places[order] = np.searchsorted(known, values[order])
    return places


def _solved(size: int, x: Ids, y: Ids) -> Ids:
    """Return for each of `size` nodes the smallest that it is connected with."""
    import numpy as np

    roots = np.arange(size)
    while len(x):
        np.minimum.at(roots, np.maximum(x, y), np.minimum(x, y))
        while True:
            above = roots[roots]
            if np.array_equal(above, roots):
                break
            roots = above
        x, y = _apart(roots[x], roots[y])
    return roots


def _apart(x: Ids, y: Ids) -> tuple[Ids, Ids]:
    """Return the edges that connect two nodes and not one with itself."""
    differ = x != y
    return x[differ], y[differ]
