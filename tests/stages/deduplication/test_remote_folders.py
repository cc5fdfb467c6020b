"""Deduplication where folders are on a filesystem that only fsspec knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from dedup_inputs import INLINE, local
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.report_workflow import DeduplicationReportWorkflow
from nemo_curator.stages.deduplication.semantic import RankingStrategy, SemanticDeduplicationWorkflow
from nemo_curator.stages.text.deduplication import TextDuplicatesRemovalWorkflow


@pytest.fixture
def remote() -> Iterator[Any]:
    fs = MemoryFileSystem()
    rows = [json.dumps({"n": at, "text": f"a text of some length, number {at % 12}"}) for at in range(20)]
    fs.pipe("/dedup/in/a.jsonl", "\n".join(rows[:11]).encode())
    fs.pipe("/dedup/in/b.jsonl", "\n".join(rows[11:]).encode())
    yield fs
    fs.rm("/dedup", recursive=True)


def _ids(fs: Any, folder: str) -> list[int]:
    ids: list[int] = []
    for path in fs.glob(f"{folder}/*.parquet"):
        with fs.open(path) as handle:
            ids += pq.read_table(handle)[CURATOR_DEDUP_ID_STR].to_pylist()
    return sorted(ids)


def _kept(fs: Any, folder: str) -> list[int]:
    return sorted(json.loads(line)["n"] for path in fs.glob(f"{folder}/*.jsonl") for line in fs.cat(path).splitlines())


def test_exact_and_removal(remote: Any) -> None:
    base = "memory://dedup"
    workflow = ExactDeduplicationWorkflow(
        f"{base}/out", f"{base}/in", "jsonl", None, perform_removal=True, total_nparts=2
    )
    result = workflow.run(executor=local(INLINE), checkpoint_path=f"{base}/checkpoint")
    assert result.get_metadata("num_duplicates") == 8
    assert _ids(remote, "/dedup/out/ExactDuplicateIds") == list(range(12, 20))
    assert _kept(remote, "/dedup/out/deduplicated") == list(range(12))
    again = workflow.run(executor=local(INLINE), checkpoint_path=f"{base}/checkpoint")
    assert (again.get_metadata("num_duplicates"), again.pipeline_tasks["identification"]) == (8, [])
    removal = TextDuplicatesRemovalWorkflow(
        f"{base}/in",
        f"{base}/out/ExactDuplicateIds",
        f"{base}/clean",
        "jsonl",
        duplicate_id_field=CURATOR_DEDUP_ID_STR,
        id_generator_path=f"{base}/out/exact_id_generator.json",
        output_filetype="jsonl",
    )
    removal.run(local(INLINE), checkpoint_path=f"{base}/other")
    assert _kept(remote, "/dedup/clean") == list(range(12))


def test_fuzzy(remote: Any) -> None:
    base = "memory://dedup"
    bands: dict[str, Any] = {"num_bands": 3, "minhashes_per_band": 4, "bands_per_iteration": 2, "char_ngrams": 40}
    workflow = FuzzyDeduplicationWorkflow(f"{base}/cache", f"{base}/out", f"{base}/in", "jsonl", **bands)
    workflow.run(executor=local(INLINE))
    assert _ids(remote, "/dedup/out/FuzzyDuplicateIds") == list(range(12, 20))


def test_fuzzy_with_verification_and_report(remote: Any) -> None:
    base = "memory://dedup"
    bands: dict[str, Any] = {"num_bands": 3, "minhashes_per_band": 4, "bands_per_iteration": 2, "char_ngrams": 40}
    workflow = FuzzyDeduplicationWorkflow(
        f"{base}/cache", f"{base}/out", f"{base}/in", "jsonl", verify_jaccard=0.9, **bands
    )
    workflow.run(executor=local(INLINE))
    assert _ids(remote, "/dedup/out/FuzzyDuplicateIds") == list(range(12, 20))
    result = DeduplicationReportWorkflow(workflow, f"{base}/report").run(local(INLINE))
    assert result.get_metadata("report")["removed"] == 8
    assert remote.cat("/dedup/report/report.html").startswith(b"<!doctype html>")


@pytest.mark.parametrize("fit_memory", [0, "1GiB"])
def test_semantic(fit_memory: Any, remote: Any) -> None:
    base = "memory://dedup"
    for part, numbers in enumerate((range(11), range(11, 20))):
        rows = [{"id": at, "embeddings": [1.0, at % 12, (at % 12) ** 2 / 10]} for at in numbers]
        remote.pipe(f"/dedup/vectors/{part}.jsonl", "\n".join(map(json.dumps, rows)).encode())
    workflow = SemanticDeduplicationWorkflow(
        f"{base}/vectors",
        f"{base}/out",
        3,
        eps=1e-6,
        input_filetype="jsonl",
        fit_memory=fit_memory,
        ranking_strategy=RankingStrategy(["id"]),
    )
    for _ in range(2):
        result = workflow.run(local(INLINE), checkpoint_path=f"{base}/checkpoint")
        assert result.get_metadata("num_duplicates") == 8
        (found,) = remote.glob("/dedup/out/duplicates/*.parquet")
        with remote.open(found) as handle:
            assert pq.read_table(handle)["id"].to_pylist() == list(range(12, 20))
    assert result.pipeline_tasks["kmeans"] == result.pipeline_tasks["pairwise"] == []
    workflow.run(local(INLINE))
    assert not remote.exists("/dedup/out/.nemo_curator_metadata/semantic_vectors")
    said = DeduplicationReportWorkflow(workflow, f"{base}/report").run(local(INLINE)).get_metadata("report")
    assert said["groups_by_size"] == {"2": 8}
