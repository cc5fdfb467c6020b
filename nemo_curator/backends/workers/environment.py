"""The environment variables of a worker process."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from nemo_curator.engine.plan import WorkerShape

__all__ = ["environment_of"]

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
