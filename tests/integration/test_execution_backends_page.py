"""What the public page about execution backends shows and says is true here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytest.importorskip("cosmos_xenna")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

MINIMAL = """
from nemo_curator.pipeline import Pipeline
from nemo_curator.backends.xenna import XennaExecutor

# Build your pipeline
pipeline = Pipeline(name="curator_pipeline")
from nemo_curator.testing.stages import Add, Count
pipeline.add_stage(Count(5))
pipeline.add_stage(Add(1))

# Run with Xenna (recommended)
executor = XennaExecutor(config={"execution_mode": "streaming"})
results = pipeline.run(executor)

print(f"Completed with {len(results) if results else 0} output tasks")
"""

OTHERS = """
import os, warnings
from nemo_curator.errors import ExperimentalWarning
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing.stages import Add, Count

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from nemo_curator.backends.experimental.ray_data import RayDataExecutor
    from nemo_curator.backends.experimental.ray_actor_pool import RayActorPoolExecutor
    assert [w.category for w in caught if issubclass(w.category, ExperimentalWarning)] == [ExperimentalWarning] * 2

pipeline = Pipeline(name="example_pipeline", description="Curator pipeline")
pipeline.add_stage(Count(5)).add_stage(Add(1))
for executor in (RayDataExecutor(), RayActorPoolExecutor()):
    results = pipeline.run(executor)
    print(len(results), executor.name)

# Somebody has named a cluster, so that nobody need name an executor.
print(len(pipeline.run()), pipeline.last_report.backend)
del os.environ["RAY_ADDRESS"]
print(len(pipeline.run()), pipeline.last_report.backend)
"""


def _run(program: str, folder: Path, **environment: str) -> str:
    script = folder / "program.py"
    script.write_text(program)
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=known, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_minimal_program_as_it_stands_with_no_cluster_anywhere(tmp_path: Path) -> None:
    assert "Completed with 5 output tasks" in _run(MINIMAL, tmp_path)


def test_the_other_executors_and_the_default(tmp_path: Path, cluster: str) -> None:
    said = _run(OTHERS, tmp_path, RAY_ADDRESS=cluster)
    for line in ("5 ray_data", "5 ray_actor_pool", "5 xenna", "5 local"):
        assert line in said
