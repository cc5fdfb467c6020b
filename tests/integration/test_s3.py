"""Checkpoints, inputs and outputs in an object store: a real S3 server on loopback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.checkpoint import Checkpoint
from nemo_curator.engine.compile import compile_plan
from nemo_curator.errors import CheckpointError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.testing.stages import Add, Count

pytest.importorskip("moto")
pytest.importorskip("s3fs")
pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(store: None, request: pytest.FixtureRequest) -> str:
    """The URL of an empty bucket."""
    import s3fs

    name = request.node.name.replace("_", "-").lower()[:60].rstrip("-")
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


class Breaks(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Raises for some batches, as long as an object is there."""

    name = "breaks"

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def process(self, task: DocumentBatch) -> DocumentBatch:
        import s3fs

        rows = task.to_pandas()
        if "text 3" in rows["text"].tolist() and s3fs.S3FileSystem(use_listings_cache=False).exists(self.flag):
            message = "not yet"
            raise ValueError(message)
        return task


def _objects(fs: Any, folder: str) -> dict[str, bytes]:
    fs.invalidate_cache()
    return {name.rsplit("/", 1)[1]: fs.cat_file(name) for name in fs.ls(folder, detail=False) if "/." not in name}


def test_a_pipeline_in_a_store_goes_on(bucket: str) -> None:
    import s3fs

    fs = s3fs.S3FileSystem()
    for number in range(6):
        fs.pipe_file(f"{bucket}/in/{number}.jsonl", json.dumps({"text": f"text {number}"}).encode() + b"\n")
    fs.pipe_file(f"{bucket}/flag", b"")

    def run(output: str, checkpoint: str | None = f"{bucket}/checkpoint", mode: Any = "inline") -> Any:
        stages: list[Any] = [
            JsonlReader(f"{bucket}/in", files_per_partition=1),
            Breaks(f"{bucket}/flag"),
            JsonlWriter(f"{bucket}/{output}", mode="error"),
        ]
        pipeline = Pipeline("store", stages=stages)
        executor = LocalExecutor(mode=mode, num_workers=2, cpus=2, on_error="quarantine")
        pipeline.run(executor, checkpoint_path=checkpoint)
        report = pipeline.last_report
        assert report is not None
        return report.sources_completed, report.sources_failed, report.sources_left_out

    assert run("out", mode="processes") == (5, 1, 0)
    fs.rm_file(f"{bucket}/flag")
    assert run("out") == (1, 0, 5)
    assert run("out") == (0, 0, 6)
    fs.pipe_file(f"{bucket}/in/2.jsonl", json.dumps({"text": "text X"}).encode() + b"\n")
    assert run("out") == (1, 0, 5)
    assert run("whole", None) == (6, 0, 0)
    assert _objects(fs, f"{bucket}/out") == _objects(fs, f"{bucket}/whole")


def test_a_checkpoint_in_a_store(bucket: str) -> None:
    path, plan = f"{bucket}/deep/checkpoint", compile_plan([Count(3), Add(1)], name="p")
    assert "0 sources are finished" in Checkpoint(path, plan).read().in_words(path)
    with Checkpoint(path, plan) as checkpoint:
        checkpoint.note((), ["0_1@a", "0_2@b"])
        with pytest.raises(CheckpointError, match="in use by another run"):
            Checkpoint(path, plan).__enter__()
    with Checkpoint(path, plan) as checkpoint:
        assert len(checkpoint.past.finished) == 2
        checkpoint.note((), ["0_2@b", "0_3@c"])
    assert len(Checkpoint(path, plan).read().finished) == 3
    assert Checkpoint(path, compile_plan([Count(3), Add(2)], name="p")).read().others == {
        "stage 'add' changed: amount": 3
    }


@pytest.mark.parametrize("numbered", [False, True])
def test_objects_that_only_storage_options_reach_are_read_again_when_they_change(
    server: str, numbered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    options: dict[str, Any] = {
        "key": "test",
        "secret": "test",
        "client_kwargs": {"endpoint_url": server},
    }
    fs, bucket = s3fs.S3FileSystem(**options, use_listings_cache=False), f"private-{int(numbered)}"
    fs.mkdir(bucket)
    for name in "ab":
        fs.pipe(f"{bucket}/{name}.jsonl", json.dumps({"text": name}).encode())

    def run() -> list[str]:
        reader = JsonlReader(f"s3://{bucket}", read_kwargs={"storage_options": options}, _generate_ids=numbered)
        executor = LocalExecutor(num_workers=1)
        outputs = Pipeline("p", stages=[reader]).run(executor, checkpoint_path=str(tmp_path / "checkpoint")) or []
        return sorted(text for output in outputs for text in output.to_pandas()["text"])  # pyright: ignore[reportAttributeAccessIssue]

    assert run() == ["a", "b"]
    assert run() == []
    fs.pipe(f"{bucket}/b.jsonl", json.dumps({"text": "changed"}).encode())
    assert run() == ["changed"]
