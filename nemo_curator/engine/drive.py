"""The loop of a run on a backend that we drive ourselves: the scheduler decides, a pool of workers acts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from nemo_curator.engine.host import CloseWorker, Command, Event, Opened, OpenSegment, Progressed, ResumeRun, RunBundle
from nemo_curator.engine.packing import Frame, Packer, cut_frames
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.scheduler import Capacity, Instruction, Open, Resume, Run, Scheduler, Start, Stop
from nemo_curator.engine.session import Session
from nemo_curator.errors import CapacityError, ConservationError, UnpicklableError

__all__ = ["WorkerPool", "check_capacity", "drive"]


class WorkerPool(Protocol):
    """Workers, wherever they are. What a backend that we drive has to bring."""

    @property
    def packer(self) -> Packer:
        """How envelopes leave the driver and come back to it."""
        ...

    def start(self, worker: int, shape: WorkerShape) -> None:
        """Start a worker of that number; a `WorkerReady` follows."""
        ...

    def send(self, worker: int, command: Command) -> None:
        """Give an idle worker a command; one event follows."""
        ...

    def wait(self) -> list[Event]:
        """Return what happened, at least one event; blocks until there is one."""
        ...

    def close(self, grace_s: float) -> list[str]:
        """End all workers: those that are idle tear down, and whoever is not done in `grace_s` seconds is killed.

        Returns:
            What went wrong, in sentences.
        """
        ...


def check_capacity(session: Session, capacity: Capacity) -> None:
    """Raise `CapacityError` for the first stage that needs more than there is."""
    for stage in session.plan.stages:
        for what, needs, has in (("CPUs", stage.cpus, capacity.cpus), ("GPUs", stage.shape.gpus, capacity.gpus)):
            if needs > has:
                message = (
                    f"stage {stage.name!r} (added at {stage.declared_at}) needs {needs:g} {what}, but this run has {has:g}; "
                    f"lower its resources with with_(resources=...), or run it where there are more"
                )
                raise CapacityError(message)


def drive(session: Session, pool: WorkerPool, capacity: Capacity) -> None:
    """Run a session on a pool to its end, and close the pool whatever happens.

    Raises:
        StageFailed: A task was given up, and the run shall end for it.
        SetupFailed: A stage could not be set up.
        WorkerLost: A bundle lost its worker too often.
    """
    scheduler = Scheduler(session.plan.segments, capacity, session.options)
    seeds = _frames(session, pool.packer)
    grace_s = session.options.teardown_timeout_s
    try:
        while True:
            while scheduler.wants_input:
                _feed(scheduler, seeds)
            acted = [_carry_out(session, pool, instruction) for instruction in scheduler.decide()]
            for frame in scheduler.take_outputs():
                session.deliver(pool.packer.unpack(frame))
            if scheduler.finished:
                break
            if not acted and scheduler.stuck:
                message = f"nothing is under way, but tasks wait: {scheduler.queued()}. This is a fault of the engine"
                raise ConservationError(message)
            for event in pool.wait():
                _note(session, scheduler, event)
                scheduler.handle(event)
    except KeyboardInterrupt:
        grace_s = min(grace_s, 1.0)
        raise
    finally:
        for problem in pool.close(grace_s):
            session.warn(problem)


def _frames(session: Session, packer: Packer) -> Iterator[Frame]:
    # What a run does to its tasks, it does to its own.
    for part in cut_frames(session.seeds(deep=not packer.copies)):
        try:
            yield packer.pack(part)
        except Exception as error:  # user classes may raise anything when pickled
            ids = part[0].id if len(part) == 1 else f"one of {part[0].id} to {part[-1].id}"
            message = f"an initial task ({ids}) cannot be sent to a worker: {type(error).__name__}: {error}; keep to plain data"
            raise UnpicklableError(message) from error


def _feed(scheduler: Scheduler, seeds: Iterator[Frame]) -> None:
    frame = next(seeds, None)
    if frame is None:
        scheduler.end_input()
    else:
        scheduler.feed([frame])


def _carry_out(session: Session, pool: WorkerPool, instruction: Instruction) -> Instruction:
    match instruction:
        case Start(worker, shape):
            pool.start(worker, shape)
        case Stop(worker):
            pool.send(worker, CloseWorker())
        case Open(worker, index, prepare_node):
            segment = session.plan.segments[index]
            last = index + 1 == len(session.plan.segments)
            pool.send(worker, OpenSegment(index, session.shipped(segment), prepare_node, last))
        case Run(worker, run, index, bundle):
            pool.send(worker, RunBundle(run, index, bundle))
        case Resume(worker, run):
            pool.send(worker, ResumeRun(run))
    return instruction


def _note(session: Session, scheduler: Scheduler, event: Event) -> None:
    if isinstance(event, Opened):
        if event.error is not None:
            raise event.error
        session.note(session.plan.segments[event.segment], event.counts, queued=scheduler.queued())
    elif isinstance(event, Progressed):
        segment = scheduler.segment_of(event.run)
        session.note(segment, event.counts, event.receipts, event.deliveries, queued=scheduler.queued())
