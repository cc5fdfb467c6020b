"""`RayDataExecutor`: pipelines on Ray Data."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from nemo_curator.backends.cluster.custodian import Ticket
from nemo_curator.backends.cluster.foreign import Engine, ForeignExecutor
from nemo_curator.backends.cluster.nodes import Node
from nemo_curator.backends.cluster.ray_specs import RayStageOptions, ray_stage_options
from nemo_curator.backends.cluster.relay import collects
from nemo_curator.backends.cluster.shares import COLLECTOR_CPUS, Demand, Share, divide
from nemo_curator.backends.ray_data.diagnostics import install_ray_data_diagnostics
from nemo_curator.backends.ray_data.options import RayDataOptions
from nemo_curator.engine.plan import ExecutionPlan, Segment
from nemo_curator.engine.session import Session
from nemo_curator.stages.base import ProcessingStage

__all__ = ["RayDataExecutor"]

_log = logging.getLogger(__name__)


# The smallest share of a CPU that Ray knows.
_GRAIN = 0.0001
_APART = 50
# A collector's work is next to nothing, so what counts is that it does not wait for the driver.
_COLLECTED_AT_ONCE = 16
# Ray Data looks at its actors five to ten times a second, and by default an actor has two parcels: what is done with both waits for
# the next look. A parcel is up to half a second of work; many more, and at the end one actor has work that others could do.
_RUN_AT_ONCE = 8
# While an actor's child works on one, what the one before has become is on its way: packed, put into Ray's store, and told.
_THREADS = 2
# Ray Data starts the next task of an operator when it looks after it has seen the end of the one before, a fifth of a second apart. With more
# of them a task waits where it is to run, and not at the driver. Each is a process that Ray has to start, so only where there is one at a time.
_TASKS_FOR_ONE = 2
_WARM = 2
_USAGE = "RAY_DATA_USAGE_DISABLED"
# What `map_batches` has parameters for; other options of Ray go by a function.
_NAMED = {"memory", "label_selector", "resources", "accelerator_type", "runtime_env"}


class RayDataExecutor(ForeignExecutor):
    """Runs a pipeline on Ray Data: segments with a setup on pools of actors, the others as tasks.

    Args:
        config: Options by name, see `RayDataOptions` and `RunOptions`.
        ignore_head_node: Keep work off the head node.
        options: The same options as keywords.

    Raises:
        OptionError: An option that nobody reads, or of the wrong kind.
    """

    name: ClassVar[str] = "ray_data"
    options_class = RayDataOptions
    cluster: RayDataOptions

    def __init__(self, config: Mapping[str, Any] | None = None, ignore_head_node: bool = False, **options: Any) -> None:
        super().__init__(config, ignore_head_node, **options)
        self._specs: dict[int, RayStageOptions] = {}

    def plan(self, stages: Sequence[ProcessingStage[Any, Any]], **about: Any) -> ExecutionPlan:
        """Return the plan of these stages; what their `ray_stage_spec` says is read here."""
        plan = super().plan(stages, **about)
        self._specs = ray_stage_options(plan)
        return plan

    def _engine(self, ray: Any, session: Session, tickets: list[Ticket]) -> Engine:
        from nemo_curator.backends.ray_data.engine import DatasetEngine
        from nemo_curator.backends.ray_data.operators import warm_up

        # While this process imports Ray Data, Ray starts the ones for the feed and for the first segment, which would wait for each other.
        warming = ray.remote(warm_up).options(num_cpus=0, max_retries=0)
        for _ in range(_WARM):
            warming.remote()
        nodes = self._fitting_nodes(ray, session)
        shares = self._shares(session, nodes)
        labels = (
            {}
            if not self.ignore_head_node
            else {"label_selector": {"ray.io/node-id": f"in({','.join(n.id for n in nodes)})"}}
        )
        most = _most_actors(shares, sum(node.cpus for node in nodes) - _helpers_cpus(session.plan))
        return DatasetEngine(ray, tickets[0].steward, self._dataset(ray, tickets, shares, labels, most))

    def _shares(self, session: Session, nodes: list[Node]) -> list[Share]:
        plan = session.plan
        helpers = _helpers_cpus(plan)
        # A little less than asked for, so that the feed and collectors fit beside as many workers as a node has CPUs.
        trim = max(0.5, 1 - helpers / max(1.0, min(node.cpus for node in nodes)))
        demands: list[Demand] = []
        for segment in plan.segments:
            own = [self._specs[stage.index].ray_num_cpus for stage in segment.stages]
            wanted = max((number for number in own if number is not None), default=segment.cpus)
            per_stage = self.cluster.max_workers_per_stage
            demands.append(self._demand(segment, session, len(nodes), per_stage, wanted * trim))
        return divide(demands, sum(node.cpus for node in nodes) - helpers, apart=False)

    def _dataset(
        self, ray: Any, tickets: list[Ticket], shares: list[Share], labels: dict[str, Any], most: list[int]
    ) -> Any:
        import pyarrow as pa

        from nemo_curator.backends.ray_data.operators import Collecting, feed

        with _context(ray):
            steward = tickets[0].steward
            # A block that is there already: reading one would start a worker for it, and `from_arrow` one to look at its schema.
            dataset = ray.data.from_blocks([pa.table({"start": pa.nulls(1)})])
            options: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True}
            pool = ray.data.ActorPoolStrategy
            dataset = dataset.map_batches(feed, fn_args=(steward,), num_cpus=COLLECTOR_CPUS, **options, **labels)
            for ticket, share in zip(tickets, shares, strict=True):
                segment = ticket.segment
                if collects(ticket.plan, ticket.index):
                    arguments = {
                        "in_order": self.options.preserve_order,
                        "max_bytes": self.options.piece_bytes,
                        "seconds": self.options.bundle_seconds,
                    }
                    dataset = dataset.map_batches(
                        Collecting,
                        fn_constructor_args=(segment, steward),
                        fn_constructor_kwargs=arguments,
                        num_cpus=COLLECTOR_CPUS,
                        compute=pool(size=1, max_tasks_in_flight_per_actor=_COLLECTED_AT_ONCE),
                        **options,
                        **labels,
                    )
                dataset = self._with_segment(ray, dataset, ticket, share, {**options, **labels}, most[ticket.index])
            return dataset

    def _with_segment(
        self, ray: Any, dataset: Any, ticket: Ticket, share: Share, options: dict[str, Any], most: int
    ) -> Any:
        from nemo_curator.backends.ray_data.operators import Running, run_parcels

        segment = ticket.segment
        specs = [self._specs[stage.index] for stage in segment.stages]
        arguments = self._remote_arguments(segment, specs)
        keeps = self._is_actor_segment(segment, specs)
        tasks = _TASKS_FOR_ONE if share.workers == 1 and not keeps else 1
        cpus = share.cpus / tasks
        # Ray Data would run adjacent operators that ask for the same in one task, and what a segment fans out would not spread: no two
        # ask for quite the same. What belongs together is in one segment already.
        arguments["num_cpus"] = max(_GRAIN, round(cpus - _GRAIN * (1 + ticket.index % _APART), 4))
        if segment.shape.gpus:
            arguments["num_gpus"] = segment.shape.gpus
        if keeps:
            kind, inputs = Running, {"fn_constructor_args": (ticket,)}
            compute = _pool_of(ray, specs, share, most)
        else:
            kind, inputs = run_parcels, {"fn_args": (ticket,)}
            # Shares of CPUs bound the number of tasks; where they are free, cores do.
            workers = share.workers or (None if share.cpus else most)
            compute = ray.data.TaskPoolStrategy(size=workers and workers * tasks)
        return dataset.map_batches(kind, **inputs, compute=compute, **options, **arguments)

    def _remote_arguments(self, segment: Segment, specs: list[RayStageOptions]) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for spec in specs:
            arguments |= spec.ray_remote_args
        others = {key: arguments.pop(key) for key in set(arguments) - _NAMED}
        if others:
            arguments["ray_remote_args_fn"] = lambda: dict(others)
        environment = self._environment(segment)
        if environment:
            arguments["runtime_env"] = environment
        if segment.memory_bytes:
            arguments["memory"] = segment.memory_bytes
        return arguments

    def _is_actor_segment(self, segment: Segment, specs: list[RayStageOptions]) -> bool:
        said = [spec.is_actor_stage for spec in specs if spec.is_actor_stage is not None]
        if said:
            return any(said)
        # A task runs in whatever process Ray has free: a stage that counts its workers means those that it keeps.
        return segment.worker_limit(1) is not None or any(self._keeps[stage.index] for stage in segment.stages)

    def _run(self, session: Session) -> Iterator[None]:
        install_ray_data_diagnostics()
        # The tickets' plan has no stage objects; who has something to keep is known here.
        self._keeps = {
            stage.index: type(stage.stage).setup is not ProcessingStage.setup or bool(stage.shape.gpus)
            for stage in session.plan.stages
        }
        with _usage_kept_to_itself():
            yield from super()._run(session)


def _helpers_cpus(plan: ExecutionPlan) -> float:
    """Return the CPUs of the feed and of collectors."""
    return COLLECTOR_CPUS * (1 + sum(collects(plan, segment.index) for segment in plan.segments))


def _most_actors(shares: Sequence[Share], cpus: float) -> list[int]:
    """Return how large the pool of each segment may grow: one worker of every other segment must still find room, or nothing moves."""
    room = max(0.0, cpus - sum(share.cpus * (share.workers or 1) for share in shares))
    return [1 + int(room / share.cpus) if share.cpus else max(1, int(cpus)) for share in shares]


def _pool_of(ray: Any, specs: list[RayStageOptions], share: Share, most: int) -> Any:
    """Return the actor pool of a segment: as many as are fixed, or from one to as many as there are CPUs for."""
    pool = partial(
        ray.data.ActorPoolStrategy,
        max_tasks_in_flight_per_actor=_RUN_AT_ONCE,
        max_concurrent_calls_per_actor=_THREADS,
        enable_true_multi_threading=True,
    )
    sized = next((spec for spec in specs if spec.sizes), None)
    if share.workers is not None:
        return pool(size=share.workers)
    if sized is None:
        return pool(min_size=1, max_size=most)
    low = sized.min_workers or 1
    return pool(min_size=low, max_size=sized.max_workers or max(low, most), initial_size=sized.initial_workers or low)


@contextmanager
def _usage_kept_to_itself() -> Iterator[None]:
    """Let Ray Data not report on its use inside, unless the environment says something about that already.

    It would start an actor for it on the cluster, which stays there, and a thread of this process that asks Prometheus every ten seconds
    until the process ends.
    """
    ours = _USAGE not in os.environ
    if ours:
        os.environ[_USAGE] = "1"
    try:
        yield
    finally:
        if ours:
            os.environ.pop(_USAGE, None)


@contextmanager
def _context(ray: Any) -> Iterator[None]:
    """Set how Ray Data works while a dataset is made, which keeps a copy of it; the caller's own context stays as it is."""
    context = ray.data.DataContext.get_current()
    # Every parcel is a block of its own: it is about a tenth of a second of work already, and must not wait for others.
    # Budgets for every operator come with the promise that one may go on when none runs; the feed always runs, so they could starve the
    # others. What is on its way is bounded by what is fed.
    wanted = {
        "target_max_block_size": 1,
        "op_resource_reservation_enabled": False,
        # What an operator has made may be this many times what the next one has in hand; by default twice, which leaves workers idle.
        "downstream_capacity_backpressure_ratio": 8.0,
        # By default a generator makes two blocks and then waits until the driver has seen one, which takes it a tenth of a second. What is
        # made ahead is held: many more and a source is never held back.
        "_max_num_blocks_in_streaming_gen_buffer": 16,
        # Ray Data would read the memory map of the worker in every task, which takes longer than a parcel of small tasks.
        "memory_usage_poll_interval_s": None,
        "enable_progress_bars": False,
        "print_on_execution_start": False,
    }
    # Said of every operator that gets fewer parcels than it may have tasks: most of a short run. It comes from a thread of Ray's.
    warnings.filterwarnings("ignore", r"The maximum number of concurrent tasks for 'MapBatches", UserWarning)
    before = {name: getattr(context, name) for name in wanted}
    for name, value in wanted.items():
        setattr(context, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
