"""What this backend can do about a stage's runtime environment: variables, in worker processes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.session import Session
from nemo_curator.errors import PlanError

__all__ = ["check_environments", "environment_of", "refuse_environments"]

# Libraries that start a thread for every core of the machine unless they are told otherwise.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


def environment_of(shape: WorkerShape, gpus: Sequence[str], *, hide_gpus: bool) -> dict[str, str]:
    """Return the variables of a worker of this shape.

    Native threads follow the stage's CPUs, unless the user has set their number; a stage's own variables win over both.

    Args:
        shape: The shape.
        gpus: Devices of the worker's own.
        hide_gpus: Other workers own devices, so one without any must see none.
    """
    wanted: dict[str, str] = json.loads(shape.runtime_env).get("env_vars", {}) if shape.runtime_env else {}
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus or hide_gpus else {}
    return {**dict.fromkeys(_THREAD_VARIABLES, str(shape.threads)), **os.environ, **devices, **wanted}


def check_environments(session: Session) -> None:
    """Raise `PlanError` for a stage whose runtime environment is more than variables."""
    for stage in session.plan.stages:
        others = sorted(set(stage.stage.runtime_env or {}) - {"env_vars"})
        if others:
            message = (
                f"stage {stage.name!r} (added at {stage.declared_at}) has a runtime_env with {', '.join(others)}, which the local "
                f"backend does not build; it takes env_vars. Install the packages in this environment instead"
            )
            raise PlanError(message)


def refuse_environments(session: Session, mode: str) -> None:
    """Raise `PlanError` for a stage with a runtime environment: workers that share a process share its environment."""
    for stage in session.plan.stages:
        if stage.stage.runtime_env:
            message = (
                f"stage {stage.name!r} (added at {stage.declared_at}) has a runtime_env, which needs a process of its own; "
                f"mode={mode!r} has none. Use LocalExecutor(mode='processes')"
            )
            raise PlanError(message)
