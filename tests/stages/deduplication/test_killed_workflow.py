"""A workflow whose process is killed, again and again, ends with the output of one that was not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dedup_inputs import contents, write_lines

PROGRAM = """
import sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow

base, folder = sys.argv[1:]
workflow = FuzzyDeduplicationWorkflow(
    f"{base}/cache", f"{base}/out", folder, "jsonl", input_blocksize=None, perform_removal=True, char_ngrams=20,
    num_bands=6, minhashes_per_band=4, bands_per_iteration=2, lsh_num_output_partitions=2,
)
workflow.run(executor=LocalExecutor(mode="processes", num_workers=2), checkpoint_path=f"{base}/checkpoint")
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_runs_end_with_the_same_output(tmp_path: Path) -> None:
    chance = random.Random(6)
    words = [f"word{at}" for at in range(100)]
    texts = [" ".join(chance.choices(words, k=40)) for _ in range(40)]
    texts += [f"{text} end" for text in texts[:20]]
    folder = write_lines(tmp_path / "in", [{"text": text} for text in texts], 6)

    def start(base: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / base), folder])

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
    assert contents(tmp_path / "killed/out") == contents(tmp_path / "whole/out")
    kept = [
        {path.name: path.read_bytes() for path in (tmp_path / base / "out/deduplicated").iterdir() if path.is_file()}
        for base in ("killed", "whole")
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 6
