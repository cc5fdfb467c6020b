"""A workflow whose process is killed, again and again, ends with the output of one that was not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dedup_inputs import write_lines

_BEGIN = """
import sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationWorkflow

base, folder = sys.argv[1:]
executor = LocalExecutor(mode="{mode}", num_workers=2)
"""
FUZZY = (
    _BEGIN.format(mode="processes")
    + """
workflow = FuzzyDeduplicationWorkflow(
    base + "/cache", base + "/out", folder, "jsonl", input_blocksize=None, perform_removal=True, char_ngrams=20,
    num_bands=6, minhashes_per_band=4, bands_per_iteration=2, lsh_num_output_partitions=2,
)
workflow.run(executor=executor, checkpoint_path=base + "/checkpoint")
"""
)
# Ten pipelines: with processes most of the time would go into starting them.
SEMANTIC = (
    _BEGIN.format(mode="threads")
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


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("program", "rows", "kept"), [(FUZZY, _texts, 6), (SEMANTIC, _embeddings, 0)], ids=["fuzzy", "semantic"]
)
def test_killed_runs_end_with_the_same_output(program: str, rows: Any, kept: int, tmp_path: Path) -> None:
    chance = random.Random(6)
    folder = write_lines(tmp_path / "in", rows(chance), 6)

    def start(base: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program, str(tmp_path / base), folder])

    begun = time.monotonic()
    assert start("whole").wait() == 0
    whole = time.monotonic() - begun
    for _ in range(2):
        process = start("killed")
        try:
            process.wait(timeout=chance.uniform(0.2, 0.9) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert start("killed").wait() == 0
    outputs = [_files(tmp_path / base / "out") for base in ("killed", "whole")]
    assert outputs[0] == outputs[1]
    assert sum(name.startswith("deduplicated/") for name in outputs[0]) == kept
    assert any("uplicate" in name.split("/")[0] for name in outputs[0])


def _files(folder: Path) -> dict[str, bytes]:
    """Return what is in all files of an output that are not hidden."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in found.items()
        if not any(part.startswith(".") for part in name.parts)
    }
