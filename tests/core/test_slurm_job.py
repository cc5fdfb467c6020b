"""What is read from Slurm's variables, without Ray."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.core.client import RayClient, SlurmRayClient
from nemo_curator.core.slurm import SlurmJob, expand_nodelist, node_names, reachable_address
from nemo_curator.errors import OptionError


@pytest.mark.parametrize(
    ("nodelist", "expected"),
    [
        ("", ()),
        ("gpu1", ("gpu1",)),
        ("gpu1,gpu2", ("gpu1", "gpu2")),
        ("gpu[1-3]", ("gpu1", "gpu2", "gpu3")),
        ("gpu[01-03,07]", ("gpu01", "gpu02", "gpu03", "gpu07")),
        ("gpu[099-101]", ("gpu099", "gpu100", "gpu101")),
        ("gpu[9-11]", ("gpu9", "gpu10", "gpu11")),
        ("a[1,3],b,c[2-3]-ib", ("a1", "a3", "b", "c2-ib", "c3-ib")),
        ("rack[1-2]node[1-2]", ("rack1node1", "rack1node2", "rack2node1", "rack2node2")),
        ("login-1.example.org, gpu[5]", ("login-1.example.org", "gpu5")),
    ],
)
def test_nodelists(nodelist: str, expected: tuple[str, ...]) -> None:
    assert expand_nodelist(nodelist) == expected


@pytest.mark.parametrize("nodelist", ["gpu[1-", "gpu[a-b]", "gpu[3-1]", "gpu1]", "gpu[]", "gpu[[1]]", "gpu[1-2-3]"])
def test_nodelists_that_cannot_be_read(nodelist: str) -> None:
    with pytest.raises(OptionError, match=r"cannot be read: a list such as 'gpu\[01-03,07\],login' was expected"):
        expand_nodelist(nodelist)


def _scontrol(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "scontrol").write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    (folder / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_scontrol_is_asked_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _scontrol(tmp_path, "assert sys.argv[1:] == ['show', 'hostnames', 'x[1-2]']; print('one\\ntwo')", monkeypatch)
    assert node_names("x[1-2]") == ("one", "two")
    _scontrol(tmp_path, "sys.exit(1)", monkeypatch)
    assert node_names("x[1-2]") == ("x1", "x2")
    monkeypatch.setenv("PATH", "")
    assert node_names("x[1-2]") == ("x1", "x2")


def test_a_job_is_what_the_environment_says(tmp_path: Path) -> None:
    assert SlurmJob.of({}) is None
    environ = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a[1-2]", "SLURM_NODEID": "1"}
    job = SlurmJob.of({**environ, "RAY_PORT_BROADCAST_DIR": str(tmp_path / "new")})
    assert job == SlurmJob("7", ("a1", "a2"), 1, tmp_path / "new")
    assert job is not None
    assert job.port_file == tmp_path / "new" / "ray_head_port_7"
    alone = SlurmJob.of({"SLURM_JOB_ID": "7"})
    assert alone is not None
    assert (alone.nodes, alone.rank) == ((socket.gethostname(),), 0)
    with pytest.raises(OptionError, match="start the program with srun"):
        SlurmJob.of({**environ, "SLURM_NODEID": "x"})


def test_a_port_is_published_and_withdrawn(tmp_path: Path) -> None:
    job = SlurmJob("7", ("a", "b"), 0, tmp_path / "shared")
    assert job.published() is None
    job.publish(6379)
    assert job.port_file.read_text() == "6379\n"
    assert job.published() == 6379
    assert [path.name for path in job.folder.iterdir()] == ["ray_head_port_7"]
    job.port_file.write_text("")
    assert job.published() is None
    job.withdraw()
    job.withdraw()
    assert job.published() is None


def test_an_own_name_on_loopback_becomes_an_address_that_leads_out() -> None:
    assert reachable_address("localhost") == reachable_address("127.0.0.1")
    assert reachable_address("10.1.2.3") == "10.1.2.3"
    with pytest.raises(RuntimeError, match=r"'no\.such\.host\.invalid' has no address"):
        reachable_address("no.such.host.invalid")


def test_counts_come_from_slurm_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (SlurmRayClient().num_cpus, SlurmRayClient().num_gpus) == (None, None)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "64")
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "8")
    assert (SlurmRayClient().num_cpus, SlurmRayClient().num_gpus) == (64, 8)
    assert (SlurmRayClient(num_cpus=0, num_gpus=1).num_cpus, SlurmRayClient(num_gpus=1).num_gpus) == (0, 1)
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "many")
    assert SlurmRayClient().num_gpus is None


def test_defaults() -> None:
    client = SlurmRayClient()
    assert isinstance(client, RayClient)
    assert (client.worker_connect_timeout_s, client.cleanup_on_start) == (300, True)
    assert client.ray_dashboard_host == "0.0.0.0"


RANK = """
import sys
from nemo_curator.core.client import SlurmRayClient
SlurmRayClient(worker_connect_timeout_s=float(sys.argv[1])).start()
print("not reached")
"""


def _rank_1(folder: Path, timeout_s: float, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {
        "SLURM_JOB_ID": "7",
        "SLURM_NODEID": "1",
        "SLURM_JOB_NODELIST": "localhost,other",
        "RAY_PORT_BROADCAST_DIR": str(folder),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [python, "-c", RANK, str(timeout_s)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


def test_a_rank_gives_up_on_a_head_that_says_nothing(tmp_path: Path) -> None:
    result = _rank_1(tmp_path, 0.1)
    assert result.returncode == 1
    assert f"TimeoutError: the head node localhost ({reachable_address('localhost')}) told no port in" in result.stderr
    assert "is RAY_PORT_BROADCAST_DIR a folder that all nodes see" in result.stderr


def test_a_port_that_an_earlier_attempt_left_does_not_count(tmp_path: Path) -> None:
    with socket.create_server((reachable_address("localhost"), 0)) as server:
        port = server.getsockname()[1]
    (tmp_path / "ray_head_port_7").write_text(f"{port}\n")
    result = _rank_1(tmp_path, 0.1)
    assert result.returncode == 1
    assert f"told port {port}, where nobody answers, in" in result.stderr


@pytest.mark.parametrize(
    ("ray", "expected"),
    [
        ("import sys; print('ray', *sys.argv[1:3]); sys.exit(7)", 7),
        # The head withdraws its port: the rank has done its part.
        (
            "import os, time; print('ray', flush=True); os.unlink(os.environ['RAY_PORT_BROADCAST_DIR'] + '/ray_head_port_7'); time.sleep(600)",
            0,
        ),
    ],
)
def test_a_rank_ends_with_the_exit_code_of_ray_or_with_the_head(tmp_path: Path, ray: str, expected: int) -> None:
    # The interpreter by another path, with a `ray` beside it that does what the test needs.
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "ray").write_text(f"#!{sys.executable}\n{ray}\n")
    (tmp_path / "ray").chmod(0o755)
    with socket.create_server((reachable_address("localhost"), 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "ray_head_port_7").write_text(f"{port}\n")
        result = _rank_1(tmp_path, 60, python=str(python))
    assert result.returncode == expected, result.stderr
    assert result.stdout.startswith("ray")
    assert "not reached" not in result.stdout
    assert "Traceback" not in result.stderr
    if expected:
        address = "LOCALHOST" if reachable_address("localhost") == "127.0.0.1" else reachable_address("localhost")
        assert result.stdout == f"ray start --address={address}:{port}\n"
