"""Telling a Prometheus that this package started about a cluster, where there is one."""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["register", "unregister"]

_log = logging.getLogger(__name__)


def register(ray_temp_dir: str, metrics_dir: str | None) -> bool:
    """Let Prometheus read this cluster's metrics; return whether there is one that does.

    A cluster runs as well without: what is in the way is logged, as a warning if the caller named a `metrics_dir`.
    """
    folder = metrics_dir or default_metrics_dir()
    utils = _metrics()
    if utils is None or not utils.is_prometheus_running(folder):
        level = logging.WARNING if metrics_dir else logging.INFO
        _log.log(level, "no Prometheus is running from %s: metrics of this cluster are not collected", folder)
        return False
    try:
        utils.add_ray_prometheus_metrics_service_discovery(ray_temp_dir, folder)
    except Exception:
        _log.warning("Prometheus in %s cannot be told about this cluster", folder, exc_info=True)
        return False
    return True


def unregister(ray_temp_dir: str, metrics_dir: str | None) -> None:
    """Take the cluster out again."""
    utils = _metrics()
    if utils is None:
        return
    folder = metrics_dir or default_metrics_dir()
    try:
        utils.remove_ray_prometheus_metrics_service_discovery(ray_temp_dir, folder)
    except Exception:
        _log.warning("Prometheus in %s still looks for a cluster that is gone", folder, exc_info=True)


def default_metrics_dir() -> str:
    """Return where Prometheus is started from unless told otherwise."""
    return str(Path(tempfile.gettempdir()) / f"nemo_curator_metrics_{os.getuid()}")


def _metrics() -> Any:
    try:
        return importlib.import_module("nemo_curator.metrics.utils")
    except ModuleNotFoundError:
        return None
