"""The loop of a run on a backend that we drive ourselves: the scheduler decides, a pool of workers acts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from nemo_curator.engine.gpus import check_share
from nemo_curator.engine.guard import Guard, Reading, Sentence
from nemo_curator.engine.host import CloseWorker, Command, Event, OpenSegment, ResumeRun, RunBundle
from nemo_curator.engine.instructions import Capacity, Instruction, Open, Resume, Run, Start, Stop
from nemo_curator.engine.packing import Frame, Packer, cut_frames
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.scheduler import Scheduler
from nemo_curator.engine.session import Session
from nemo_curator.engine.signals import Interrupts, Terminated
from nemo_curator.engine.stall import describe_stall
from nemo_curator.errors import CapacityError, ConservationError, RunStalled, UnpicklableError

__all__ = ["WorkerPool", "check_capacity", "drive"]

_GIB = 1024**3
_SECONDS_WHEN_UNWANTED = 2.0


class WorkerPool(Protocol):
    """Workers, wherever they are. What a backend that we drive has to bring."""

    @property
    def packer(self) -> Packer:
        """How envelopes leave the driver and come back to it."""
        ...

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a worker of that number, with these devices of its own; a `WorkerReady` follows."""
        ...

    def send(self, worker: int, command: Command) -> None:
        """Give an idle worker a command; one event follows."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Block until there is an event to collect, or so long. A signal may end it with an exception; nothing is lost by that."""
        ...

    def collect(self) -> list[Event]:
        """Return what happened since the last call; nothing if nothing did. Does not block."""
        ...

    def look(self) -> list[Reading]:
        """Return what can be seen of every worker from outside, but for what it is busy with."""
        ...

    def kill(self, sentence: Sentence) -> None:
        """Kill a worker; a `WorkerVanished` with that reason follows. Where that is impossible, note it once and go on."""
        ...

    def stacks(self) -> dict[int, str]:
        """Return the Python stack of every worker, as far as they can be had within a second."""
        ...

    def own_bytes(self) -> int:
        """Return the memory that the driver takes of what the run may use; 0 if that cannot be told."""
        ...

    def close(self, grace_s: float) -> list[str]:
        """End all workers: those that are idle tear down, and whoever is not done in `grace_s` seconds is killed.

        Returns:
            What went wrong, in sentences.
        """
        ...


def check_capacity(session: Session, capacity: Capacity) -> None:
    """Raise `CapacityError` for the first stage that needs more than there is."""
    memory = None if capacity.memory_bytes is None else capacity.memory_bytes / _GIB
    for stage in session.plan.stages:
        wanted = [("CPUs", stage.cpus, capacity.cpus), ("GPUs", stage.shape.gpus, float(len(capacity.gpus)))]
        if memory is not None:
            wanted.append(("GiB of memory", stage.memory_bytes / _GIB, memory))
        where = f"stage {stage.name!r} (added at {stage.declared_at})"
        for what, needs, has in wanted:
            if needs > has:
                message = (
                    f"{where} needs {needs:g} {what}, but this run has {has:g}; "
                    f"lower its resources with with_(resources=...), or run it where there are more"
                )
                raise CapacityError(message)
        if problem := check_share(stage.shape.gpus):
            message = f"{where} {problem}"
            raise CapacityError(message)


def drive(session: Session, pool: WorkerPool, capacity: Capacity) -> Iterator[None]:
    """Run a session on a pool to its end, and close the pool whatever happens. Yields when there may be outputs to take.

    As long as there are (`session.outputs_wait`), it does not wait for more, but yields again.

    Raises:
        StageFailed: A task was given up, and the run shall end for it.
        SetupFailed: A stage could not be set up.
        WorkerLost: Workers die, and no task is to blame.
        RunStalled: Nothing has moved for too long, and the run shall end for it.
        KeyboardInterrupt: The user wants the run to end.
        SystemExit: Somebody sent SIGTERM.
    """
    grace_s = session.options.teardown_timeout_s
    with Interrupts() as interrupts:
        try:
            for _ in _Drive(session, pool, capacity, interrupts).steps():
                with interrupts.outside():
                    yield
        except (KeyboardInterrupt, Terminated, GeneratorExit):
            grace_s = min(grace_s, _SECONDS_WHEN_UNWANTED)
            raise
        finally:
            for problem in pool.close(grace_s):
                session.warn(problem)


class _Drive:
    """One run's loop."""

    def __init__(self, session: Session, pool: WorkerPool, capacity: Capacity, interrupts: Interrupts) -> None:
        self._session = session
        self._pool = pool
        self._interrupts = interrupts
        self._scheduler = Scheduler(session.plan.segments, capacity, session.options)
        self._seeds = _frames(session, pool.packer)
        self._guard = Guard(session.plan, session.options, capacity.memory_bytes, time.perf_counter())

    def steps(self) -> Iterator[None]:
        """Run to the end; yield when there may be outputs."""
        session, pool, scheduler = self._session, self._pool, self._scheduler
        while True:
            with self._interrupts.allowed():
                while scheduler.wants_input:
                    self._feed()
            scheduler.outputs_full = session.outputs_full
            acted = [self._carry_out(instruction) for instruction in scheduler.decide()]
            outputs = scheduler.take_outputs()
            for piece in outputs:
                session.deliver(pool.packer.unpack(piece.frame)[piece.start : piece.stop])
            if outputs or session.outputs_wait:
                yield
            if scheduler.finished:
                return
            if not acted and scheduler.stuck and not session.outputs_wait:
                message = f"nothing is under way, but tasks wait: {scheduler.queued()}. This is a fault of the engine"
                raise ConservationError(message)
            with self._interrupts.allowed():
                pool.wait(0.0 if session.outputs_wait else self._guard.round_s)
            self._take_note()

    def _take_note(self) -> None:
        session, scheduler, guard = self._session, self._scheduler, self._guard
        for event in self._pool.collect():
            for news in scheduler.handle(event):
                session.note(
                    news.segment,
                    news.counts,
                    news.receipts,
                    news.deliveries,
                    undone=news.undone,
                    queued=scheduler.queued(),
                )
                if news.warning:
                    session.lost_worker(news.warning)
            guard.moved(time.perf_counter())
        now = time.perf_counter()
        if guard.due(now):
            self._look(now)

    def _look(self, now: float) -> None:
        scheduler, guard = self._scheduler, self._guard
        readings = [
            Reading(seen.worker, scheduler.working_on(seen.worker), seen.where, seen.private_bytes)
            for seen in self._pool.look()
        ]
        self._session.saw_memory(readings)
        waiting = sum(scheduler.queued_bytes())
        for sentence in guard.judge(now, readings, self._pool.own_bytes() + waiting):
            self._pool.kill(sentence)
        seconds = guard.stalled(now)
        if seconds:
            text = describe_stall(seconds, self._session.plan, scheduler, readings, self._pool.stacks(), now)
            self._session.stalled(text)
            if self._session.options.on_stall == "abort":
                raise RunStalled(text)

    def _feed(self) -> None:
        frame = next(self._seeds, None)
        if frame is None:
            self._scheduler.end_input()
        else:
            self._scheduler.feed([frame])

    def _carry_out(self, instruction: Instruction) -> Instruction:
        session, pool = self._session, self._pool
        match instruction:
            case Start(worker, shape, gpus):
                pool.start(worker, shape, gpus)
            case Stop(worker):
                pool.send(worker, CloseWorker())
            case Open(worker, index, prepare_node):
                segment = session.plan.segments[index]
                last = index + 1 == len(session.plan.segments)
                pool.send(worker, OpenSegment(index, session.shipped(segment), prepare_node, last))
            case Run(worker, run, index, bundle, careful):
                pool.send(worker, RunBundle(run, index, bundle, careful))
            case Resume(worker, run):
                pool.send(worker, ResumeRun(run))
        return instruction


def _frames(session: Session, packer: Packer) -> Iterator[Frame]:
    # What a run does to its tasks, it does to its own.
    for part in cut_frames(session.seeds(deep=not packer.copies)):
        try:
            yield packer.pack(part)
        except Exception as error:  # user classes may raise anything when pickled
            ids = part[0].id if len(part) == 1 else f"one of {part[0].id} to {part[-1].id}"
            message = f"an initial task ({ids}) cannot be sent to a worker: {type(error).__name__}: {error}; keep to plain data"
            raise UnpicklableError(message) from error
