"""`ForeignExecutor`: runs on engines that schedule for themselves. What a backend adds is an `Engine`, which moves parcels."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from abc import abstractmethod
from collections.abc import Generator, Iterator
from typing import Any, Protocol

from nemo_curator.backends.cluster.custodian import Ticket
from nemo_curator.backends.cluster.executor import ClusterExecutor, module_folders
from nemo_curator.backends.cluster.nodes import Node, alive_nodes
from nemo_curator.backends.cluster.relay import Relay, bare
from nemo_curator.backends.cluster.shares import Demand
from nemo_curator.backends.cluster.steward import Steward
from nemo_curator.engine.drive import check_capacity
from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.parcel import Parcel
from nemo_curator.engine.plan import Segment
from nemo_curator.engine.session import Session
from nemo_curator.engine.signals import Interrupts, Terminated
from nemo_curator.errors import EngineLost, RunStalled

__all__ = ["Engine", "ForeignExecutor"]

_FIRST = 16
_ROUND_SECONDS = 0.1
_NODES_SECONDS = 2.0
# A node on which nothing had begun yet may leave at any time, and costs nothing: but what Ray had in mind for it may wait for ever, if workers
# that have nothing to do hold the CPUs of all others.
_SECONDS_WITHOUT_A_NODE = 60.0
_SECONDS_WHEN_UNWANTED = 2.0
_SECONDS_TO_STOP = 15.0


class Engine(Protocol):
    """An engine that is under way. It takes parcels that are fed through all segments, and gives back what they become."""

    def feed(self, parcel: Parcel | None) -> None:
        """Take a parcel; `None` once there are no more."""
        ...

    def wait(self, timeout_s: float) -> list[Parcel]:
        """Return what has come out; waits for something, but no longer than so many seconds.

        Raises:
            EngineLost: The engine has failed, or a part of the cluster is gone.
        """
        ...

    def stop(self, timeout_s: float) -> None:
        """End the engine, whatever it is doing, within so many seconds."""
        ...


class ForeignExecutor(ClusterExecutor):
    """Runs pipelines on an engine that schedules for itself."""

    @property
    def _all_at_once(self) -> bool:
        """Whether the engine takes its whole input before it begins."""
        return False

    @abstractmethod
    def _engine(self, ray: Any, session: Session, tickets: list[Ticket]) -> Engine:
        """Start the engine.

        Raises:
            CapacityError: A stage does not fit.
        """

    def _fitting_nodes(self, ray: Any, session: Session) -> list[Node]:
        """Return the nodes that work may go to.

        Raises:
            CapacityError: A stage fits on none of them.
        """
        nodes = alive_nodes(ray, ignore_head=self.ignore_head_node)
        cpus, gpus = max(node.cpus for node in nodes), max(node.gpus for node in nodes)
        check_capacity(session, Capacity(workers=1, cpus=cpus, gpus=tuple(map(str, range(gpus)))))
        return nodes

    def _demand(self, segment: Segment, session: Session, nodes: int, per_stage: int | None, cpus: float) -> Demand:
        """Return what a segment wants, of whose workers each takes so many CPUs."""
        limits = [segment.worker_limit(nodes), per_stage, self.cluster.num_workers]
        starts = segment.index == 0 and session.starts_from_nothing
        if segment.is_barrier or starts:
            limits.append(1)
        return Demand(cpus, min((limit for limit in limits if limit is not None), default=None), is_light=starts)

    def _environment(self, segment: Segment) -> dict[str, Any]:
        """Return the runtime environment of a segment's workers: the run's, and its stages' on top."""
        return {**self.cluster.runtime_env, **json.loads(segment.shape.runtime_env or "{}")}

    def _clean_up(self, ray: Any) -> None:
        """End what the engine has left behind. The default knows of nothing."""

    def _attempt(self, session: Session) -> Iterator[None]:
        with self._connected() as ray, _steward(ray) as steward:
            path = module_folders()
            run, plan = f"curator-{uuid.uuid4().hex[:12]}", bare(session.plan)
            tickets = [
                Ticket(run, steward, segment.index, plan, session.options, session.shipped(segment), self.patient, path)
                for segment in session.plan.segments
            ]
            engine = self._engine(ray, session, tickets)
            grace_s = session.options.teardown_timeout_s
            with Interrupts() as interrupts:
                try:
                    first = max(_FIRST, int(2 * ray.cluster_resources().get("CPU", 0)))
                    relay = Relay(session, first=first, all_at_once=self._all_at_once)
                    yield from _steps(session, relay, engine, _Watch(ray, session, steward), interrupts)
                except (KeyboardInterrupt, Terminated, GeneratorExit):
                    grace_s = min(grace_s, _SECONDS_WHEN_UNWANTED)
                    raise
                finally:
                    # First what is the user's is torn down, then the engine may end its workers as it likes.
                    with contextlib.suppress(ray.exceptions.RayError):
                        for problem in ray.get(steward.close.remote(grace_s), timeout=grace_s + _SECONDS_TO_STOP):
                            session.warn(problem)
                    engine.stop(_SECONDS_TO_STOP)
                    self._clean_up(ray)


@contextlib.contextmanager
def _steward(ray: Any) -> Iterator[Any]:
    # With the driver it lives and dies; as it has no CPUs of its own it finds room anywhere.
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    options = {"num_cpus": 0, "max_concurrency": 10_000, "scheduling_strategy": here}
    steward = ray.remote(Steward).options(**options).remote(node)
    try:
        yield steward
    finally:
        ray.kill(steward)


def _steps(session: Session, relay: Relay, engine: Engine, watch: _Watch, interrupts: Interrupts) -> Generator[None]:
    """Feed and take in until everything has come back; yield when there may be outputs."""
    fed_all = False
    while not relay.finished:
        with interrupts.allowed():
            while not fed_all and relay.wants_input:
                parcel = relay.next_parcel()
                engine.feed(parcel)
                fed_all = parcel is None
            # What is full is read before more is taken: the engine is held back by what nobody takes from it.
            parcels = [] if session.outputs_full else engine.wait(0.0 if session.outputs_wait else _ROUND_SECONDS)
        for parcel in parcels:
            relay.receive(parcel)
        watch.look(relay, moved=bool(parcels))
        if session.outputs_wait:
            with interrupts.outside():
                yield


class _Watch:
    """Sees to it that the relay knows what tasks cost, and that somebody says so when nothing moves."""

    def __init__(self, ray: Any, session: Session, steward: Any) -> None:
        self._ray = ray
        self._session = session
        self._steward = steward
        self._asked: Any = None
        self._nodes = self._alive()
        self._moved_at = self._told_at = self._counted_at = time.monotonic()

    def look(self, relay: Relay, *, moved: bool) -> None:
        """Look, once a round."""
        now = time.monotonic()
        if moved:
            self._moved_at = self._told_at = now
        if self._asked is None:
            self._asked = self._steward.known.remote()
        elif self._ray.wait([self._asked], timeout=0)[0]:
            costs, nodes = self._answer(self._asked)
            relay.learn(costs)
            self._asked = None
            if now - self._counted_at > _NODES_SECONDS:
                self._counted_at = now
                self._count(nodes if now - self._moved_at < _SECONDS_WITHOUT_A_NODE else nodes | self._nodes)
        limit = self._session.options.stall_timeout_s
        if limit is not None and now - self._told_at > limit:
            self._told_at = now
            self._tell(now - self._moved_at)

    def _count(self, used: set[str]) -> None:
        """See whether all nodes are there that something of the run is on, or waits for: an engine may wait for one that is gone for ever."""
        lost = used - self._alive()
        if lost:
            message = f"node {', '.join(sorted(node[:12] for node in lost))} was lost, with what was under way there"
            raise EngineLost(message)

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _answer(self, ref: Any) -> Any:
        try:
            return self._ray.get(ref, timeout=_SECONDS_TO_STOP)
        except self._ray.exceptions.RayError as error:
            message = f"the run's steward is gone: {' '.join(str(error).split())[:300]}"
            raise EngineLost(message) from error

    def _tell(self, seconds: float) -> None:
        stacks = self._answer(self._steward.ask.remote())
        lines = [f"pipeline {self._session.plan.name!r}: nothing has come out for {seconds:.0f} s"]
        lines += [
            f"  stage {stage.name!r}: {stage.counts.tasks_in} tasks in, {stage.counts.tasks_out} out"
            for stage in self._session.report.stages
        ]
        for who, stack in sorted(stacks.items()):
            lines += [f"  {who}:", *(f"    {line}" for line in stack.splitlines())]
        text = "\n".join(lines)
        self._session.stalled(text)
        if self._session.options.on_stall == "abort":
            raise RunStalled(text)
