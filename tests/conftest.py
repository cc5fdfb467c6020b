"""Shared by all tests: a clean environment, and the backends that the conformance suite runs on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.testing import BackendUnderTest

settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    # A failure in CI says how to have it again anywhere.
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("default")

for _name in list(os.environ):
    if _name.startswith(("NEMO_CURATOR_", "CURATOR_", "RAY_", "SLURM_")):
        del os.environ[_name]


def _local(mode: str) -> Callable[..., BaseExecutor]:
    def make(**options: Any) -> BaseExecutor:
        # Two workers, and room for a stage of two CPUs, whatever machine the tests run on.
        return LocalExecutor(**{"mode": mode, "num_workers": 2, "cpus": 2, **options})

    return make


BACKENDS = {f"local-{mode}": _local(mode) for mode in ("inline", "threads", "processes")}


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> BackendUnderTest:
    """Every backend in turn."""
    return BackendUnderTest(request.param, BACKENDS[request.param], tmp_path)
