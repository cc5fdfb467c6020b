"""K-means, unit vectors and pairs: against scikit-learn, against brute force, and against themselves in other parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import mul
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.deduplication.semantic import RankingStrategy
from nemo_curator.stages.deduplication.semantic.kmeans import (
    CENTROID_BITS,
    Draw,
    KMeans,
    Scan,
    Sums,
    block_rows,
    check_centroids,
    fit,
    nearest,
)
from nemo_curator.stages.deduplication.semantic.pairwise import most_similar_before
from nemo_curator.stages.deduplication.semantic.vectors import keys_of, rounded, uniform, unit_vectors


def _units(number: int, dimensions: int, groups: int = 20, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centers = chance.normal(size=(groups, dimensions))
    given = centers[chance.integers(0, groups, number)] + 0.7 * chance.normal(size=(number, dimensions))
    return unit_vectors(pa.array(list(given.astype(np.float32))), "test")[0]


def _scanner(vectors: np.ndarray, cuts: list[int], keys: np.ndarray | None = None) -> Callable[[Scan[Any]], Any]:
    """Return what answers scans over vectors that are cut into parts."""
    keys = np.arange(len(vectors), dtype=np.uint64) if keys is None else keys
    parts = list(zip(np.split(vectors.astype(np.float64), cuts), np.split(keys, cuts), strict=True))
    return lambda scan: scan.merged([scan.over(x, of) for x, of in parts])


@pytest.mark.parametrize(("number", "tol"), [(20_000, 1e-4), (3000, 0.0)])
def test_clusters_are_those_of_scikit_learn(number: int, tol: float) -> None:
    sklearn = pytest.importorskip("sklearn.cluster")
    vectors = _units(number, 24)
    scan = _scanner(vectors, [number // 7, number // 2])
    how = KMeans(30, max_iter=100, tol=tol)
    first = _first(scan, how)
    centroids, iterations = fit(scan, KMeans(30, max_iter=100, tol=tol, init=first))
    # Its threads spin while they wait for one another, which takes long where others work too.
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        theirs = sklearn.KMeans(30, init=first, n_init=1, max_iter=100, tol=tol, algorithm="lloyd").fit(
            vectors.astype(np.float64)
        )
    assert np.array_equal(nearest(vectors.astype(np.float64), centroids)[0], theirs.labels_)
    assert centroids == pytest.approx(theirs.cluster_centers_, abs=1e-7)
    assert scan(Sums(centroids)).cost / 2**24 == pytest.approx(theirs.inertia_, rel=1e-6)
    assert 1 < iterations < 100


def _first(scan: Callable[[Scan[Any]], Any], how: KMeans) -> np.ndarray:
    from nemo_curator.stages.deduplication.semantic.kmeans import _first_centroids

    return _first_centroids(scan, how, 0)


def test_first_centroids_are_better_than_random_ones() -> None:
    vectors = _units(4000, 16, groups=40)
    scan = _scanner(vectors, [])
    costs = {
        init: np.mean([scan(Sums(_first(scan, KMeans(40, init=init, random_state=seed)))).cost for seed in range(5)])
        for init in ("k-means||", "random")
    }
    assert costs["k-means||"] < 0.9 * costs["random"]


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 300), max_size=6).map(sorted),
    order=st.randoms(use_true_random=False),
    init=st.sampled_from(["k-means||", "random"]),
    n_init=st.sampled_from([1, 2]),
)
def test_no_cut_and_no_order_changes_a_bit(cuts: list[int], order: Any, init: str, n_init: int) -> None:
    vectors = _units(300, 7, groups=5)
    how = KMeans(6, init=init, n_init=n_init, max_iter=20)
    wanted, iterations = fit(_scanner(vectors, []), how)
    shuffled = list(range(300))
    order.shuffle(shuffled)
    scan = _scanner(vectors[shuffled], cuts, np.array(shuffled, np.uint64))
    found, again = fit(scan, how)
    assert found.tobytes() == wanted.tobytes()
    assert again == iterations


def test_the_best_of_several_is_kept() -> None:
    vectors = _units(500, 5, groups=12)
    scan = _scanner(vectors, [])
    costs = [scan(Sums(fit(scan, KMeans(12, init="random", n_init=number))[0])).cost for number in (1, 4)]
    assert costs[1] <= costs[0]


def test_weights_decide_what_is_drawn() -> None:
    chance = np.random.default_rng(1)
    near, far = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    x = np.where(chance.random(2000)[:, None] < 0.5, near, far)
    drawn = _scanner(x, [500])(Draw(50, (1,), near[None]))
    assert (drawn.vectors == far).all()
    assert len(_scanner(np.tile(near, (30, 1)), [])(Draw(50, (1,), near[None])).keys) == 0
    even = _scanner(x, [])(Draw(400, (1,)))
    assert 0.4 < (even.vectors == far).all(axis=1).mean() < 0.6
    assert (np.diff(even.ranks) > 0).all()


@pytest.mark.parametrize(("number", "different"), [(3, 3), (50, 2)], ids=["few", "alike"])
def test_fewer_vectors_than_clusters(number: int, different: int, caplog: pytest.LogCaptureFixture) -> None:
    vectors = _units(different, 4)[np.arange(number) % different]
    centroids, _ = fit(_scanner(vectors, []), KMeans(10))
    assert len(centroids) == different
    assert f"there are only {different} different vectors" in caplog.text


def test_no_vector_at_all() -> None:
    with pytest.raises(DataError, match="Raise fit_data_fraction"):
        fit(_scanner(np.zeros((0, 3), np.float32), []), KMeans(2))


def test_an_empty_cluster_keeps_its_centroid() -> None:
    vectors = np.tile(np.array([1.0, 0.0], np.float32), (5, 1))
    given = np.array([[1.0, 0.0], [0.0, 1.0]])
    centroids, iterations = fit(_scanner(vectors, []), KMeans(2, init=given))
    assert centroids.tolist() == given.tolist()
    assert iterations == 1


def test_what_did_not_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    fit(_scanner(_units(500, 8), []), KMeans(10, max_iter=1, tol=0.0))
    assert "not done after max_iter=1" in caplog.text


@pytest.mark.parametrize(
    "given",
    [np.zeros((2, 3)), np.zeros(3), np.full((3, 3), np.nan), np.full((3, 3), 2.0), np.zeros((3, 4))],
    ids=range(5),
)
def test_centroids_that_are_none(given: np.ndarray) -> None:
    with pytest.raises(OptionError, match="init must have 3 rows of 3 finite numbers"):
        check_centroids(given, 3, 3)


def test_blocks_stay_small() -> None:
    assert block_rows(32768, 10, 4) == 32768
    assert block_rows(32768, 100_000, 1024) * 8 * 100_000 < 64 << 20
    assert block_rows(32768, 10**9, 10**6) == 1


# Vectors


@pytest.mark.parametrize(
    ("kind", "exact"),
    [
        (pa.list_(pa.float32()), True),
        (pa.list_(pa.float64()), True),
        (pa.large_list(pa.float32()), True),
        (pa.list_(pa.float32(), 2), True),
        (pa.list_(pa.float16()), True),
        (pa.list_(pa.int32()), True),
    ],
    ids=str,
)
def test_any_lists_of_numbers_are_vectors(kind: pa.DataType, exact: bool) -> None:
    column = pa.array([[3, 4], None, [0, 0], [0, -2]], kind)
    vectors, rows, reasons = unit_vectors(column, "here")
    assert rows.tolist() == [0, 3]
    assert vectors == pytest.approx(np.array([[0.6, 0.8], [0, -1]]), abs=2**-24)
    assert reasons == {"embedding_missing": 1, "embedding_not_finite": 0, "embedding_zero": 1}
    sliced, rows, _ = unit_vectors(column.slice(2), "here")
    assert (sliced.tolist(), rows.tolist()) == ([[0, -1]], [1])


def test_what_cannot_be_compared_is_left_out_with_its_reason() -> None:
    column = pa.array(
        [[1.0, math.nan], [math.inf, 1.0], [1.0, None], [], None, [0.0, 0.0], [1e-300, 0.0], [1e300, 1e300]]
    )
    vectors, rows, reasons = unit_vectors(column, "here")
    assert rows.tolist() == [6, 7]
    assert vectors == pytest.approx(np.array([[1, 0], [0.5**0.5, 0.5**0.5]]), abs=2**-24)
    assert reasons == {"embedding_missing": 2, "embedding_not_finite": 3, "embedding_zero": 1}


@pytest.mark.parametrize(
    "column", [pa.nulls(3), pa.array([None, []]), pa.array([], pa.list_(pa.float32()))], ids=range(3)
)
def test_no_vectors_at_all(column: pa.Array) -> None:
    vectors, rows, reasons = unit_vectors(column, "here")
    assert (len(vectors), len(rows), reasons["embedding_missing"]) == (0, 0, len(column))


@pytest.mark.parametrize(
    ("column", "dimensions", "message"),
    [
        (pa.array([[1.0, 2.0], [1.0]]), None, "here: the embedding in row 1 has 1 dimensions, where 2 are wanted"),
        (pa.array([None, [1.0]]), 2, "the embedding in row 1 has 1 dimensions, where 2 are wanted"),
        (pa.array(["a"]), None, "here: it is of type string, but embeddings are lists of numbers"),
        (pa.array([["a"]]), None, "of type list<item: string>"),
        (pa.array([[[1.0]]]), None, "embeddings are lists of numbers"),
        (pa.array([1.0]), None, "of type double"),
    ],
    ids=range(6),
)
def test_what_are_no_vectors(column: pa.Array, dimensions: int | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unit_vectors(column, "here", dimensions)


@given(st.lists(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=3, max_size=3), min_size=1, max_size=20))
def test_units_are_units_and_stay_as_they_are(rows: list[list[float]]) -> None:
    vectors, kept, _ = unit_vectors(pa.array(rows), "here")
    assert np.sqrt(np.square(vectors.astype(np.float64)).sum(axis=1)) == pytest.approx(np.ones(len(kept)), abs=1e-6)
    if len(kept):
        again, _, _ = unit_vectors(pa.array(list(vectors)), "here")
        assert again.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("dimensions", [1, 2, 3, 7, 8, 9, 100, 129, 513])
def test_a_row_is_the_same_alone_and_among_others(dimensions: int) -> None:
    given = np.random.default_rng(dimensions).normal(size=(300, dimensions)).astype(np.float32)
    together, _, _ = unit_vectors(pa.array(list(given)), "here")
    for first, last in ((0, 1), (7, 8), (5, 103), (299, 300)):
        alone, _, _ = unit_vectors(pa.array(list(given[first:last])), "here")
        assert alone.tobytes() == together[first:last].tobytes()


def test_chance_is_even_and_hangs_on_the_key_alone() -> None:
    keys = keys_of(pa.array(range(-5000, 5000)))
    drawn = uniform(keys, 1, 2)
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx(np.full(10, 1000), abs=150)
    assert np.array_equal(uniform(keys[::-1], 1, 2)[::-1], drawn)
    assert abs(np.corrcoef(drawn, uniform(keys, 1, 3))[0, 1]) < 0.05
    assert ((drawn > 0) & (drawn < 1)).all()
    assert len(set(keys_of(pa.array(["a", "b", "ä", ""])).tolist())) == 4


def test_products_are_exact_whatever_they_are_computed_in() -> None:
    """Counted out in whole numbers, which have no rounding."""
    vectors = _units(40, 700).astype(np.float64)
    centroids = rounded(vectors.reshape(4, 10, 700).mean(axis=1), CENTROID_BITS)
    whole = [[int(value) for value in np.ldexp(row, 24)] for row in vectors]
    means = [[int(value) for value in np.ldexp(row, CENTROID_BITS)] for row in centroids]
    products = [[sum(map(mul, row, mean)) for mean in means] for row in whole]
    assert np.ldexp(vectors @ centroids.T, 24 + CENTROID_BITS).astype(np.int64).tolist() == products
    pairs = [[sum(map(mul, row, other)) for other in whole] for row in whole]
    assert np.ldexp(vectors @ vectors.T, 48).astype(np.int64).tolist() == pairs
    # One by one, in another order.
    assert [[float(row[::-1] @ mean[::-1]) for mean in centroids] for row in vectors] == (
        vectors @ centroids.T
    ).tolist()


# Pairs


@pytest.mark.parametrize("rows_at_once", [1, 7, 64, 1000])
def test_pairs_are_those_of_brute_force(rows_at_once: int) -> None:
    vectors = _units(150, 6)
    vectors[100:120] = vectors[:20]
    scores, at = most_similar_before(vectors, rows_at_once)
    x = vectors.astype(np.float64)
    similar = (x @ x.T) / np.sqrt(np.outer((x * x).sum(1), (x * x).sum(1)))
    similar[np.triu_indices(len(x))] = -np.inf
    assert (scores[0], at[0]) == (0, 0)
    assert np.array_equal(at[1:], similar.argmax(axis=1)[1:])
    assert np.array_equal(scores[1:], np.minimum(similar.max(axis=1)[1:], 1))
    assert (scores[100:120] == 1).all()
    assert (at[100:120] == np.arange(20)).all()


def test_pairs_of_few() -> None:
    assert [part.tolist() for part in most_similar_before(_units(1, 3), 8)] == [[0.0], [0]]
    scores, at = most_similar_before(np.array([[1, 0], [-1, 0]], np.float32), 8)
    assert (scores.tolist(), at.tolist()) == ([0, -1], [0, 0])
    assert len(most_similar_before(np.zeros((0, 3), np.float32), 8)[0]) == 0


# Ranks

_CLUSTER = pd.DataFrame({"id": [1, 2, 3, 4], "length": [5, 9, 5, None], "source": ["b", "a", "a", "b"]})


@pytest.mark.parametrize(
    ("strategy", "ids"),
    [
        (RankingStrategy.metadata_based(["length"]), [1, 3, 2, 4]),
        (RankingStrategy.metadata_based(["length"], ascending=False), [2, 1, 3, 4]),
        (RankingStrategy.metadata_based(["source", "length"], [True, False]), [2, 3, 1, 4]),
        (RankingStrategy(["source"]), [2, 3, 1, 4]),
    ],
    ids=range(4),
)
def test_ranks(strategy: RankingStrategy, ids: list[int]) -> None:
    ranked = strategy.rank_cluster(_CLUSTER)
    assert ranked["id"].tolist() == ids
    assert ranked.index.tolist() == [0, 1, 2, 3]


def test_random_ranks() -> None:
    many = pd.DataFrame({"id": range(100)})
    first, same, other = (RankingStrategy.random(seed).rank_cluster(many)["id"].tolist() for seed in (1, 1, 2))
    assert first == same != other
    assert sorted(first) == list(range(100))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metadata_cols": ["a", "b"], "ascending": [True]}, "ascending has 1 values for the 2 columns"),
        ({"metadata_cols": ["a"], "strategy": "sorted"}, "strategy must be 'sort' or 'random', got 'sorted'. Did you"),
        ({}, "needs metadata_cols"),
    ],
)
def test_rankings_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RankingStrategy(**options)


def test_a_column_to_rank_by_is_missing() -> None:
    with pytest.raises(OptionError, match="cannot rank by size: the cluster has the columns id, length, source"):
        RankingStrategy(["size"]).rank_cluster(_CLUSTER)
