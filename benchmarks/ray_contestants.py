"""Contestants on Ray: our executors and those of nemo-curator 1.4.0, which run the same programs, with a cluster up or not.

Each distribution has an environment of its own under ``benchmarks/out`` with its own Ray; nemo-curator's source is not
read, it is only run by its documented interface. The programs are found in both without the repository on the path, where our
package would hide theirs: Python is told to leave the folder out that it is started in, and is started elsewhere, as Ray puts that
folder on the path of its workers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.clusters import Cluster, no_cluster
from benchmarks.corpus import OUT
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import CaseResult, Contestant, Scale
from benchmarks.measure import ROOT, program

__all__ = [
    "ENGINES",
    "LOCAL",
    "OURS",
    "THEIRS",
    "local_contestant",
    "name_of",
    "pairs",
    "ray_contestants",
    "times_as_long",
    "with_and_without",
]

ENGINES = {"xenna": "XennaExecutor", "ray_data": "RayDataExecutor", "actor_pool": "RayActorPoolExecutor"}
LOCAL = "LocalExecutor"
OURS, THEIRS = "ours", "nemo-curator 1.4.0"

# Without -P, the folder that programs are started in would come first on the path.
_FLAGS = ("-P",)
# A wheel without CUDA, and not several gigabytes with it.
_TORCH = "torch==2.13.0"
_CUT_SHARE = "0.2"


@dataclass(frozen=True, slots=True)
class _Distribution:
    """A distribution of ``nemo_curator`` in an environment of its own; `problem` says why there is none."""

    name: str
    python: Path = Path(sys.executable)
    problem: str = ""


@cache
def _ours(scale: Scale) -> _Distribution:
    if all(find_spec(module) for module in ("ray", "cosmos_xenna", "pandas")):
        return _Distribution(OURS)
    if scale is Scale.TINY:
        return _Distribution(OURS, problem="Ray is not installed here, and nothing is installed for a test")
    try:
        return _Distribution(OURS, python_with("ray", f"--editable={ROOT}[text,xenna]"))
    except Unavailable as why:
        return _Distribution(OURS, problem=str(why))


@cache
def _theirs() -> _Distribution:
    try:
        python = python_with("nemo-curator", "nemo-curator==1.4.0", first=(_TORCH,))
    except Unavailable as why:
        return _Distribution(THEIRS, problem=str(why))
    packages = python.parent.parent / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    programs = packages / "benchmarks"
    if not programs.exists():
        programs.symlink_to(ROOT / "benchmarks")
    return _Distribution(THEIRS, python)


def with_and_without(scale: Scale) -> tuple[bool, ...]:
    """Return for which states of the cluster there are cases: up, and for more than a test also not up."""
    return (True,) if scale is Scale.TINY else (True, False)


def name_of(engine: str, whose: str) -> str:
    """Return the name of a contestant in tables."""
    return f"{ENGINES[engine]}, {whose}"


def local_contestant(scale: Scale, name: str, *arguments: object, **hooks: Any) -> Contestant:
    """Return our `LocalExecutor` in the environment that our executors on Ray have: ``NAME local ARGUMENTS``."""
    command = program(name, "local", *arguments, python=_ours(scale).python, flags=_FLAGS)
    OUT.mkdir(parents=True, exist_ok=True)
    return Contestant(name=LOCAL, command=command, folder=OUT, **hooks)


def ray_contestants(
    scale: Scale,
    name: str,
    arguments: Callable[[str], Sequence[object]],
    *,
    up: bool,
    hooks: Callable[[str], dict[str, Any]] = lambda _: {},
) -> tuple[Contestant, ...]:
    """Return a contestant for every engine and distribution, engine by engine, so that its two run one after the other.

    Args:
        scale: `TINY` leaves nemo-curator out, and all engines but one.
        name: The program.
        arguments: Returns what the program is told behind the engine, for a contestant by name.
        up: Whether a cluster is up already; otherwise the program starts its own.
        hooks: Returns further attributes of `Contestant`, by name.
    """
    distributions = [_ours(scale)] if scale is Scale.TINY else [_ours(scale), _theirs()]
    return tuple(
        _contestant(
            name_of(engine, whose.name),
            partial(program, name, engine, python=whose.python, flags=_FLAGS),
            (*arguments(name_of(engine, whose.name)), *_shares(engine, whose)),
            whose,
            up=up,
            hooks=hooks(name_of(engine, whose.name)),
        )
        for engine in (["actor_pool"] if scale is Scale.TINY else ENGINES)
        for whose in distributions
    )


def _shares(engine: str, whose: _Distribution) -> tuple[str, ...]:
    """Return what makes nemo-curator's `XennaExecutor` start on two CPUs; ours cuts the shares by itself."""
    return ("--cpus", _CUT_SHARE) if engine == "xenna" and whose.name == THEIRS else ()


def _contestant(
    name: str,
    command: Callable[..., tuple[str, ...]],
    arguments: Sequence[object],
    whose: _Distribution,
    *,
    up: bool,
    hooks: dict[str, Any],
) -> Contestant:
    if whose.problem:
        return Contestant(name=name, command=(), skipped=whose.problem)
    OUT.mkdir(parents=True, exist_ok=True)
    told = {"name": name, "command": command(*arguments), "folder": OUT, **hooks}
    if not up:
        return Contestant(**told, around=no_cluster)
    return Contestant(**told, around=Cluster(whose.python).up)


def pairs(result: CaseResult) -> Iterator[tuple[str, str, str]]:
    """Yield engine, our contestant and theirs, for the engines of which both have run."""
    for engine in ENGINES:
        ours, theirs = name_of(engine, OURS), name_of(engine, THEIRS)
        if ours in result.samples and theirs in result.samples:
            yield ENGINES[engine], ours, theirs


def times_as_long(result: CaseResult, engine: str, theirs: str, ours: str) -> str:
    """Say how many times as long theirs takes as ours, in the same rounds."""
    ratio = result.paired(theirs, ours, lambda guest, own: guest.wall / own.wall)
    return (
        f"{engine} of nemo-curator takes {ratio.median:.2f} times as long as ours ({ratio.low:.2f}..{ratio.high:.2f}): "
        f"{result.median(theirs):.2f} s, ours {result.median(ours):.2f} s"
    )
