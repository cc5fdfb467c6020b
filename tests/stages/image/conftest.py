"""Fixtures of the tests of images."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.testing import BackendUnderTest

# Without the extra there is nothing to test here.
collect_ignore_glob = [] if find_spec("PIL") else ["test_*.py"]


@pytest.fixture
def backend_inline(tmp_path: Path) -> BackendUnderTest:
    """Everything in this thread, and pickled as if it were not."""
    return BackendUnderTest("inline", lambda **options: LocalExecutor(mode="inline", strict=True, **options), tmp_path)


@pytest.fixture(params=["inline", "threads", "processes"])
def local_backend(request: pytest.FixtureRequest, tmp_path: Path) -> BackendUnderTest:
    """The local modes in turn; one test of images runs on every backend."""
    mode: str = request.param
    return BackendUnderTest(
        mode, lambda **options: LocalExecutor(mode=mode, num_workers=2, cpus=2, **options), tmp_path
    )  # pyright: ignore[reportArgumentType]
