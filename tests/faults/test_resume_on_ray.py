"""Runs on Ray's engines that are killed and go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_runs import kill_until_done

BACKENDS = ["ray_actor_pool", "ray_data", "xenna"]
pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_a_killed_run_ends_with_the_same_output(name: str, cluster: str, tmp_path: Path) -> None:
    kill_until_done(tmp_path, 7, 1, name, address=cluster)


@pytest.mark.soak
@pytest.mark.parametrize("name", BACKENDS)
def test_ten_kills(name: str, cluster: str, tmp_path: Path) -> None:
    kill_until_done(tmp_path, 11, 10, name, address=cluster)
