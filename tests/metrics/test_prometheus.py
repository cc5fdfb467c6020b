"""A Prometheus that is told about clusters. The program itself is a stand-in: what it is given, and what it is asked, is looked at."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from nemo_curator.core import discovery
from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError
from nemo_curator.metrics.utils import (
    add_ray_prometheus_metrics_service_discovery,
    get_prometheus_port,
    is_grafana_running,
    is_prometheus_running,
    remove_ray_prometheus_metrics_service_discovery,
    run_prometheus,
)
from nemo_curator.testing.web import LoopbackWeb, Reply

# Says through a pipe what it was started with, and waits to be ended.
PROGRAM = """#!{python}
import json, signal, sys
print("started")
sys.stdout.flush()
with open({pipe!r}, "w") as pipe:
    json.dump(sys.argv[1:], pipe)
signal.pause()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the pipe of the program that is now on the path."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "prometheus"
    script.write_text(PROGRAM.format(python=sys.executable, pipe=str(pipe)))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    return pipe


def _files(folder: Path) -> list[str]:
    return json.loads((folder / "prometheus.yml").read_text())["scrape_configs"][0]["file_sd_configs"][0]["files"]


def test_it_is_started_and_known_to_run_until_it_ends(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    pid = run_prometheus(folder, 9191)
    try:
        arguments = json.loads(program.read_text())
        assert f"--config.file={folder}/prometheus.yml" in arguments
        assert "--web.listen-address=127.0.0.1:9191" in arguments
        assert "--web.enable-lifecycle" in arguments
        assert (folder / "prometheus.log").read_text() == "started\n"
        assert (get_prometheus_port(folder), is_prometheus_running(folder), _files(folder)) == (9191, True, [])
        with pytest.raises(OptionError, match=r"is running from .*metrics already, on port 9191"):
            run_prometheus(folder)
    finally:
        os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has fetched that
    assert not is_prometheus_running(folder)
    assert not is_grafana_running(folder)


def test_it_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"prometheus is not on the PATH; install it"):
        run_prometheus(tmp_path / "metrics")
    assert not (tmp_path / "metrics").exists()


@pytest.mark.parametrize("content", [None, "", "x", "-1", "0", "99999999999999999999", "4194304"])
def test_a_stale_or_malformed_file_is_no_process(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        for name in ("prometheus", "grafana"):
            (tmp_path / f"{name}.pid").write_text(content)
    assert (is_prometheus_running(tmp_path), is_grafana_running(tmp_path)) == (False, False)


@pytest.mark.parametrize(("content", "port"), [(None, 9090), ("x", 9090), ("9191\n", 9191)])
def test_the_port(content: str | None, port: int, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "prometheus_port.txt").write_text(content)
    assert get_prometheus_port(tmp_path) == port


def _running(folder: Path, web: LoopbackWeb) -> None:
    """Make a folder as `run_prometheus` leaves it, of a server that is there."""
    template = {"scrape_configs": [{"job_name": "ray", "file_sd_configs": [{"files": []}]}], "global": {"other": 1}}
    (folder / "prometheus.yml").write_text(json.dumps(template))
    (folder / "prometheus.pid").write_text(str(os.getpid()))
    (folder / "prometheus_port.txt").write_text(web.url.rpartition(":")[2])


def test_clusters_come_and_go(tmp_path: Path) -> None:
    with LoopbackWeb() as web:
        web.serve("/-/reload", b"")
        _running(tmp_path, web)
        for cluster in ("/tmp/a", "/tmp/b", "/tmp/a"):
            add_ray_prometheus_metrics_service_discovery(cluster, tmp_path)
        assert _files(tmp_path) == [f"/tmp/{name}/prom_metrics_service_discovery.json" for name in "ab"]
        assert [path for path, _ in web.bodies] == ["/-/reload"] * 2
        for cluster in ("/tmp/a", "/tmp/c", "/tmp/a"):
            remove_ray_prometheus_metrics_service_discovery(cluster, tmp_path)
        assert _files(tmp_path) == ["/tmp/b/prom_metrics_service_discovery.json"]
        assert len(web.bodies) == 3
    assert json.loads((tmp_path / "prometheus.yml").read_text())["global"] == {"other": 1}


def test_what_is_wrong_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    remove_ray_prometheus_metrics_service_discovery("/tmp/a", tmp_path)
    with pytest.raises(InputError, match=r"prometheus\.yml is not there: start Prometheus with run_prometheus"):
        add_ray_prometheus_metrics_service_discovery("/tmp/a", tmp_path)
    for content in ("- not: json", "{}", '{"scrape_configs": []}'):
        (tmp_path / "prometheus.yml").write_text(content)
        with pytest.raises(DataError, match="does not list clusters"):
            add_ray_prometheus_metrics_service_discovery("/tmp/a", tmp_path)
    with LoopbackWeb() as web:
        web.serve("/-/reload", Reply(b"", 403))
        _running(tmp_path, web)
        with caplog.at_level(logging.WARNING):
            add_ray_prometheus_metrics_service_discovery("/tmp/a", tmp_path)
    assert "it answered 403 Forbidden; restart it" in caplog.text
    with caplog.at_level(logging.WARNING):
        add_ray_prometheus_metrics_service_discovery("/tmp/b", tmp_path)
    assert "refused" in caplog.text
    assert len(_files(tmp_path)) == 2


def test_a_cluster_that_starts_tells_it(tmp_path: Path) -> None:
    assert not discovery.register("/tmp/a", str(tmp_path))
    with LoopbackWeb() as web:
        web.serve("/-/reload", b"")
        _running(tmp_path, web)
        assert discovery.register("/tmp/a", str(tmp_path))
        assert _files(tmp_path) == ["/tmp/a/prom_metrics_service_discovery.json"]
        discovery.unregister("/tmp/a", str(tmp_path))
        assert _files(tmp_path) == []
