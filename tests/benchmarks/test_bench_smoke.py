"""The benchmarks run from their command line. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "names", [("import_time", "hello", "fineweb_recipe"), ("language_identification", "extraction")], ids="-".join
)
def test_entries_print_ratios_and_write_every_run(tmp_path: Path, names: tuple[str, ...]) -> None:
    told = tmp_path / "told.json"
    options = ["--tiny", "--repeats", "1", "--markdown", "--json", str(told)]
    command = [sys.executable, "-m", "benchmarks", *names, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    assert "| reference |" in done.stdout
    entries = json.loads(told.read_text())["entries"]
    assert set(entries) == set(names)
    for entry in entries.values():
        for case in entry["cases"]:
            assert case["ratios"][case["reference"]]["median"] == 1
            assert all(len(runs) == 1 for runs in case["runs"].values())
            for name, ratio in case["ratios"].items():
                assert f"| {name} |" in done.stdout
                assert ratio["low"] <= ratio["median"] <= ratio["high"]


@pytest.mark.ray
@pytest.mark.slow
def test_an_entry_on_ray_has_a_cluster_for_its_run(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("cosmos_xenna")
    told = tmp_path / "told.json"
    command = [sys.executable, "-m", "benchmarks", "ray_model_stage", "--tiny", "--repeats", "1", "--json", str(told)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)

    assert done.returncode == 0, done.stderr
    (case,) = json.loads(told.read_text())["entries"]["ray_model_stage"]["cases"]
    assert set(case["runs"]) == {"LocalExecutor", "RayActorPoolExecutor, ours"}
    assert not case["absent"]
    for runs in case["runs"].values():
        assert all(0 < run["facts"]["busy_mean"] <= 1 for run in runs)


@pytest.mark.slow
def test_a_film_is_cut_into_the_same_clips_by_all(tmp_path: Path) -> None:
    pytest.importorskip("av")
    told = tmp_path / "told.json"
    command = [sys.executable, "-m", "benchmarks", "video_clips", "--tiny", "--repeats", "1", "--json", str(told)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)

    assert done.returncode == 0, done.stderr
    (case,) = json.loads(told.read_text())["entries"]["video_clips"]["cases"]
    if case["absent"]:
        pytest.skip(str(case["absent"]))
    assert set(case["runs"]) == {"by hand, PyAV", "LocalExecutor"}
    assert {run["facts"]["clips"] for runs in case["runs"].values() for run in runs} == {2}
