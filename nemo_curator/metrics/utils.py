"""Prometheus beside Ray clusters: started from a folder, told which clusters there are, and asked whether it runs.

In the folder are ``prometheus.yml`` (in JSON, which is YAML), ``prometheus.pid`` and ``prometheus_port.txt``. Ray writes where its nodes serve
metrics into a file of each cluster's folder; Prometheus looks into the files that its configuration lists. `RayClient` adds its own when it
starts and takes it out when it stops. Nothing is downloaded: the program ``prometheus`` must be installed. Grafana is not started by this
package; if another has noted one in the folder, `is_grafana_running` says so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError
from nemo_curator.utils.atomic_io import atomic_output

__all__ = [
    "add_ray_prometheus_metrics_service_discovery",
    "get_prometheus_port",
    "is_grafana_running",
    "is_prometheus_running",
    "remove_ray_prometheus_metrics_service_discovery",
    "run_prometheus",
]

_log = logging.getLogger(__name__)

_CONFIG, _PORT_FILE = "prometheus.yml", "prometheus_port.txt"
_DEFAULT_PORT = 9090
_RELOAD_SECONDS = 5.0
_BAD_REQUEST = 400


def run_prometheus(metrics_dir: str | os.PathLike[str], prometheus_web_port: int = _DEFAULT_PORT) -> int:
    """Start Prometheus, on loopback only, with a configuration that lists no cluster yet; return the id of its process.

    It goes on when this process ends: ``kill $(cat prometheus.pid)`` ends it. Its data and log are in the folder too.

    Args:
        metrics_dir: The folder; made if it is not there. `RayClient` looks into ``nemo_curator_metrics_<uid>`` below the system's folder for
            temporary files, unless it is given another.
        prometheus_web_port: Where it serves its pages.

    Raises:
        MissingExtra: The program is not installed.
        OptionError: One is running from that folder already.
    """
    folder = Path(metrics_dir).absolute()
    if is_prometheus_running(folder):
        message = f"a Prometheus is running from {folder} already, on port {get_prometheus_port(folder)}; choose another folder, or end it"
        raise OptionError(message)
    program = shutil.which("prometheus")
    if program is None:
        message = (
            "the program prometheus is not on the PATH; install it from your system's packages or from prometheus.io"
        )
        raise MissingExtra(message)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, _template())
    command = [
        program,
        f"--config.file={folder / _CONFIG}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus_web_port}",
        "--web.enable-lifecycle",
    ]
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(folder / "prometheus.log"), output, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Not of `subprocess`, which would hold on to a process that shall outlive this one.
    pid = os.posix_spawn(program, command, os.environ, file_actions=files, setsid=True)
    (folder / _PORT_FILE).write_text(f"{prometheus_web_port}\n")
    (folder / "prometheus.pid").write_text(f"{pid}\n")
    return pid


def is_prometheus_running(metrics_dir: str | os.PathLike[str]) -> bool:
    """Say whether the process that ``prometheus.pid`` names is alive."""
    return _is_alive(Path(metrics_dir) / "prometheus.pid")


def is_grafana_running(metrics_dir: str | os.PathLike[str]) -> bool:
    """Say whether the process that ``grafana.pid`` names is alive."""
    return _is_alive(Path(metrics_dir) / "grafana.pid")


def get_prometheus_port(metrics_dir: str | os.PathLike[str]) -> int:
    """Return the port that ``prometheus_port.txt`` names; 9090 if it names none."""
    try:
        return int((Path(metrics_dir) / _PORT_FILE).read_text())
    except (OSError, ValueError):
        return _DEFAULT_PORT


def add_ray_prometheus_metrics_service_discovery(
    ray_temp_dir: str | os.PathLike[str], metrics_dir: str | os.PathLike[str]
) -> None:
    """Let Prometheus read a cluster's metrics. Nothing happens if it does already.

    Args:
        ray_temp_dir: The cluster's folder.
        metrics_dir: The folder that Prometheus was started from.

    Raises:
        InputError: There is no configuration in that folder.
        DataError: It is not one that lists clusters.
    """
    file = _discovery_file(ray_temp_dir)
    _change(metrics_dir, lambda files: None if file in files else [*files, file])


def remove_ray_prometheus_metrics_service_discovery(
    ray_temp_dir: str | os.PathLike[str], metrics_dir: str | os.PathLike[str]
) -> None:
    """Take a cluster out again. Nothing happens if it is not listed, or if there is no configuration.

    Args:
        ray_temp_dir: The cluster's folder.
        metrics_dir: The folder that Prometheus was started from.

    Raises:
        DataError: The configuration is not one that lists clusters.
    """
    file = _discovery_file(ray_temp_dir)
    if (Path(metrics_dir) / _CONFIG).exists():
        _change(metrics_dir, lambda files: [other for other in files if other != file] if file in files else None)


def _discovery_file(ray_temp_dir: str | os.PathLike[str]) -> str:
    return os.path.join(os.path.abspath(ray_temp_dir), "prom_metrics_service_discovery.json")


def _template() -> dict[str, Any]:
    every = {"scrape_interval": "10s", "evaluation_interval": "10s"}
    return {"global": every, "scrape_configs": [{"job_name": "ray", "file_sd_configs": [{"files": []}]}]}


def _change(metrics_dir: str | os.PathLike[str], change: Callable[[list[str]], list[str] | None]) -> None:
    """Replace the list of files, unless `change` returns nothing, and let Prometheus read its configuration again."""
    path = Path(metrics_dir) / _CONFIG
    try:
        content = json.loads(path.read_bytes())
        listing = content["scrape_configs"][0]["file_sd_configs"][0]
        files = change([str(file) for file in listing["files"]])
    except FileNotFoundError as error:
        message = f"{path} is not there: start Prometheus with run_prometheus({str(metrics_dir)!r})"
        raise InputError(message) from error
    except (ValueError, LookupError, TypeError) as error:
        message = f"{path} does not list clusters as run_prometheus writes it: it is damaged, or another configuration"
        raise DataError(message) from error
    if files is None:
        return
    listing["files"] = files
    _write(Path(metrics_dir), content)
    _reload(get_prometheus_port(metrics_dir))


def _write(folder: Path, content: dict[str, Any]) -> None:
    with atomic_output(folder / _CONFIG, mode="w") as handle:
        json.dump(content, handle, indent=2)
        handle.write("\n")


def _reload(port: int) -> None:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=_RELOAD_SECONDS)) as connection:
        try:
            connection.request("POST", "/-/reload")
            response = connection.getresponse()
            problem = None if response.status < _BAD_REQUEST else f"it answered {response.status} {response.reason}"
        except (HTTPException, OSError) as error:
            problem = str(error)
    if problem:
        _log.warning("Prometheus on port %d did not read its configuration again: %s; restart it", port, problem)


def _is_alive(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text())
        if pid <= 0:
            return False
        os.kill(pid, 0)
    except (OSError, ValueError, OverflowError) as error:
        # Somebody else's process is a process.
        return isinstance(error, PermissionError) and error.filename is None
    # One of our own that has ended, and that nobody has waited for, would seem to live.
    with contextlib.suppress(ChildProcessError, AttributeError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    return True
