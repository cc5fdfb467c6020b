"""Workers of a whole cluster: a `WorkerPool` over one agent a node."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nemo_curator.backends.cluster.executor import module_folders
from nemo_curator.backends.cluster.nodes import Node
from nemo_curator.backends.cluster.payload import ObjectPacker
from nemo_curator.backends.ray_actor_pool.agent import NodeAgent
from nemo_curator.engine.guard import Reading, Sentence
from nemo_curator.engine.host import Closed, Command, Event, WorkerVanished
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.session import Session
from nemo_curator.errors import EngineLost

__all__ = ["AgentPool"]

_POLL_SECONDS = 30.0
_LOOK_SECONDS = 5.0
_GROUPS = {"post": 1, "poll": 1, "side": 2}


@dataclass(eq=False)
class _Agent:
    """An agent as the driver sees it.

    Attributes:
        node: Its node.
        handle: The actor.
        orders: What it shall be told next.
        poll: The call that returns when something happens there.
    """

    node: Node
    handle: Any
    orders: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list[tuple[str, tuple[Any, ...]]])
    poll: Any = None


class AgentPool:
    """Workers on the nodes of a cluster.

    Args:
        ray: The module, connected.
        session: The run.
        nodes: Where its workers may be.
        runtime_env: Runtime environment of all workers, under those of stages.
        reserve: CPUs and GPUs to reserve, by id of the node.
    """

    def __init__(
        self,
        ray: Any,
        session: Session,
        nodes: Sequence[Node],
        runtime_env: dict[str, Any],
        reserve: dict[str, tuple[float, int]],
    ) -> None:
        self.packer = ObjectPacker(ray)
        self._ray = ray
        self._options = session.options
        self._nodes = list(nodes)
        self._runtime_env = runtime_env
        self._reserve = reserve
        stages = session.plan.stages
        self._hides_gpus = any(stage.shape.gpus for stage in stages)
        self._watches_memory = any(stage.memory_bytes for stage in stages)
        self._agents: dict[tuple[str, str], _Agent] = {}
        self._by_worker: dict[int, tuple[_Agent, WorkerShape]] = {}
        self._threads: Counter[str] = Counter()
        self._ready: list[_Agent] = []

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a worker where there is most room for it, or where its devices are."""
        wanted = gpus[0].rpartition(":")[0] if gpus else ""
        nodes = [node for node in self._nodes if node.id == wanted] if wanted else self._nodes
        node = min(nodes, key=lambda node: self._unfitness(node, shape))
        self._threads[node.id] += shape.threads
        agent = self._agent(node, shape)
        self._by_worker[worker] = agent, shape
        devices = tuple(name.rpartition(":")[2] for name in gpus)
        agent.orders.append(("start", (worker, shape, devices)))

    def _unfitness(self, node: Node, shape: WorkerShape) -> tuple[bool, float]:
        """Return how unfit a node is for one more worker of a shape; the smallest is the best."""
        return node.cpus < shape.threads, (self._threads[node.id] + shape.threads) / max(node.cpus, 0.01)

    def _agent(self, node: Node, shape: WorkerShape) -> _Agent:
        """Return the agent for workers of this shape's environment on a node; the actor starts when it is first needed."""
        # Variables are set by the agent for each worker; what else there is, Ray has to build for an agent of its own.
        environment = json.loads(shape.runtime_env) if shape.runtime_env else {}
        environment.pop("env_vars", None)
        key = (node.id, json.dumps(environment, sort_keys=True))
        if key not in self._agents:
            self._agents[key] = _Agent(node, self._actor(node, environment))
        return self._agents[key]

    def _actor(self, node: Node, environment: dict[str, Any]) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        first = all(agent.node.id != node.id for agent in self._agents.values())
        cpus, gpus = self._reserve[node.id] if first else (0.0, 0)
        options: dict[str, Any] = {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_restarts": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False),
        }
        merged = {**self._runtime_env, **environment}
        if merged:
            options["runtime_env"] = merged
        actor = self._ray.remote(concurrency_groups=_GROUPS)(NodeAgent).options(**options)
        return actor.remote(
            node.id,
            self._options,
            hides_gpus=self._hides_gpus,
            watches_memory=self._watches_memory,
            path=module_folders(),
        )

    def send(self, worker: int, command: Command) -> None:
        """Give a worker its next command."""
        agent, _ = self._by_worker[worker]
        agent.orders.append(("send", (worker, command)))

    def wait(self, timeout_s: float) -> None:
        """Tell agents what they have to know, and wait until one has something to say."""
        polls = {}
        for agent in self._agents.values():
            if agent.orders:
                orders, agent.orders = agent.orders, []
                agent.handle.post.options(concurrency_group="post").remote(orders)
            if agent.poll is None:
                agent.poll = agent.handle.poll.options(concurrency_group="poll").remote(_POLL_SECONDS)
            polls[agent.poll] = agent
        if not polls:
            return
        ready, _ = self._ray.wait(list(polls), num_returns=1, timeout=timeout_s)
        if ready and len(polls) > 1:
            ready, _ = self._ray.wait(list(polls), num_returns=len(polls), timeout=0)
        self._ready = [polls[ref] for ref in ready]

    def collect(self) -> list[Event]:
        """Read what agents have to say.

        Raises:
            EngineLost: A node is gone, with its workers and what they held.
        """
        ready, self._ready = self._ready, []
        events: list[Event] = []
        for agent in ready:
            poll, agent.poll = agent.poll, None
            events += self._read(agent, poll)
        for event in events:
            if isinstance(event, (Closed, WorkerVanished)):
                self._forget(event.worker)
        return events

    def _forget(self, worker: int) -> None:
        agent, shape = self._by_worker.pop(worker)
        self._threads[agent.node.id] -= shape.threads

    def _read(self, agent: _Agent, poll: Any) -> list[Event]:
        from ray.exceptions import RayError

        try:
            return self._ray.get(poll)
        except RayError as error:
            message = f"node {agent.node.id[:12]} was lost, or what it held: {' '.join(str(error).split())[:500]}"
            raise EngineLost(message) from error

    def look(self) -> list[Reading]:
        """Return what can be seen of every worker."""
        readings = [reading for seen in self._ask("look", timeout_s=_LOOK_SECONDS) for reading in seen]
        now = time.perf_counter()
        return [
            replace(reading, where=replace(reading.where, since=now - reading.where.since))
            if reading.where.since
            else reading
            for reading in readings
        ]

    def kill(self, sentence: Sentence) -> None:
        """Kill a worker, after it has said where it stands."""
        if sentence.worker in self._by_worker:
            agent, _ = self._by_worker[sentence.worker]
            agent.handle.kill.options(concurrency_group="side").remote(sentence)

    def stacks(self) -> dict[int, str]:
        """Return the Python stack of every worker."""
        found: dict[int, str] = {}
        for stacks in self._ask("stacks", timeout_s=_LOOK_SECONDS):
            found |= stacks
        return found

    def own_bytes(self) -> int:
        """Return 0: the driver is one process of a cluster."""
        return 0

    def close(self, grace_s: float) -> list[str]:
        """Let workers tear down, then end the agents."""
        problems = [
            problem for found in self._ask("close", grace_s, timeout_s=grace_s + _LOOK_SECONDS) for problem in found
        ]
        for agent in self._agents.values():
            with contextlib.suppress(Exception):  # a node that is gone has no actor to end
                self._ray.kill(agent.handle)
        self._agents.clear()
        return problems

    def _ask(self, method: str, *arguments: Any, timeout_s: float) -> list[Any]:
        """Return the answers of all agents that give one in time."""
        refs = [
            getattr(agent.handle, method).options(concurrency_group="side").remote(*arguments)
            for agent in self._agents.values()
        ]
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=timeout_s) if refs else ([], [])
        answers: list[Any] = []
        for ref in ready:
            with contextlib.suppress(Exception):  # the agent is gone; `collect` finds out
                answers.append(self._ray.get(ref))
        return answers
