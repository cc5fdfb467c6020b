"""Semantic deduplication against brute force in the clusters that it makes, on every backend, and on input that is not as it should be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dedup_inputs import INLINE, LOCAL, column, contents, local, read_folder, write_parquet

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.deduplication.semantic import (
    ClusterWiseFilePartitioningStage,
    IdentifyDuplicatesStage,
    PairwiseStage,
    RankingStrategy,
    SemanticDeduplicationWorkflow,
)
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.testing import BackendUnderTest

DIMENSIONS = 8


def _vectors(number: int = 300, copies: int = 80, seed: int = 5) -> np.ndarray:
    """Return vectors in ten groups, of which the last are nearly the first."""
    chance = np.random.default_rng(seed)
    centers = chance.normal(size=(10, DIMENSIONS))
    found = centers[chance.integers(0, 10, number)] + 0.5 * chance.normal(size=(number, DIMENSIONS))
    found[number - copies :] = found[:copies] * chance.uniform(0.5, 2, (copies, 1))
    found[number - copies :] += 0.01 * chance.normal(size=(copies, DIMENSIONS))
    return found.astype(np.float32)


def _table(vectors: np.ndarray, ids: list[Any] | None = None, **more: Any) -> pa.Table:
    rows = list(range(len(vectors))) if ids is None else ids
    return pa.table({"id": rows, "embeddings": pa.array(list(vectors)), **more})


def _run(tmp_path: Path, executor: dict[str, Any] = INLINE, checkpoint: str | None = None, **options: Any) -> Any:
    settings: dict[str, Any] = {"n_clusters": 7, "eps": 0.02, "input_blocksize": None, **options}
    workflow = SemanticDeduplicationWorkflow(
        str(tmp_path / "in"), str(tmp_path / "out"), cache_path=str(tmp_path / "cache"), **settings
    )
    return workflow.run(local(executor), checkpoint_path=checkpoint)


def _clusters(tmp_path: Path) -> dict[int, pa.Table]:
    folders = sorted((tmp_path / "cache/kmeans_results").glob("centroid=*"))
    return {int(folder.name.split("=")[1]): read_folder(folder) for folder in folders}


def _oracle(tmp_path: Path, vectors: np.ndarray, eps: float = 0.02) -> dict[int, list[tuple[int, int, float]]]:
    """Return, for every cluster, its members by rank with the most similar before, computed from the input."""
    units = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    found: dict[int, list[tuple[int, int, float]]] = {}
    for cluster, table in _clusters(tmp_path).items():
        ids, distance = table["id"].to_numpy(), table["cosine_dist_to_cent"].to_numpy()
        ranked = ids[np.lexsort((ids, -distance))]
        similar = units[ranked] @ units[ranked].T
        rows = [(int(ranked[0]), int(ranked[0]), 0.0)]
        for at in range(1, len(ranked)):
            best = int(similar[at, :at].argmax())
            rows.append((int(ranked[at]), int(ranked[best]), float(similar[at, best])))
        found[cluster] = rows
    return found


def _removed(oracle: dict[int, list[tuple[int, int, float]]], eps: float = 0.02) -> list[int]:
    return sorted(row for rows in oracle.values() for row, _, score in rows if score >= 1 - eps)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed inline run makes of one file."""
    folder = tmp_path_factory.mktemp("whole")
    write_parquet(folder / "in", _table(_vectors()), 1)
    _run(folder)
    return folder


def test_pairs_and_duplicates_are_those_of_brute_force(whole: Path) -> None:
    vectors = _vectors()
    oracle = _oracle(whole, vectors)
    for cluster, rows in oracle.items():
        table = pq.read_table(whole / f"cache/pairwise_results/cluster_{cluster}.parquet")
        assert table.schema.names == ["id", "max_id", "cosine_sim_score"]
        assert table["id"].to_pylist() == [row for row, _, _ in rows]
        assert table["cosine_sim_score"].to_pylist() == pytest.approx([score for *_, score in rows], abs=1e-6)
        assert table["max_id"].to_pylist() == [most for _, most, _ in rows]
    removed = column(whole / "out/duplicates", "id")
    assert removed == _removed(oracle)
    assert len(removed) > 70


def test_clusters_are_those_of_the_nearest_centroid(whole: Path) -> None:
    centroids = np.load(whole / "cache/kmeans_results/kmeans_centroids.npy", allow_pickle=False)
    assert centroids.shape == (7, DIMENSIONS)
    seen = 0
    for cluster, table in _clusters(whole).items():
        assert table.schema.names == ["id", "embeddings", "l2_dist_to_cent", "cosine_dist_to_cent"]
        x = np.array(table["embeddings"].to_pylist())
        apart = np.linalg.norm(x[:, None] - centroids[None], axis=2)
        assert (apart.argmin(axis=1) == cluster).all()
        assert table["l2_dist_to_cent"].to_numpy() == pytest.approx(apart[:, cluster], abs=1e-6)
        own = centroids[cluster] / np.linalg.norm(centroids[cluster])
        assert table["cosine_dist_to_cent"].to_numpy() == pytest.approx(1 - x @ own, abs=1e-6)
        assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
        seen += len(table)
    assert seen == 300


# Two processes are among the backends below.
@pytest.mark.slow
def test_20000_vectors_against_scikit_learn_and_brute_force(tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.cluster")
    vectors = _vectors(20_000, 3000)
    write_parquet(tmp_path / "in", _table(vectors), 6)
    first = np.random.default_rng(3).choice(len(vectors), 40, replace=False)
    units = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    _run(tmp_path, n_clusters=40, init=units[first], max_iter=50)
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        theirs = sklearn.KMeans(40, init=units[first], n_init=1, max_iter=50, algorithm="lloyd").fit(units)
    wanted: list[int] = []
    clusters = _clusters(tmp_path)
    for cluster in range(40):
        members = np.flatnonzero(theirs.labels_ == cluster)
        assert clusters[cluster]["id"].to_pylist() == members.tolist()
        own = theirs.cluster_centers_[cluster]
        # What is far from the centroid is ranked first.
        ranked = members[np.argsort(units[members] @ own / np.linalg.norm(own), kind="stable")]
        similar = np.tril(units[ranked] @ units[ranked].T, -1)
        wanted += ranked[similar.max(axis=1) >= 0.98].tolist()
    found = column(tmp_path / "out/duplicates", "id")
    # Two that are at the same distance but for rounding may change places.
    assert len(set(found) ^ set(wanted)) <= 2
    assert len(found) > 3000


@pytest.mark.parametrize("executor", [case for case in LOCAL if case.id != "processes-2"])
def test_the_same_bytes_wherever_it_runs(executor: dict[str, Any], tmp_path: Path, whole: Path) -> None:
    write_parquet(tmp_path / "in", _table(_vectors()), 5)
    result = _run(tmp_path, executor, pairwise_batch_size=16, max_samples_per_batch=50)
    assert contents(tmp_path / "out/duplicates") == contents(whole / "out/duplicates")
    assert contents(tmp_path / "cache") == contents(whole / "cache")
    assert set(result.pipeline_tasks) == {"input_filegroups", "kmeans", "pairwise"}
    assert result.get_metadata("num_duplicates") == len(column(whole / "out/duplicates", "id"))
    assert {"kmeans_time", "pairwise_time", "total_time"} <= set(result.metadata)


@pytest.mark.parametrize("mode", ["inline", "threads"])
def test_pass_by_pass_makes_the_same_as_in_memory(mode: str, tmp_path: Path, whole: Path) -> None:
    write_parquet(tmp_path / "in", _table(_vectors()), 4)
    _run(tmp_path, {"mode": mode, "num_workers": 2}, fit_memory=0)
    assert contents(tmp_path / "cache") == contents(whole / "cache")
    assert contents(tmp_path / "out/duplicates") == contents(whole / "out/duplicates")


def test_a_backend_finds_the_same(backend: BackendUnderTest, tmp_path: Path, whole: Path) -> None:
    write_parquet(tmp_path / "in", _table(_vectors()), 2)
    workflow = SemanticDeduplicationWorkflow(
        str(tmp_path / "in"), str(tmp_path / "out"), 7, eps=0.02, input_blocksize=None
    )
    workflow.run(backend.make())
    assert contents(tmp_path / "out/duplicates") == contents(whole / "out/duplicates")


def test_order_of_rows_changes_nothing(tmp_path: Path, whole: Path) -> None:
    order = np.random.default_rng(1).permutation(300)
    write_parquet(tmp_path / "in", _table(_vectors()).take(pa.array(order)), 3)
    _run(tmp_path)
    assert contents(tmp_path / "cache") == contents(whole / "cache")


def test_a_run_that_was_broken_off_goes_on_and_ends_the_same(tmp_path: Path, whole: Path) -> None:
    vectors = _vectors()
    write_parquet(tmp_path / "in", _table(vectors), 3)
    bad = tmp_path / "in/001.parquet"
    good = bad.read_bytes()
    pq.write_table(pa.table({"id": list(range(100, 200)), "embeddings": ["text"] * 100}), bad)
    checkpoint = str(tmp_path / "checkpoint")
    with pytest.raises(DataError, match="of type string, but embeddings are lists of numbers"):
        _run(tmp_path, checkpoint=checkpoint)
    bad.write_bytes(good)
    results = [_run(tmp_path, checkpoint=checkpoint) for _ in range(2)]
    assert [result.get_metadata("num_duplicates") for result in results] == [len(_removed(_oracle(whole, vectors)))] * 2
    assert [len(results[1].pipeline_tasks[name]) for name in ("kmeans", "pairwise")] == [0, 0]
    assert contents(tmp_path / "out/duplicates") == contents(whole / "out/duplicates")


def test_another_run_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in", _table(_vectors()), 2)
    _run(tmp_path, n_clusters=9, clear_output=False)
    _run(tmp_path, n_clusters=3, clear_output=False)
    assert set(_clusters(tmp_path)) == {0, 1, 2}
    assert len(list((tmp_path / "cache/pairwise_results").glob("*.parquet"))) == 3
    _run(tmp_path, n_clusters=3, eps=None)
    assert not (tmp_path / "out/duplicates").exists()
    assert not list((tmp_path / "cache/.nemo_curator_metadata").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"which_to_keep": "hard"}, 2),
        ({"which_to_keep": "easy"}, 0),
        ({"which_to_keep": "hard", "distance_metric": "l2"}, 2),
        ({"ranking_strategy": RankingStrategy(["score"], ascending=False), "metadata_fields": ["score"]}, 1),
        ({"ranking_strategy": RankingStrategy(["id"], ascending=False)}, 2),
    ],
    ids=["hard", "easy", "l2", "metadata", "id"],
)
def test_who_stays(options: dict[str, Any], kept: int, tmp_path: Path) -> None:
    # All in one cluster, whose centroid is nearest to the first.
    angles = [0.0, 0.01, 0.03, 0.0, 0.0]
    vectors = np.array([[math.cos(angle), math.sin(angle)] for angle in angles])
    write_parquet(tmp_path / "in", _table(vectors[:3], score=[1, 5, 3]), 1)
    centroid = vectors[[0, 0, 0, 1]].mean(axis=0)
    _run(tmp_path, n_clusters=1, init=centroid[None], max_iter=1, tol=10.0, eps=0.1, **options)
    removed = column(tmp_path / "out/duplicates", "id")
    ranked = read_folder(tmp_path / "cache/pairwise_results")["id"].to_pylist()
    assert sorted({0, 1, 2} - set(removed)) == [ranked[0]]
    assert ranked[0] == (1 if kept == 0 else kept)


def test_at_random_is_the_same_with_the_same_seed(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_parquet(tmp_path / name / "in", _table(_vectors()), 2 if name == "a" else 3)
        _run(tmp_path / name, which_to_keep="random", random_state=seed)
        found.append(column(tmp_path / name / "out/duplicates", "id"))
    assert found[0] == found[1] != found[2]


def test_a_share_of_the_vectors_is_enough_for_k_means(tmp_path: Path) -> None:
    for name, files in (("a", 1), ("b", 4)):
        write_parquet(tmp_path / name / "in", _table(_vectors()), files)
        _run(tmp_path / name, fit_data_fraction=0.3, fit_memory="1GiB" if files == 1 else 0)
    assert contents(tmp_path / "a/cache") == contents(tmp_path / "b/cache")
    assert sum(map(len, _clusters(tmp_path / "a").values())) == 300


@pytest.mark.parametrize("kind", ["text", "numbers"])
def test_ids_may_be_numbers_and_text(kind: str, tmp_path: Path) -> None:
    vectors = _vectors()
    ids: list[Any] = [f"doc-{at:03}" if kind == "text" else at * 10**12 - 10**14 for at in range(300)]
    write_parquet(tmp_path / "in", _table(vectors, ids), 3)
    _run(tmp_path)
    removed = column(tmp_path / "out/duplicates", "id")
    assert set(removed) <= set(ids)
    assert len(removed) > 70


def test_json_lines_and_metadata(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    vectors = _vectors().tolist()
    lines = [json.dumps({"id": at, "vector": row, "source": f"s{at % 3}"}) for at, row in enumerate(vectors)]
    (tmp_path / "in/a.jsonl").write_text("\n".join(lines))
    result = _run(tmp_path, input_filetype="jsonl", embedding_field="vector", metadata_fields=["source"])
    assert result.get_metadata("num_duplicates") > 70
    for table in _clusters(tmp_path).values():
        assert table["source"].to_pylist() == [f"s{at % 3}" for at in table["id"].to_pylist()]


# Input that is not as it should be


def test_what_cannot_be_compared_stays(tmp_path: Path) -> None:
    rows: list[list[float] | None] = [[1.0, 0.0], None, [math.nan, 1.0], [0.0, 0.0], [1.0, 0.001], [math.inf, 0.0], []]
    table = pa.table({"id": list("abcdefg"), "embeddings": pa.array(rows, pa.list_(pa.float32()))})
    write_parquet(tmp_path / "in", table, 1)
    result = _run(tmp_path, n_clusters=1)
    assert result.get_metadata("num_duplicates") == 1
    assert sorted(_clusters(tmp_path)[0]["id"].to_pylist()) == ["a", "e"]


@pytest.mark.parametrize("rows", [0, 3], ids=["no-rows", "no-embeddings"])
def test_nothing_to_compare(rows: int, tmp_path: Path) -> None:
    table = pa.table({"id": pa.array(range(rows), pa.int64()), "embeddings": pa.nulls(rows, pa.list_(pa.float32()))})
    write_parquet(tmp_path / "in", table, 1)
    result = _run(tmp_path)
    assert result.get_metadata("num_duplicates") == 0
    assert column(tmp_path / "out/duplicates", "id") == []


def test_fewer_vectors_than_clusters(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_parquet(tmp_path / "in", _table(np.eye(3)), 1)
    result = _run(tmp_path, n_clusters=100)
    assert result.get_metadata("num_duplicates") == 0
    assert len(_clusters(tmp_path)) == 3
    assert "n_clusters is 100, but there are only 3 different vectors" in caplog.text


@pytest.mark.parametrize("same", [False, True])
def test_no_duplicates_and_nothing_else(same: bool, tmp_path: Path) -> None:
    vectors = np.tile([0.3, 0.4, 0.5], (40, 1)) if same else np.eye(40)
    write_parquet(tmp_path / "in", _table(vectors), 3)
    result = _run(tmp_path, n_clusters=4, eps=0.0)
    assert result.get_metadata("num_duplicates") == (39 if same else 0)
    assert column(tmp_path / "out/duplicates", "id") == (list(range(1, 40)) if same else [])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([_table(np.eye(2), [1, None])], "has no id for 1 of 2 documents"),
        ([_table(np.eye(2), [1, 1])], "has the id 1 more than once"),
        ([_table(np.eye(2), [1, 2]), _table(np.eye(2), [3, 2])], "column 'id' has 1 ids more than once, 2 among them"),
        ([_table(np.eye(2), [1, 2]), _table(np.eye(2), ["1", "b"])], "different kinds.*int64 and large_string"),
        ([_table(np.eye(2), [1.5, 2.5])], "ids are whole numbers or text"),
        ([pa.table({"id": [1], "embeddings": ["[1.0]"]})], "of type string, but embeddings are lists of numbers"),
        ([pa.table({"id": [1, 2], "embeddings": [[1.0], [1.0, 2.0]]})], "the embedding in row 1 has 2 dimensions"),
        ([pa.table({"id": [1]})], "embeddings"),
    ],
    ids=["missing", "twice", "twice-in-files", "kinds", "fractions", "text", "lengths", "no-column"],
)
def test_input_that_is_refused(tables: list[pa.Table], message: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"in/{number}.parquet")
    with pytest.raises(DataError, match=message):
        _run(tmp_path)


def test_files_of_different_dimensions(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, dimensions in enumerate((3, 8, 3)):
        pq.write_table(_table(np.eye(2, dimensions), [2 * number, 2 * number + 1]), tmp_path / f"in/{number}.parquet")
    with pytest.raises(DataError, match="embeddings in column 'embeddings' have 3 and 8 dimensions in different files"):
        _run(tmp_path)


def test_dimensions_that_are_not_those_wanted(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in", _table(np.eye(3)), 1)
    with pytest.raises(DataError, match="has 3 dimensions, where 4 are wanted"):
        _run(tmp_path, embedding_dim=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be at least 1, got 0"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"tol": -1.0}, "tol must not be negative"),
        ({"init": "k-means++"}, r"init must be 'k-means\|\|' or 'random'"),
        ({"fit_data_fraction": 0.0}, "fit_data_fraction must be above 0 and at most 1"),
        ({"fit_data_fraction": 1.5}, "fit_data_fraction"),
        ({"which_to_keep": "best"}, "which_to_keep must be one of 'hard', 'easy', 'random'; got 'best'"),
        ({"distance_metric": "l1"}, "distance_metric must be one of 'cosine', 'l2'"),
        ({"eps": -0.1}, "eps must be at least 0 and below 1"),
        ({"eps": 1.0}, "eps must be at least 0 and below 1"),
        ({"pairwise_batch_size": 0}, "pairwise_batch_size must be at least 1"),
        ({"max_samples_per_batch": 0}, "max_samples_per_batch must be at least 1"),
        ({"embedding_dim": 0}, "embedding_dim must be at least 1"),
        ({"input_filetype": "csv"}, "input_filetype must be one of"),
        ({"metadata_fields": ["l2_dist_to_cent"]}, "l2_dist_to_cent have a meaning of their own"),
        ({"id_field": "embeddings"}, "embeddings have a meaning"),
        ({"ranking_strategy": RankingStrategy(["size"])}, "by size, which is not in metadata_fields"),
        ({"output_path": "in/out"}, "is in in, which is read"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"input_path": "in", "output_path": "out", "n_clusters": 5, **options}
    with pytest.raises(OptionError, match=message):
        SemanticDeduplicationWorkflow(**settings)


def test_given_centroids_of_another_shape(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in", _table(np.eye(3)), 1)
    with pytest.raises(OptionError, match="init must have 2 rows of 3 finite numbers"):
        _run(tmp_path, n_clusters=2, init=np.zeros((2, 4)))


# Stages by themselves


def test_a_task_for_every_cluster(whole: Path) -> None:
    stage = ClusterWiseFilePartitioningStage(str(whole / "cache/kmeans_results"))
    tasks = stage.process(EmptyTask("none", None))
    assert [task._metadata for task in tasks] == [{"centroid_id": k, "filetype": "parquet"} for k in range(7)]
    assert all(f"/centroid={k}/" in str(task.data[0]) for k, task in enumerate(tasks))


def test_pairs_of_embeddings_of_any_length(tmp_path: Path) -> None:
    pq.write_table(_table(np.array([[3.0, 4.0], [6.0, 8.0], [4.0, 3.0]]), [7, 8, 9]), tmp_path / "a.parquet")
    stage = PairwiseStage(str(tmp_path / "out"), RankingStrategy(["id"]))
    task = FileGroupTask("d", [str(tmp_path / "a.parquet")], _metadata={"centroid_id": 4, "filetype": "parquet"})
    (path,) = stage.process(task).data
    assert path.endswith("cluster_4.parquet")
    table = pq.read_table(path)
    assert table["max_id"].to_pylist() == [7, 7, 7]
    assert table["cosine_sim_score"].to_pylist() == pytest.approx([0, 1, 0.96], abs=1e-6)


def test_several_clusters_become_one_file_of_ids(tmp_path: Path) -> None:
    tasks = []
    for cluster, scores in enumerate(([0.0, 0.99], [0.0, 0.95, 1.0], [0.0])):
        ids = [f"{cluster}-{at}" for at in reversed(range(len(scores)))]
        pq.write_table(
            pa.table({"id": ids, "max_id": ids, "cosine_sim_score": scores}), tmp_path / f"{cluster}.parquet"
        )
        tasks.append(FileGroupTask("d", [str(tmp_path / f"{cluster}.parquet")]))
    stage = IdentifyDuplicatesStage(str(tmp_path / "out"), eps=0.01)
    assert stage.batch_size == 10
    with pytest.raises(NotImplementedError, match="call process_batch"):
        stage.process(tasks[0])
    (found,) = stage.process_batch(tasks)
    assert found._metadata == {"num_removed": 2}
    assert pq.read_table(found.data[0])["id"].to_pylist() == ["0-0", "1-0"]
    assert stage.process_batch(tasks[2:]) == []
