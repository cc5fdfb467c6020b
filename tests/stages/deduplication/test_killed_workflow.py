"""A workflow whose process is killed, again and again, ends with the output of one that was not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dedup_inputs import write_lines

_BEGIN = """
import json, sys
from nemo_curator.backends.registry import make_executor
from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationWorkflow

backend, options, base, folder = sys.argv[1:]
executor = make_executor(backend, **json.loads(options))
"""
EXACT = (
    _BEGIN
    + """
workflow = ExactDeduplicationWorkflow(
    base + "/out", folder, "jsonl", input_blocksize=None, total_nparts=3, perform_removal=True,
)
workflow.run(executor=executor, checkpoint_path=base + "/checkpoint")
"""
)
FUZZY = (
    _BEGIN
    + """
workflow = FuzzyDeduplicationWorkflow(
    base + "/cache", base + "/out", folder, "jsonl", input_blocksize=None, perform_removal=True, char_ngrams=20,
    num_bands=6, minhashes_per_band=4, bands_per_iteration=2, lsh_num_output_partitions=2,
)
workflow.run(executor=executor, checkpoint_path=base + "/checkpoint")
"""
)
SEMANTIC = (
    _BEGIN
    + """
workflow = SemanticDeduplicationWorkflow(
    folder, base + "/out", 4, cache_path=base + "/cache", eps=0.05, input_filetype="jsonl", input_blocksize=None,
)
workflow.run(executor, checkpoint_path=base + "/checkpoint")
"""
)


def _texts(chance: random.Random) -> list[dict[str, Any]]:
    words = [f"word{at}" for at in range(100)]
    texts = [" ".join(chance.choices(words, k=40)) for _ in range(40)]
    return [{"text": text} for text in texts + [f"{text} end" for text in texts[:20]]]


def _embeddings(chance: random.Random) -> list[dict[str, Any]]:
    vectors = [[chance.gauss(0, 1) for _ in range(6)] for _ in range(40)]
    vectors += [[value + 0.01 for value in vector] for vector in vectors[:20]]
    return [{"id": at, "embeddings": vector} for at, vector in enumerate(vectors)]


_WORKFLOWS = {"exact": (EXACT, _texts, 6), "fuzzy": (FUZZY, _texts, 6), "semantic": (SEMANTIC, _embeddings, 0)}
"""Program, input, and how many files are left when duplicates are removed."""


def _kill_until_done(name: str, kills: int, folder: Path, backend: str, **options: Any) -> None:
    """Kill a workflow so many times at random moments, let it end, and see that it leaves what one leaves that was not killed."""
    program, rows, kept = _WORKFLOWS[name]
    chance = random.Random(6)
    source = write_lines(folder / "in", rows(chance), 6)

    def start(base: str) -> subprocess.Popen[bytes]:
        arguments = (backend, json.dumps(options), str(folder / base), source)
        return subprocess.Popen([sys.executable, "-c", program, *arguments])

    begun = time.monotonic()
    assert start("whole").wait() == 0
    whole = time.monotonic() - begun
    for _ in range(kills):
        process = start("killed")
        try:
            process.wait(timeout=chance.uniform(0.2, 0.9) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert start("killed").wait() == 0
    outputs = [_files(folder / base / "out") for base in ("killed", "whole")]
    assert outputs[0] == outputs[1]
    assert sum(path.startswith("deduplicated/") for path in outputs[0]) == kept
    assert any("uplicate" in path.split("/")[0] for path in outputs[0])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "kills", "mode"),
    # The semantic one has ten pipelines: with processes most of the time would go into starting them.
    [("exact", 5, "processes"), ("fuzzy", 2, "processes"), ("semantic", 2, "threads")],
    ids=["exact", "fuzzy", "semantic"],
)
def test_killed_runs_end_with_the_same_output(name: str, kills: int, mode: str, tmp_path: Path) -> None:
    _kill_until_done(name, kills, tmp_path, "local", mode=mode, num_workers=2)


@pytest.mark.ray
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend_name", ["ray_actor_pool", "ray_data", "xenna"])
@pytest.mark.parametrize("name", _WORKFLOWS)
def test_five_times_killed_on_ray(name: str, backend_name: str, cluster: str, tmp_path: Path) -> None:
    _kill_until_done(name, 5, tmp_path, backend_name, address=cluster)


def _files(folder: Path) -> dict[str, bytes]:
    """Return what is in all files of an output that are not hidden."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in found.items()
        if not any(part.startswith(".") for part in name.parts)
    }
