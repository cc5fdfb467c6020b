"""What Xenna runs: a stage for every segment, and one for every collector. Imported where cosmos-xenna is."""

from __future__ import annotations

from typing import Any

from cosmos_xenna.pipelines import v1 as xenna
from cosmos_xenna.ray_utils.runtime_envs import RuntimeEnv

from nemo_curator.backends.cluster.custodian import Ticket, custodian_of
from nemo_curator.backends.cluster.wants import Wants
from nemo_curator.engine.collector import Collector
from nemo_curator.engine.parcel import Parcel

__all__ = ["CollectingStage", "SegmentStage", "named"]


class SegmentStage(xenna.Stage):
    """Runs a segment: a sample is a parcel.

    Args:
        ticket: What its custodians have to know.
        cpus: CPUs that Xenna reserves for a worker.
        gpus: GPUs that Xenna gives a worker.
        runtime_env: Ray's runtime environment of its workers.
        position: Its position among Xenna's stages, if they run one after the other; Xenna then ends its workers after their last
            parcel, and before that they have to tear down.
    """

    def __init__(
        self, ticket: Ticket, cpus: float, gpus: float, runtime_env: dict[str, Any], position: int | None
    ) -> None:
        self._ticket = ticket
        self._position = position
        self._resources = xenna.Resources(cpus=cpus, gpus=gpus)
        self._runtime_env = runtime_env

    @property
    def required_resources(self) -> Any:
        """What a worker needs."""
        return self._resources

    @property
    def stage_batch_size(self) -> int:
        """Parcels at a time: batches are ours to make."""
        return 1

    @property
    def env_info(self) -> Any:
        """The runtime environment, with a variable that Xenna may set."""
        return _Environment(self._runtime_env) if self._runtime_env else None

    def process_data(self, in_data: list[Parcel]) -> list[Parcel]:
        """Return what parcels become. Never raises for what user code does."""
        custodian = custodian_of(self._ticket)
        made = [child for parcel in in_data for child in custodian.run(parcel)]
        if _last(self._ticket, self._position, len(in_data), len(made)):
            custodian.leave_last()
        return made


class CollectingStage(xenna.Stage):
    """Makes batches of exact size. It has one worker.

    Args:
        ticket: Of the segment that wants them.
        in_order: Take parcels in order.
        max_bytes: Size at which a parcel is cut.
        cpus: CPUs that Xenna reserves for it.
        position: As for a `SegmentStage`.
    """

    def __init__(self, ticket: Ticket, *, in_order: bool, max_bytes: int, cpus: float, position: int | None) -> None:
        self._position = position
        self._ticket, self._in_order, self._max_bytes = ticket, in_order, max_bytes
        self._resources = xenna.Resources(cpus=cpus)
        self._made: tuple[Collector, Wants] | None = None

    @property
    def required_resources(self) -> Any:
        """What its worker needs."""
        return self._resources

    @property
    def stage_batch_size(self) -> int:
        """Parcels at a time."""
        return 1

    def process_data(self, in_data: list[Parcel]) -> list[Parcel]:
        """Return parcels that can go on."""
        if self._made is None:
            segment, steward = self._ticket.segment, self._ticket.steward
            collector = Collector(
                batch_size=segment.batch_size,
                barrier=segment.is_barrier,
                in_order=self._in_order,
                max_bytes=self._max_bytes,
            )
            self._made = collector, Wants(steward, segment, self._ticket.options.bundle_seconds)
        collector, wants = self._made
        made = [child for parcel in in_data for child in collector.add(parcel, wants.number())]
        _last(self._ticket, self._position, len(in_data), len(made))
        return made


def _last(ticket: Ticket, position: int | None, taken: int, made: int) -> bool:
    """Count parcels, where stages run one after the other; say whether they were the stage's last."""
    if position is None:
        return False
    last: bool = ticket.steward.done.remote(position, taken, made).future().result()
    return last


class _Environment(RuntimeEnv):
    """A whole runtime environment of Ray's, where Xenna itself knows of variables and conda only."""

    def __init__(self, whole: dict[str, Any]) -> None:
        super().__init__()
        self.whole = whole

    def __reduce__(self) -> tuple[Any, ...]:
        # Xenna copies it, and the class that it derives from knows of its own fields only.
        return _environment, (self.whole, self.extra_env_vars)

    def to_ray_runtime_env(self) -> Any:
        """Return it as Ray wants it."""
        from ray.runtime_env import RuntimeEnv as RaysEnvironment

        variables = {**self.whole.get("env_vars", {}), **self.extra_env_vars}
        return RaysEnvironment(**{**self.whole, "env_vars": variables})

    def format(self) -> str:
        """Return it as text, for logs."""
        return str(self.whole)


def _environment(whole: dict[str, Any], variables: dict[str, str]) -> _Environment:
    environment = _Environment(whole)
    environment.extra_env_vars = variables
    return environment


def named(stage: Any, name: str) -> Any:
    """Return a stage whose class has that name, by which Xenna and Ray's dashboard show it."""
    stage.__class__ = type(name, (type(stage),), {"__module__": type(stage).__module__})
    return stage
