"""`tutorials/slurm/retry_array.py` prints what is to be submitted again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.backends.slurm_array import SlurmArrayConfig, build_slurm_array_completion_manifest

SCRIPT = Path(__file__).parents[2] / "tutorials" / "slurm" / "retry_array.py"


def _run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--checkpoint-path", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _array(path: Path, complete: list[int], total: int = 6, minimum: int = 0) -> None:
    for shard in [minimum, *complete]:
        manifest = build_slurm_array_completion_manifest(path, SlurmArrayConfig(shard, total, minimum))
        if shard in complete:
            manifest.mark_completed()


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "1-2,5\n"),
        (["--format", "array"], "1-2,5\n"),
        (["--format", "fields"], "1-2,5 0 6 0\n"),
        (["--max-array-size", "6"], "1-2,5\n"),
        (["--max-array-size", "3"], "1-2\n2 offset=3\n"),
        (["--max-array-size", "3", "--format", "fields"], "1-2 0 6 0\n2 3 6 0\n"),
    ],
)
def test_what_is_missing_is_printed(tmp_path: Path, arguments: list[str], printed: str) -> None:
    _array(tmp_path, [0, 3, 4])
    said = _run(tmp_path, *arguments)
    assert (said.returncode, said.stdout, said.stderr) == (0, printed, "")


def test_the_first_index_is_printed(tmp_path: Path) -> None:
    _array(tmp_path, [5], minimum=1)
    assert _run(tmp_path, "--format", "fields").stdout == "1-4,6 0 6 1\n"


def test_nothing_missing_prints_nothing(tmp_path: Path) -> None:
    _array(tmp_path, list(range(6)))
    said = _run(tmp_path)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "all 6 shards are complete\n")


@pytest.mark.parametrize("name", ["", "mistyped"])
def test_a_path_without_an_array_is_told(tmp_path: Path, name: str) -> None:
    said = _run(tmp_path / name)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == f"no Slurm array has run with the checkpoint {tmp_path / name}; look at the path\n"


def test_what_is_damaged_is_told_in_a_sentence(tmp_path: Path) -> None:
    _array(tmp_path, [0])
    (manifest,) = tmp_path.rglob("completed_*.json")
    manifest.write_text("[]")
    said = _run(tmp_path)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"{manifest} is not a completion manifest")
    assert "Traceback" not in said.stderr


def test_a_size_without_room_is_told(tmp_path: Path) -> None:
    _array(tmp_path, [0])
    said = _run(tmp_path, "--max-array-size", "0")
    assert (said.returncode, said.stdout) == (1, "")
    assert "MaxArraySize" in said.stderr


LOOP = """
script() { "$PYTHON" "$SCRIPT" --checkpoint-path "$CHECKPOINT" --format fields --max-array-size 4; }
script | while read -r array OFFSET total minimum; do
    export OFFSET NEMO_CURATOR_SLURM_ARRAY_TOTAL_SHARDS="$total" NEMO_CURATOR_SLURM_ARRAY_MINIMUM_SHARD_INDEX="$minimum"
    for SLURM_ARRAY_TASK_ID in $(echo "$array" | tr ',' ' '); do
        export NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX=$((SLURM_ARRAY_TASK_ID + ${OFFSET:-0}))
        "$PYTHON" -c "$JOB" "$CHECKPOINT"
    done
done
script
"""
JOB = """
import sys
from nemo_curator.backends.slurm_array import SlurmArrayConfig, build_slurm_array_completion_manifest
config = SlurmArrayConfig.from_env()
build_slurm_array_completion_manifest(sys.argv[1], config).mark_completed()
print(config.shard_index)
"""


def test_a_loop_like_the_tutorials_completes_the_array(tmp_path: Path) -> None:
    _array(tmp_path, [1, 3, 4, 6])
    environment = {"PYTHON": sys.executable, "SCRIPT": str(SCRIPT), "CHECKPOINT": str(tmp_path), "JOB": JOB}
    said = subprocess.run(
        ["sh", "-c", LOOP],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert (said.stdout, said.stderr) == ("0\n2\n5\n", "all 6 shards are complete\n")
