"""Real clusters on this machine. Starting one costs seconds: most tests share the first."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from nemo_curator.core import await_nodes
from nemo_curator.core.client import RayClient
from nemo_curator.core.utils import check_ray_responsive
from nemo_curator.testing.nodes import add_node
from tests.core.processes import has_ended, wait_for

ON_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def members(folder: str) -> list[psutil.Process]:
    """Processes of the cluster that keeps its files in that folder."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = folder in " ".join(process.cmdline()) or any(
                folder in connection.laddr for connection in process.net_connections("unix") if connection.laddr
            )
            mine = mine or folder in " ".join(str(value) for value in process.environ().values())
        except psutil.Error:
            continue
        if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def listening(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    found = set()
    for process in processes:
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


def drive(code: str) -> str:
    """Run a driver of its own against the cluster that `RAY_ADDRESS` names, and return what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", f"import ray\nray.init(log_to_driver=False)\n{code}"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@dataclass
class Started:
    client: RayClient
    capture: Path
    before: dict[str, str]
    during: dict[str, str]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    pytest.importorskip("ray")
    capture = tmp_path_factory.mktemp("capture") / "ray.log"
    client = RayClient(
        num_cpus=2,
        num_gpus=0,
        object_store_memory=80_000_000,
        enable_object_spilling=True,
        ray_stdouterr_capture_file=str(capture),
    )
    before = environment()
    with client:
        yield Started(client, capture, before, environment())
    assert environment() == before


@pytest.mark.ray
def test_only_the_address_changes_in_the_environment(started: Started) -> None:
    address = started.during.pop("RAY_ADDRESS")
    assert address == f"LOCALHOST:{started.client.ray_port}"
    assert started.during == started.before
    assert check_ray_responsive(timeout_s=30)


@pytest.mark.ray
def test_what_ray_said_is_captured(started: Started) -> None:
    assert "Ray runtime started." in started.capture.read_text()
    with pytest.raises(FileExistsError, match="is already there: remove it, or name another"):
        RayClient(ray_stdouterr_capture_file=str(started.capture))


@pytest.mark.ray
def test_a_driver_connects_and_objects_that_do_not_fit_are_spilled(started: Started) -> None:
    code = """
import glob, json, numpy, os, tempfile

@ray.remote(num_cpus=1)
def look():
    return [os.environ.get(name) for name in (
        "RAY_MAX_LIMIT_FROM_API_SERVER", "RAY_MAX_LIMIT_FROM_DATA_SOURCE", "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
    )]

blocks = [ray.put(numpy.zeros(20_000_000, dtype=numpy.uint8)) for _ in range(6)]
spilled = glob.glob(tempfile.gettempdir() + "/ray_spill/*/*/*")
print(json.dumps([len(spilled), sum(len(ray.get(block)) for block in blocks), ray.cluster_resources()["CPU"], ray.get(look.remote())]))
"""
    files, size, cpus, limits = json.loads(drive(code))
    assert files > 0
    assert (size, cpus) == (120_000_000, 2.0)
    # The limits reach the cluster's processes; which devices a worker sees stays Ray's to say.
    assert limits == ["40000", "40000", None]


@pytest.mark.ray
def test_everything_listens_on_loopback_only(started: Started) -> None:
    assert started.client.ray_process is not None
    ports = {started.client.ray_port, started.client.ray_dashboard_port, started.client.ray_client_server_port}
    seen: set[tuple[str, int]] = set()

    def complete() -> bool:
        assert started.client.ray_process is not None
        seen.update(listening(below(started.client.ray_process.pid)))
        return ports <= {port for _, port in seen} and len(seen) >= 10

    wait_for(complete)
    assert {host for host, _ in seen} <= ON_LOOPBACK


@pytest.mark.ray
def test_a_second_client_uses_the_cluster_and_leaves_it_alone(started: Started) -> None:
    with RayClient() as second:
        assert second.ray_process is None
        assert os.environ["RAY_ADDRESS"] == f"LOCALHOST:{started.client.ray_port}"
    assert os.environ["RAY_ADDRESS"] == f"LOCALHOST:{started.client.ray_port}"
    assert check_ray_responsive(timeout_s=30)


@pytest.mark.ray
def test_further_nodes_are_counted(started: Started, tmp_path: Path) -> None:
    address = os.environ["RAY_ADDRESS"]
    with add_node(address, tmp_path / "node.log") as node:
        command = [sys.executable, "-P", await_nodes.__file__, address, "2", "60"]
        counted = subprocess.run(command, capture_output=True, text=True)
        assert (counted.returncode, counted.stdout) == (0, "2\n"), counted.stderr + (tmp_path / "node.log").read_text()
        assert {host for host, _ in listening(below(node.pid))} <= ON_LOOPBACK


TWO_AT_ONCE = """
import json, os, threading
from nemo_curator.core.client import RayClient
import ray
client = RayClient(num_cpus=1, object_store_memory=80_000_000)
thread = threading.Thread(target=client.start)
thread.start()
thread.join()
ray.init(log_to_driver=False)

@ray.remote(num_cpus=1)
class Busy:
    def pid(self):
        return os.getpid()

actor = Busy.remote()
print(json.dumps({
    "actor": ray.get(actor.pid.remote()), "keeper": client.ray_process.pid, "port": client.ray_port,
    "dashboard": client.ray_dashboard_port, "folder": client.ray_temp_dir,
}), flush=True)
if input() == "stop":
    client.stop()
    client.stop()
    assert "RAY_ADDRESS" not in os.environ
    print(json.dumps([ray.is_initialized(), client.ray_port, client.ray_process is None]))
"""


@pytest.fixture
def other(started: Started) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    driver = subprocess.Popen(
        [sys.executable, "-c", TWO_AT_ONCE],
        env=clean,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with driver:
        yield driver
        driver.kill()


def _facts(driver: subprocess.Popen[str]) -> dict[str, object]:
    assert driver.stdout is not None
    line = driver.stdout.readline()
    assert line, driver.communicate()[1]
    return json.loads(line)


@pytest.mark.ray
def test_two_clusters_live_side_by_side(started: Started, other: subprocess.Popen[str]) -> None:
    facts = _facts(other)
    processes = [*below(int(str(facts["keeper"]))), psutil.Process(int(str(facts["keeper"])))]
    assert int(str(facts["actor"])) in {process.pid for process in processes}
    mine = started.client
    assert {facts["port"], facts["dashboard"]}.isdisjoint({mine.ray_port, mine.ray_dashboard_port})
    assert facts["folder"] != mine.ray_temp_dir
    said, errors = other.communicate("stop\n")
    assert other.returncode == 0, errors
    assert json.loads(said) == [False, 6379, True]
    assert not any(process.is_running() for process in processes)
    assert members(str(facts["folder"])) == []
    assert not Path(str(facts["folder"])).exists()
    assert check_ray_responsive(timeout_s=30)


@pytest.mark.ray
def test_nothing_is_left_after_the_driver_was_killed(started: Started, other: subprocess.Popen[str]) -> None:
    facts = _facts(other)
    folder = str(facts["folder"])
    processes = [*below(int(str(facts["keeper"]))), psutil.Process(int(str(facts["keeper"])))]
    assert len(processes) > 8
    other.send_signal(signal.SIGKILL)
    other.wait()
    wait_for(lambda: all(has_ended(process) for process in processes), timeout_s=20)
    assert members(folder) == []
    wait_for(lambda: not Path(folder).exists())
    assert check_ray_responsive(timeout_s=30)


@pytest.mark.ray
def test_a_start_that_fails_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    client = RayClient(object_store_memory=1)
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match=r"(?s)did not start: `ray start` ended with code 1. It said:.*memory"):
        client.start()
    assert dict(os.environ) == before
    assert client == RayClient(object_store_memory=1)


@pytest.mark.parametrize("name", ["ray_port", "ray_dashboard_port", "ray_client_server_port", "ray_metrics_port"])
def test_a_busy_port_that_was_asked_for_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = RayClient(**{name: port})
        with pytest.raises(RuntimeError, match=f"port {port} is busy: give another one, or leave the default"):
            client.start()
    assert "RAY_ADDRESS" not in os.environ
    assert client == RayClient(**{name: port})


def test_with_an_address_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:6379")
    with RayClient() as client:
        assert client.ray_process is None
    assert os.environ["RAY_ADDRESS"] == "somewhere:6379"


def test_stop_without_start_does_nothing() -> None:
    RayClient().stop()


def test_an_existing_capture_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ray.log"
    path.write_text("old")
    with pytest.raises(FileExistsError, match=r"ray\.log is already there"):
        RayClient(ray_stdouterr_capture_file=str(path))
    assert path.read_text() == "old"
