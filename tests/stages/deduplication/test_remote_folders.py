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
