"""The older import paths of the Ray executors: the same classes, and one warning a process that names the stable path."""

from __future__ import annotations

import subprocess
import sys

import pytest

OLD_AND_NEW = [
    ("ray_data", "RayDataExecutor"),
    ("ray_actor_pool", "RayActorPoolExecutor"),
]
SUFFIXES = ["", ".executor"]


def _python(*lines: str) -> str:
    """Run a program in a process of its own, where nothing has been imported; return what it prints."""
    program = "\n".join(["import importlib, warnings", *lines])
    result = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("backend", "executor"), OLD_AND_NEW)
def test_the_old_path_gives_the_same_class_and_warns_once(backend: str, executor: str, suffix: str) -> None:
    old, new = f"nemo_curator.backends.experimental.{backend}{suffix}", f"nemo_curator.backends.{backend}"
    out = _python(
        "with warnings.catch_warnings(record=True) as caught:",
        "    warnings.simplefilter('always')",
        f"    from {old} import {executor} as first",
        f"    from {old} import {executor} as second",
        f"    importlib.import_module('{old}')",
        f"    importlib.import_module('nemo_curator.backends.experimental.{backend}.executor')",
        f"    from {new} import {executor} as stable",
        f"    from {new}.executor import {executor} as inner",
        "print(first is second is stable is inner)",
        "print(*(f'{warning.category.__name__}: {warning.message}' for warning in caught), sep='\\n')",
    )
    same, *said = out.splitlines()
    assert same == "True"
    assert len(said) == 1
    assert said[0].startswith(f"ExperimentalWarning: {executor} is experimental")
    assert f"{new} is the same class" in said[0]


@pytest.mark.parametrize(("backend", "executor"), OLD_AND_NEW)
def test_the_warning_is_blamed_on_who_imports(backend: str, executor: str) -> None:
    out = _python(
        "with warnings.catch_warnings(record=True) as caught:",
        "    warnings.simplefilter('always')",
        f"    from nemo_curator.backends.experimental.{backend} import {executor}",
        "print(caught[0].filename)",
    )
    assert "experimental" not in out, "the warning points into the package, where nobody can change anything"


def test_stable_paths_and_the_rest_of_the_package_do_not_warn() -> None:
    out = _python(
        "with warnings.catch_warnings(record=True) as caught:",
        "    warnings.simplefilter('always')",
        "    import nemo_curator.backends.ray_data, nemo_curator.backends.ray_actor_pool",
        "    import nemo_curator.backends.experimental, nemo_curator.backends.experimental.utils",
        "print([str(warning.message) for warning in caught])",
    )
    assert out.strip() == "[]"


def test_the_warning_can_be_silenced_by_its_class() -> None:
    out = _python(
        "from nemo_curator.errors import ExperimentalWarning",
        "warnings.simplefilter('error')",
        "warnings.simplefilter('ignore', ExperimentalWarning)",
        "from nemo_curator.backends.experimental.ray_data import RayDataExecutor",
        "print(issubclass(ExperimentalWarning, FutureWarning))",
    )
    assert out.strip() == "True"


def test_functions_of_the_old_path_are_those_of_the_new() -> None:
    out = _python(
        "from nemo_curator.backends import utils",
        "from nemo_curator.backends.experimental import utils as old",
        "from nemo_curator.utils import ray_utils",
        "print([n for n in old.__all__ if getattr(old, n) is not getattr(utils, n, getattr(ray_utils, n, None))])",
        "print(*sorted(old.__all__))",
    )
    different, names = out.splitlines()
    assert different == "[]"
    assert names.split() == [
        "RayStageSpecKeys",
        "execute_setup_on_node",
        "get_available_cpu_gpu_resources",
        "get_head_node_id",
        "get_worker_metadata_and_node_id",
        "is_head_node",
    ]
