"""K-means on vectors that lie anywhere, in parts of any size: the same centroids, to the last bit, however they are divided.

Lloyd's iterations need one thing of the data, sums over all vectors, and the choice of the first centroids another, the vectors that come
first by a rank. Both are asked for as a `Scan`, whose answers for parts of the data make the answer for all of it. Sums are exact (see
`vectors`), and what chance decides it decides by a vector's id, so no answer depends on how the parts are cut.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.deduplication.semantic.vectors import rounded, uniform

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nemo_curator.stages.deduplication.semantic.vectors import Keys, Matrix, Vectors

    Ids = npt.NDArray[np.int64]

__all__ = [
    "INITS",
    "Draw",
    "Drawn",
    "KMeans",
    "Scan",
    "Summed",
    "Sums",
    "block_rows",
    "check_centroids",
    "fit",
    "nearest",
    "squared_lengths",
]

_log = logging.getLogger(__name__)

INITS = ("k-means||", "random")
# A product of a component and one of a centroid is a multiple of 2⁻⁵²: sums up to 2 are exact.
CENTROID_BITS = 28
# Sums of squared distances are whole numbers of this unit, exact for more vectors than there are.
_COST_BITS = 24
_BLOCK_BYTES = 48 << 20
_ROUNDS = 5
_MOST_ROUNDS = 50

F = TypeVar("F")


def nearest(x: Matrix, centroids: Matrix) -> tuple[Ids, Matrix]:
    """Return, for every vector, the nearest centroid, the first of those that are equally near, and ``x·c - |c|²/2`` for it."""
    import numpy as np

    scores = x @ centroids.T
    scores -= _halves(centroids)
    labels = np.argmax(scores, axis=1)
    return labels, scores[np.arange(len(x)), labels]


def _halves(centroids: Matrix) -> Matrix:
    return (centroids * centroids).sum(axis=1) / 2


def squared_lengths(x: Matrix) -> Matrix:
    """Return the squares of the lengths of vectors."""
    import numpy as np

    return np.einsum("ij,ij->i", x, x)


def block_rows(most: int, clusters: int, dimensions: int) -> int:
    """Return how many vectors to take at a time, at most `most`, so that what is computed of them stays small."""
    return max(1, min(most, _BLOCK_BYTES // (8 * (clusters + 3 * dimensions))))


class Scan(ABC, Generic[F]):
    """A question about all vectors. It is pickled to workers."""

    @property
    @abstractmethod
    def clusters(self) -> int:
        """How many numbers are computed for a vector."""

    @abstractmethod
    def over(self, x: Matrix, keys: Keys) -> F:
        """Return the answer for some vectors, shape (n, d), and their keys, shape (n,)."""

    @abstractmethod
    def merged(self, founds: Sequence[F]) -> F:
        """Return the answer for all parts from those for each, of which there is at least one; their order changes nothing."""


@dataclass(frozen=True)
class Drawn:
    """Vectors that were drawn: their ranks and keys, shape (n,), in ascending order, and themselves, shape (n, d)."""

    ranks: Matrix
    keys: Keys
    vectors: Vectors


@dataclass(frozen=True)
class Draw(Scan[Drawn]):
    """Draws vectors without replacement, with weights: the square of the distance to the nearest centroid, or the same for all.

    Every vector has a number u, evenly distributed, and those with the smallest u/w are taken: sequential Poisson sampling (Ohlsson, 1998),
    which needs one look at the data and no sum of all weights.

    Attributes:
        number: How many.
        seeds: Of chance.
        centroids: Shape (k, d); `None` to draw evenly.
    """

    number: int
    seeds: tuple[int, ...]
    centroids: Matrix | None = None

    @property
    def clusters(self) -> int:
        """How many numbers are computed for a vector."""
        return 1 if self.centroids is None else len(self.centroids)

    def over(self, x: Matrix, keys: Keys) -> Drawn:
        """Return the first of these."""
        import numpy as np

        ranks = uniform(keys, *self.seeds)
        if self.centroids is not None:
            weights = np.maximum(squared_lengths(x) - 2 * nearest(x, self.centroids)[1], 0)
            # What lies on a centroid is not drawn.
            there = np.flatnonzero(weights > 0)
            ranks, keys, x = ranks[there] / weights[there], keys[there], x[there]
        return self._first(ranks, keys, x.astype(np.float32))

    def merged(self, founds: Sequence[Drawn]) -> Drawn:
        """Return the first of all: they are among the first of each part."""
        import numpy as np

        parts = [(found.ranks, found.keys, found.vectors) for found in founds]
        ranks, keys, vectors = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return self._first(ranks, keys, vectors)

    def _first(self, ranks: Matrix, keys: Keys, vectors: Vectors) -> Drawn:
        import numpy as np

        if len(ranks) > self.number:
            # Everything as small as the last that is wanted, so that equal ranks are decided by the keys alone.
            few = np.flatnonzero(ranks <= np.partition(ranks, self.number - 1)[self.number - 1])
            ranks, keys, vectors = ranks[few], keys[few], vectors[few]
        order = np.lexsort((keys, ranks))[: self.number]
        return Drawn(ranks[order], keys[order], vectors[order])


@dataclass(frozen=True)
class Summed:
    """What Lloyd's iteration needs to know: of every cluster the sum, shape (k, d), and number of its vectors, shape (k,).

    Attributes:
        sums: Of vectors, exact.
        counts: Vectors.
        cost: The sum of squared distances to the nearest centroid, in units of 2⁻²⁴.
        squares: The sum of squared lengths, in the same units.
    """

    sums: Matrix
    counts: Ids
    cost: int
    squares: int


@dataclass(frozen=True)
class Sums(Scan[Summed]):
    """Adds up the vectors that are nearest to each centroid."""

    centroids: Matrix

    @property
    def clusters(self) -> int:
        """How many numbers are computed for a vector."""
        return len(self.centroids)

    def over(self, x: Matrix, keys: Keys) -> Summed:
        """Return the sums of these."""
        import numpy as np

        labels, scores = nearest(x, self.centroids)
        order = np.argsort(labels, kind="stable")
        inside, starts = np.unique(labels[order], return_index=True)
        sums = np.zeros_like(self.centroids)
        # Sums of rows that lie together are several times as fast as `numpy.add.reduceat`.
        stops = [*starts[1:], len(x)]
        for cluster, start, stop in zip(inside, starts, stops, strict=False):
            sums[cluster] = x[order[start:stop]].sum(axis=0)
        squares = squared_lengths(x)
        counts = np.bincount(labels, minlength=len(self.centroids)).astype(np.int64)
        return Summed(sums, counts, _units(np.maximum(squares - 2 * scores, 0)), _units(squares))

    def merged(self, founds: Sequence[Summed]) -> Summed:
        """Return the sums of all."""
        first, *others = founds
        sums, counts, cost, squares = first.sums.copy(), first.counts.copy(), first.cost, first.squares
        for found in others:
            sums += found.sums
            counts += found.counts
            cost += found.cost
            squares += found.squares
        return Summed(sums, counts, cost, squares)


def _units(values: Matrix) -> int:
    import numpy as np

    return int(np.rint(np.ldexp(values, _COST_BITS)).astype(np.int64).sum())


@dataclass(frozen=True)
class KMeans:
    """How to fit.

    Attributes:
        n_clusters: k.
        max_iter: Iterations at most.
        tol: It ends when the centroids' squared moves add up to no more than this share of the vectors' mean variance.
        random_state: Seed.
        init: One of `INITS`, or the first centroids, shape (k, d).
        n_init: How often to begin anew, to keep the best.
        oversampling_factor: For ``k-means||``: how many times k vectors are drawn in a round.
    """

    n_clusters: int
    max_iter: int = 300
    tol: float = 1e-4
    random_state: int = 42
    init: str | Any = "k-means||"
    n_init: int = 1
    oversampling_factor: float = 2.0

    def check(self) -> None:
        """Raise `OptionError` for a value that is not possible."""
        for name in ("n_clusters", "max_iter", "n_init"):
            if getattr(self, name) < 1:
                message = f"{name} must be at least 1, got {getattr(self, name)}"
                raise OptionError(message)
        if self.tol < 0 or self.oversampling_factor <= 0:
            message = f"tol must not be negative and oversampling_factor be positive, got {self.tol} and {self.oversampling_factor}"
            raise OptionError(message)
        if isinstance(self.init, str) and self.init not in INITS:
            message = f"init must be {' or '.join(map(repr, INITS))}, or an array of centroids; got {self.init!r}"
            raise OptionError(message)


def check_centroids(given: Any, clusters: int, dimensions: int | None = None) -> Matrix:
    """Return centroids that somebody gave, as they are computed with.

    Raises:
        OptionError: They are not so many vectors of so many dimensions, no longer than 1.
    """
    import numpy as np

    found = np.asarray(given, np.float64)
    right = found.ndim == 2 and len(found) == clusters and dimensions in (None, found.shape[-1])
    # A mean of vectors of length 1 is no longer than that.
    if not right or not np.isfinite(found).all() or (found * found).sum(axis=1).max() > 1.01:
        message = (
            f"init must have {clusters} rows of {dimensions or 'some'} finite numbers, of length 1 at most, as embeddings are normalized; "
            f"got an array of shape {found.shape}"
        )
        raise OptionError(message)
    return rounded(found, CENTROID_BITS)


def fit(scan: Callable[[Scan[Any]], Any], how: KMeans) -> tuple[Matrix, int]:
    """Return centroids, shape (k, d), and how many iterations it took; fewer than k where there are fewer different vectors.

    Lloyd's algorithm from centroids that ``k-means||`` finds (Bahmani et al., "Scalable k-means++", 2012): rounds in which vectors are drawn
    with the square of their distance as weight, and k-means++ among these, weighted by how many vectors are nearest to each. A cluster that
    becomes empty keeps its centroid.

    Args:
        scan: Answers for all vectors.
        how: The settings.
    """
    best: tuple[int, Matrix, int] | None = None
    for attempt in range(how.n_init):
        centroids = _first_centroids(scan, how, attempt)
        if how.n_clusters > len(centroids):
            _log.warning(
                "k-means: n_clusters is %d, but there are only %d different vectors; so many clusters are made",
                how.n_clusters,
                len(centroids),
            )
        centroids, iterations = _lloyd(scan, centroids, how)
        if how.n_init == 1:
            return centroids, iterations
        cost = scan(Sums(centroids)).cost
        if best is None or cost < best[0]:
            best = cost, centroids, iterations
    assert best is not None
    return best[1:]


def _lloyd(scan: Callable[[Scan[Any]], Any], centroids: Matrix, how: KMeans) -> tuple[Matrix, int]:
    import numpy as np

    enough: float | None = None
    for iteration in range(1, how.max_iter + 1):
        found: Summed = scan(Sums(centroids))
        if enough is None:
            enough = how.tol * _mean_variance(found)
        filled = found.counts > 0
        moved = centroids.copy()
        moved[filled] = rounded(found.sums[filled] / found.counts[filled, None], CENTROID_BITS)
        shift = float(np.square(moved - centroids).sum())
        centroids = moved
        if shift <= enough:
            return centroids, iteration
    _log.warning("k-means: not done after max_iter=%d iterations; the clusters are as they are now", how.max_iter)
    return centroids, how.max_iter


def _mean_variance(found: Summed) -> float:
    import numpy as np

    number = int(found.counts.sum())
    mean = found.sums.sum(axis=0) / number
    return max(found.squares / 2**_COST_BITS / number - float(np.dot(mean, mean)), 0.0) / len(mean)


def _first_centroids(scan: Callable[[Scan[Any]], Any], how: KMeans, attempt: int) -> Matrix:
    import numpy as np

    if not isinstance(how.init, str):
        return check_centroids(how.init, how.n_clusters)
    seeds = (how.random_state, attempt)
    if how.init == "random":
        return scan(Draw(how.n_clusters, (*seeds, 0))).vectors.astype(np.float64)
    candidates: Matrix = scan(Draw(1, (*seeds, 0))).vectors.astype(np.float64)
    if not len(candidates):
        message = "k-means: there is no vector to find clusters with. Raise fit_data_fraction"
        raise DataError(message)
    number = max(1, round(how.oversampling_factor * how.n_clusters))
    for round_ in range(1, _MOST_ROUNDS):
        drawn: Drawn = scan(Draw(number, (*seeds, round_), candidates))
        candidates = np.concatenate([candidates, drawn.vectors.astype(np.float64)])
        if len(drawn.keys) < number or (round_ >= _ROUNDS and len(candidates) >= how.n_clusters):
            break
    candidates = np.unique(candidates, axis=0)
    if len(candidates) <= how.n_clusters:
        return candidates
    weights = scan(Sums(candidates)).counts.astype(np.float64)
    return _plus_plus(candidates, weights, how.n_clusters, np.random.default_rng(seeds))


def _plus_plus(candidates: Matrix, weights: Matrix, number: int, chance: np.random.Generator) -> Matrix:
    """Return some of the candidates, drawn one after the other with weight times squared distance to what was drawn (k-means++)."""
    import numpy as np

    squares = (candidates * candidates).sum(axis=1)
    chosen: list[int] = []
    distances = np.ones(len(candidates))
    for _ in range(number):
        bounds = np.cumsum(weights * distances)
        if bounds[-1] <= 0:
            # All that anything is near to has been taken; what is left is near nothing, and as good as any.
            chosen += [at for at in range(len(candidates)) if at not in set(chosen)][: number - len(chosen)]
            break
        at = int(np.searchsorted(bounds, chance.random() * bounds[-1], side="right"))
        at = min(at, int(np.flatnonzero(weights * distances > 0)[-1]))
        chosen.append(at)
        apart = np.maximum(squares + squares[at] - 2 * (candidates @ candidates[at]), 0)
        distances = apart if len(chosen) == 1 else np.minimum(distances, apart)
    return candidates[chosen]
