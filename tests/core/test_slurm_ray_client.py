"""Two ranks of a Slurm job, as two processes of this machine, with a real Ray between them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from nemo_curator.core.client import SlurmRayClient
client = SlurmRayClient(
    num_cpus=1, object_store_memory=80_000_000, ray_dashboard_host="127.0.0.1", worker_connect_timeout_s=float(sys.argv[1])
)
with client:
    import ray
    ray.init(log_to_driver=False)
    print(json.dumps([len(ray.nodes()), ray.cluster_resources()["CPU"]]), flush=True)
"""


def _rank(number: int, folder: Path, timeout_s: float) -> subprocess.Popen[str]:
    environment = {
        "SLURM_JOB_ID": "42",
        "SLURM_NODEID": str(number),
        "SLURM_JOB_NODELIST": "localhost,other",
        "RAY_PORT_BROADCAST_DIR": str(folder),
        "PATH": "/usr/bin:/bin",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(timeout_s)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.ray
def test_the_program_runs_on_the_head_with_all_nodes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "ray_head_port_42").write_text("1\n")  # an earlier attempt's
    with _rank(0, tmp_path, 90) as head, _rank(1, tmp_path, 90) as worker:
        said, errors = head.communicate(timeout=110)
        assert head.returncode == 0, errors
        assert json.loads(said) == [2, 2.0]
        worker_said, worker_errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, worker_errors + worker_said
        # What stands after start() did not run there.
        assert "[2, 2.0]" not in worker_said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_the_head_gives_up_on_nodes_that_do_not_come(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with _rank(0, tmp_path, 0.5) as head:
        _, errors = head.communicate(timeout=110)
        assert head.returncode == 1
    assert "TimeoutError: 1 of 2 nodes joined within 0.5 s (worker_connect_timeout_s)" in errors
    assert list(tmp_path.iterdir()) == []
