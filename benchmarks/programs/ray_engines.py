"""What the programs ``ray_*`` share: they run unchanged with our ``nemo_curator`` and with nemo-curator 1.4.0."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import nemo_curator
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources

__all__ = ["executor_of", "parser", "tell", "with_cpus"]

_THEIRS = Path(sys.prefix).name == "venv-nemo-curator"

# In the program and in its workers: in the environment of nemo-curator, nobody shall measure ours.
if _THEIRS and not Path(str(nemo_curator.__file__)).is_relative_to(sys.prefix):
    raise ImportError(f"nemo_curator comes from {nemo_curator.__file__} and not from {sys.prefix}: {sys.path}")


def parser() -> argparse.ArgumentParser:
    """Return a parser of what all of them are told."""
    made = argparse.ArgumentParser()
    made.add_argument("engine", choices=["local", "xenna", "ray_data", "actor_pool"])
    made.add_argument("--cpus", type=float, default=1.0, help="CPUs that a stage asks for")
    return made


def executor_of(engine: str) -> Any:
    """Return an executor as it comes, without options. Others' engines are not imported."""
    if engine == "local":
        from nemo_curator.backends.local import LocalExecutor

        return LocalExecutor(num_workers=2)
    if engine == "xenna":
        from nemo_curator.backends.xenna import XennaExecutor

        return XennaExecutor()
    if engine == "ray_data":
        from nemo_curator.backends.ray_data import RayDataExecutor

        return RayDataExecutor()
    from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

    return RayActorPoolExecutor()


def with_cpus(stage: Any, cpus: float) -> ProcessingStage[Any, Any]:
    """Return the stage with another number of CPUs; with the usual one, as it is."""
    return stage if cpus == 1.0 else stage.with_(resources=Resources(cpus=cpus))


def tell(**facts: Any) -> None:
    """Print the facts, and whose package it was."""
    print(json.dumps({**facts, "distribution": "theirs" if _THEIRS else "ours"}), flush=True)
