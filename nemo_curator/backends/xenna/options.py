"""What a run on Xenna and its stages may be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nemo_curator.backends.cluster.executor import ClusterOptions
from nemo_curator.engine.options import Options
from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, Segment
from nemo_curator.errors import OptionError

__all__ = ["XennaOptions", "XennaStageOptions", "stage_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XennaOptions(ClusterOptions):
    """What only this backend is told.

    Attributes:
        execution_mode: ``"streaming"``: all segments work at the same time, on what has come so far. ``"batch"``: one segment after the other,
            each on all CPUs; what a segment makes waits in Ray's object store until it is done.
        logging_interval: Seconds between two status reports of Xenna in the log.
        cpu_allocation_percentage: Share of every node's CPUs that Xenna may use; it rounds down to whole ones.
        autoscale_interval_s: Seconds between two looks of Xenna's autoscaler, when streaming.
        max_workers_per_stage: Workers that a segment may have; `None` for as many as the autoscaler wants.
        slots_per_actor: Parcels that a worker is given at a time, so that it need not wait for the next.
    """

    execution_mode: Literal["streaming", "batch"] = "streaming"
    logging_interval: float = 60
    cpu_allocation_percentage: float = 0.95
    autoscale_interval_s: float = 180
    max_workers_per_stage: int | None = None
    slots_per_actor: int = 2

    def __post_init__(self) -> None:
        ClusterOptions.__post_init__(self)
        self._require_positive("logging_interval", "autoscale_interval_s", "slots_per_actor")
        share = self.cpu_allocation_percentage
        self._require("cpu_allocation_percentage", holds=0 < share <= 1, wanted="a number above 0, up to 1")
        if self.max_workers_per_stage is not None:
            self._require_positive("max_workers_per_stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class XennaStageOptions(Options):
    """Keys of `xenna_stage_spec()`. `None` leaves it to the run.

    Attempts, failures and resets of workers are the engine's own, the same on every backend; so a stage that names them here changes its
    retries, or nothing that could be seen.

    Attributes:
        num_workers_per_node: Workers on each node.
        num_setup_attempts_python: Attempts to set the stage up. Accepted; setup is tried once, as everywhere.
        num_run_attempts_python: Attempts for a task, the same as ``Retries(attempts=...)`` on the stage.
        ignore_failures: Accepted if it agrees with the run's ``on_error``.
        reset_workers_on_failure: Accepted; a worker that has crashed is always a new one, and no other needs to be.
        slots_per_actor: Parcels that a worker is given at a time.
        worker_max_lifetime_m: Minutes after which Xenna replaces a worker; 0 for never.
        worker_restart_interval_m: Minutes between two such replacements.
        max_setup_failure_percentage: Accepted; a setup that fails ends the run, as everywhere.
    """

    num_workers_per_node: float | None = None
    num_setup_attempts_python: int | None = None
    num_run_attempts_python: int | None = None
    ignore_failures: bool | None = None
    reset_workers_on_failure: bool | None = None
    slots_per_actor: int | None = None
    worker_max_lifetime_m: int | None = None
    worker_restart_interval_m: int | None = None
    max_setup_failure_percentage: float | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("num_workers_per_node", "num_setup_attempts_python", "num_run_attempts_python", "slots_per_actor"):
            if getattr(self, name) is not None:
                self._require_positive(name)


def stage_options(plan: ExecutionPlan) -> dict[int, XennaStageOptions]:
    """Return the options of every stage, by index.

    Raises:
        OptionError: A stage has a key that nobody reads, or a value of the wrong kind.
    """
    return {stage.index: _read(stage) for stage in plan.stages}


def _read(planned: PlannedStage) -> XennaStageOptions:
    spec: dict[str, Any] = planned.stage.xenna_stage_spec()
    where = f"xenna_stage_spec() of stage {planned.name!r} (added at {planned.declared_at})"
    if "num_workers" in spec:
        message = f"{where} has num_workers; use with_(num_workers=...), which holds on every backend"
        raise OptionError(message)
    options = XennaStageOptions.parse(spec, where=where)
    if options.num_workers_per_node is not None and planned.num_workers is not None:
        message = (
            f"{where} has num_workers_per_node, but the stage fixes num_workers={planned.num_workers}; fix one of them"
        )
        raise OptionError(message)
    return options


def per_node(segment: Segment, options: dict[int, XennaStageOptions]) -> float | None:
    """Return how many workers a segment shall have on each node, as its stages' specs say."""
    wanted = [options[stage.index].num_workers_per_node for stage in segment.stages]
    return min((number for number in wanted if number is not None), default=None)
