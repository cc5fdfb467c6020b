"""`XennaExecutor`: pipelines on cosmos-xenna."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from nemo_curator.backends.cluster.custodian import Ticket
from nemo_curator.backends.cluster.foreign import Engine, ForeignExecutor
from nemo_curator.backends.cluster.nodes import Node
from nemo_curator.backends.cluster.ray_specs import ray_stage_options
from nemo_curator.backends.cluster.relay import collects
from nemo_curator.backends.cluster.shares import COLLECTOR_CPUS, Share, divide
from nemo_curator.backends.xenna.leftovers import end_leftovers, known_actors
from nemo_curator.backends.xenna.options import XennaOptions, XennaStageOptions, stage_options
from nemo_curator.engine.fuse import fuse
from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, Segment
from nemo_curator.engine.session import Session
from nemo_curator.errors import ClusterError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.retries import Retries

__all__ = ["XennaExecutor"]

_log = logging.getLogger(__name__)


class XennaExecutor(ForeignExecutor):
    """Runs a pipeline on cosmos-xenna, which needs a Ray cluster with its dashboard.

    Args:
        config: Options by name, see `XennaOptions` and `RunOptions`.
        ignore_head_node: Refused: Xenna places workers on every node.
        options: The same options as keywords.

    Raises:
        OptionError: An option that nobody reads, or of the wrong kind.
    """

    name: ClassVar[str] = "xenna"
    options_class = XennaOptions
    needs_dashboard = True
    patient = True
    cluster: XennaOptions

    def __init__(self, config: Mapping[str, Any] | None = None, ignore_head_node: bool = False, **options: Any) -> None:
        super().__init__(config, ignore_head_node, **options)
        if self.ignore_head_node:
            message = (
                "XennaExecutor cannot leave the head node out: Xenna places workers on every node. Start the head node with no CPUs "
                "(ray start --head --num-cpus=0), or use RayActorPoolExecutor"
            )
            raise OptionError(message)

    @property
    def _all_at_once(self) -> bool:
        return self.cluster.execution_mode == "batch"

    def plan(self, stages: Sequence[ProcessingStage[Any, Any]], **about: Any) -> ExecutionPlan:
        """Return the plan of these stages, with what their `xenna_stage_spec` says."""
        plan = super().plan(stages, **about)
        ray_stage_options(plan)
        self._specs = stage_options(plan)
        planned = tuple(self._as_specified(stage, self._specs[stage.index]) for stage in plan.stages)
        return replace(plan, stages=planned, segments=fuse(planned, enabled=self.options.fuse))

    def _as_specified(self, stage: PlannedStage, options: XennaStageOptions) -> PlannedStage:
        quarantines = self.options.on_error == "quarantine"
        if options.ignore_failures is not None and options.ignore_failures != quarantines:
            message = (
                f"stage {stage.name!r} (added at {stage.declared_at}) sets ignore_failures={options.ignore_failures}, but the run has "
                f"on_error={self.options.on_error!r}; failures are the run's to judge: XennaExecutor(on_error=...)"
            )
            raise OptionError(message)
        if options.num_run_attempts_python is not None and stage.retries is None:
            stage = replace(stage, retries=Retries(attempts=options.num_run_attempts_python))
        if options.num_workers_per_node is not None:
            stage = replace(stage, num_workers_per_node=options.num_workers_per_node)
        return stage

    def _run(self, session: Session) -> Any:
        require("ray", extra="xenna", purpose="XennaExecutor")
        require("cosmos_xenna", extra="xenna", purpose="XennaExecutor")
        return super()._run(session)

    def _engine(self, ray: Any, session: Session, tickets: list[Ticket]) -> Engine:
        from nemo_curator.backends.xenna.engine import BatchEngine, StreamingEngine

        nodes = self._fitting_nodes(ray, session)
        config = self._config(nodes)
        shares = self._shares(session, nodes, config.cpu_allocation_percentage)
        specs = self._stage_specs(session.plan, tickets, shares)
        address: str = ray.get_runtime_context().gcs_address
        self._before = {actor.actor_id for actor in known_actors(ray)}
        if self._all_at_once:
            return BatchEngine(specs, config, address, tickets[0].steward)
        return StreamingEngine(specs, config, address)

    def _clean_up(self, ray: Any) -> None:
        try:
            end_leftovers(ray, self._before)
        except ClusterError as error:
            _log.warning("processes that Xenna leaves behind are not ended: %s", error)

    def _config(self, nodes: list[Node]) -> Any:
        from cosmos_xenna.pipelines import v1 as xenna

        percentage = self.cluster.cpu_allocation_percentage
        if not any(math.floor(node.cpus * percentage) for node in nodes):
            _log.info(
                "no node has a whole CPU left at cpu_allocation_percentage=%g; Xenna gets all of them", percentage
            )
            percentage = 1.0
        level = xenna.VerbosityLevel.INFO if _log.isEnabledFor(logging.INFO) else xenna.VerbosityLevel.NONE
        streaming = xenna.StreamingSpecificSpec(
            autoscale_interval_s=self.cluster.autoscale_interval_s, executor_verbosity_level=level
        )
        return xenna.PipelineConfig(
            logging_interval_s=self.cluster.logging_interval,
            cpu_allocation_percentage=percentage,
            slots_per_actor=self.cluster.slots_per_actor,
            actor_pool_verbosity_level=level,
            monitoring_verbosity_level=level,
            mode_specific=None if self._all_at_once else streaming,
        )

    def _shares(self, session: Session, nodes: list[Node], percentage: float) -> dict[int, Share]:
        """Return what every segment gets, by index."""
        plan = session.plan
        cpus, cores = (sum(whole(node.cpus * percentage) for node in nodes) for whole in (math.floor, math.ceil))
        cpus -= COLLECTOR_CPUS * sum(collects(plan, segment.index) for segment in plan.segments)
        per_stage = self.cluster.max_workers_per_stage
        demands = [self._demand(segment, session, len(nodes), per_stage, segment.cpus) for segment in plan.segments]
        shares = divide(demands, cpus, apart=self._all_at_once, cores=cores)
        for segment, demand, share in zip(plan.segments, demands, shares, strict=True):
            if share.cpus < demand.cpus:
                message = "segment %r asks for %g CPUs a worker; Xenna reserves %g for it, so that all segments fit into the %g CPUs that it gives away, and %g can be busy"
                _log.info(message, segment.name, demand.cpus, share.cpus, cpus, cores)
        return {segment.index: share for segment, share in zip(plan.segments, shares, strict=True)}

    def _stage_specs(self, plan: ExecutionPlan, tickets: list[Ticket], shares: dict[int, Share]) -> list[Any]:
        from cosmos_xenna.pipelines import v1 as xenna

        from nemo_curator.backends.xenna.stages import CollectingStage, SegmentStage, named

        specs: list[Any] = []
        for ticket in tickets:
            segment, share = plan.segments[ticket.index], shares[ticket.index]
            classes = "_".join(type(stage.stage).__name__ for stage in segment.stages)
            if collects(plan, segment.index):
                collector = CollectingStage(
                    ticket,
                    in_order=self.options.preserve_order,
                    max_bytes=self.options.piece_bytes,
                    cpus=COLLECTOR_CPUS,
                    position=len(specs) if self._all_at_once else None,
                )
                specs.append(xenna.StageSpec(named(collector, f"Batches_{classes}"[:80]), num_workers=1))
            environment = self._environment(segment)
            position = len(specs) if self._all_at_once else None
            stage = SegmentStage(ticket, share.cpus, segment.shape.gpus, environment, position)
            specs.append(
                xenna.StageSpec(named(stage, classes[:80]), num_workers=share.workers, **self._details(segment))
            )
        return specs

    def _details(self, segment: Segment) -> dict[str, Any]:
        """Return what stages of a segment say about its workers; the first that says something is heard."""
        details: dict[str, Any] = {}
        for name in ("slots_per_actor", "worker_max_lifetime_m", "worker_restart_interval_m"):
            said = [getattr(self._specs[stage.index], name) for stage in segment.stages]
            details[name] = next((value for value in said if value is not None), None)
        return details
