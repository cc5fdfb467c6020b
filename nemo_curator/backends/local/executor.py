"""`LocalExecutor`: pipelines on one machine, without a service."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.engine.drive import WorkerPool, check_capacity, drive
from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.machine import detect_machine, visible_gpus
from nemo_curator.engine.options import Options, RunOptions
from nemo_curator.engine.plan import ExecutionPlan, most_busy
from nemo_curator.engine.session import Session

if TYPE_CHECKING:
    from nemo_curator.backends.workers.interpreter import Reserve

__all__ = ["LocalExecutor", "LocalOptions"]

_GIB = 1024**3
# Some is left for what else this machine does; beyond it the kernel would choose whom to kill.
_MEMORY_SHARE = 0.95
_WAITING_SHARE = 0.25
# Processes that are started before it is known whether there is work for them.
_MOST_AHEAD = 3

_log = logging.getLogger(__name__)

Mode = Literal["processes", "threads", "inline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions(Options):
    """What only the local backend is told.

    Attributes:
        mode: ``"processes"``: every worker is a process. ``"threads"``: a thread of the caller's process, for stages that wait
            or release the GIL. ``"inline"``: everything in the caller's thread, so that breakpoints, coverage and
            monkeypatching work.
        num_workers: Workers that may be busy at a time; `None` for as many as there are CPUs, or more where stages ask for less than
            one. Inline there is one.
        cpus: CPUs that the stages of busy workers may take together; `None` for what this process may use, or `num_workers`
            if that is more.
        gpus: Devices that workers may be given, as `CUDA_VISIBLE_DEVICES` names them; `None` for those of this machine.
        memory_gb: GiB that driver and workers may take together; `None` for 95 % of what this process may use. When it is
            reached, the largest worker is ended and its batch tried in smaller parts.
        strict: Pickle every task between segments also in the modes that need not, so that what would fail between
            processes fails here too.
    """

    mode: Mode = "processes"
    num_workers: int | None = None
    cpus: float | None = None
    gpus: tuple[str, ...] | list[str] | None = None
    memory_gb: float | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("num_workers", "cpus", "memory_gb"):
            if getattr(self, name) is not None:
                self._require_positive(name)


class LocalExecutor(BaseExecutor):
    """Runs a pipeline on this machine, with no service and nothing to start first.

    Args:
        config: Options by name.
        ignore_head_node: Has no meaning on one machine.
        options: The same options as keywords; see `LocalOptions` and `RunOptions`.

    Raises:
        OptionError: An option that nobody reads, or of the wrong kind.
    """

    name: ClassVar[str] = "local"

    def __init__(self, config: Mapping[str, Any] | None = None, ignore_head_node: bool = False, **options: Any) -> None:
        super().__init__({**(config or {}), **options}, ignore_head_node)
        self._reserve: Reserve | None = None

    @contextmanager
    def keeping_workers(self) -> Generator[None]:
        """Keep the processes of a run for the next one, in a ``with`` block; see `BaseExecutor.keeping_workers`."""
        if self._reserve is not None or self.local.mode != "processes":
            yield
            return
        from nemo_curator.backends.workers.interpreter import Reserve

        with Reserve(ahead=min(self._workers() - 1, _MOST_AHEAD)) as self._reserve:
            try:
                yield
            finally:
                self._reserve = None

    def _read_options(self, given: Mapping[str, Any]) -> None:
        self.local = LocalOptions.parse(given, where=type(self).__name__, others=RunOptions.names())

    @property
    def capacity(self) -> Capacity:
        """What a run of this executor may use."""
        machine = detect_machine()
        local = self.local
        workers = self._workers()
        cpus = local.cpus or max(machine.cpus, workers)
        gpus = tuple(str(device) for device in (visible_gpus() if local.gpus is None else local.gpus))
        memory, source = machine.memory_bytes and int(machine.memory_bytes * _MEMORY_SHARE), machine.memory_from
        if local.memory_gb is not None:
            memory, source = int(local.memory_gb * _GIB), "memory_gb"
        _log.info(
            "local run: %d workers, %g CPUs (%s), %s GiB of memory (%s), GPUs: %s",
            workers,
            cpus,
            machine.cpus_from if local.cpus is None else "cpus",
            "unknown" if memory is None else f"{memory / _GIB:.1f}",
            source,
            ", ".join(gpus) or "none",
        )
        return Capacity(workers=workers, cpus=cpus, gpus=gpus, memory_bytes=memory)

    def _workers(self) -> int:
        """Return how many workers may be busy at a time, where stages ask for a CPU each."""
        if self.local.mode == "inline":
            return 1
        return self.local.num_workers or max(1, int(self.local.cpus or detect_machine().cpus))

    def _fit(self, options: RunOptions, plan: ExecutionPlan) -> RunOptions:
        """Let no more wait between segments than a quarter of the memory holds."""
        memory = self.capacity.memory_bytes
        if memory is None:
            return options
        share = int(memory * _WAITING_SHARE / len(plan.segments))
        return replace(options, edge_bytes=max(1, min(options.edge_bytes, share)))

    def _run(self, session: Session) -> Iterator[None]:
        capacity = self.capacity
        if self.local.num_workers is None and self.local.mode != "inline":
            capacity = replace(capacity, workers=most_busy(session.plan.segments, capacity.cpus))
        check_capacity(session, capacity)
        return drive(session, self._make_pool(session, capacity), capacity)

    def _make_pool(self, session: Session, capacity: Capacity) -> WorkerPool:
        local = self.local
        if local.mode == "processes":
            from nemo_curator.backends.local.environments import check_environments
            from nemo_curator.backends.workers.pool import ProcessPool

            check_environments(session)
            return ProcessPool(
                session.options,
                hides_gpus=bool(capacity.gpus) and any(stage.shape.gpus for stage in session.plan.stages),
                watches_memory=capacity.memory_bytes is not None,
                reserve=self._reserve,
            )
        if local.mode == "threads":
            from nemo_curator.backends.local.threads import ThreadPool

            return ThreadPool(session, strict=local.strict)
        from nemo_curator.backends.local.inline import InlinePool

        return InlinePool(session, strict=local.strict)
