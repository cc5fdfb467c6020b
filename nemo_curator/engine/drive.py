"""The loop of a run on a backend that we drive ourselves: the scheduler decides, a pool of workers acts."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_curator.engine.gpus import check_share
from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.loop import Loop, WorkerPool
from nemo_curator.engine.packing import Frame, Packer, cut_frames
from nemo_curator.engine.session import Session
from nemo_curator.engine.signals import Interrupts, Terminated
from nemo_curator.errors import CapacityError, ConservationError, UnpicklableError

__all__ = ["WorkerPool", "check_capacity", "drive"]

_GIB = 1024**3
_SECONDS_WHEN_UNWANTED = 2.0


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
            loop = Loop(session.plan, session.plan.segments, session.options, pool, capacity, session)
            for _ in _steps(session, loop, pool, interrupts):
                with interrupts.outside():
                    yield
        except (KeyboardInterrupt, Terminated, GeneratorExit):
            grace_s = min(grace_s, _SECONDS_WHEN_UNWANTED)
            raise
        finally:
            for problem in pool.close(grace_s):
                session.warn(problem)


def _steps(session: Session, loop: Loop, pool: WorkerPool, interrupts: Interrupts) -> Iterator[None]:
    """Run to the end; yield when there may be outputs."""
    scheduler = loop.scheduler
    seeds = _frames(session, pool.packer)
    while True:
        with interrupts.allowed():
            while scheduler.wants_input:
                frame = next(seeds, None)
                if frame is None:
                    scheduler.end_input()
                else:
                    scheduler.feed([frame])
        scheduler.outputs_full = session.outputs_full
        acted = loop.act()
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
        with interrupts.allowed():
            pool.wait(0.0 if session.outputs_wait else loop.round_s)
        loop.take_note()


def _frames(session: Session, packer: Packer) -> Iterator[Frame]:
    # What a run does to its tasks, it does to its own.
    for part in cut_frames(session.seeds(deep=not packer.copies)):
        try:
            yield packer.pack(part)
        except Exception as error:  # user classes may raise anything when pickled
            ids = part[0].id if len(part) == 1 else f"one of {part[0].id} to {part[-1].id}"
            message = f"an initial task ({ids}) cannot be sent to a worker: {type(error).__name__}: {error}; keep to plain data"
            raise UnpicklableError(message) from error
