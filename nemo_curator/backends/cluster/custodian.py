"""`Custodian`: runs one segment inside a worker of a foreign engine, in a child process of its own.

The engine gives it parcels and gets parcels back, and never sees user code: what crashes, hangs or grows is the child, which the
custodian looks after with the scheduler, the guard and the verdicts that every other backend has. The engine's worker lives on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nemo_curator.backends.cluster.gate import GatedPool
from nemo_curator.backends.cluster.payload import carried, landed
from nemo_curator.backends.cluster.steward import Word
from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.guard import Reading
from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.loop import Loop
from nemo_curator.engine.machine import visible_gpus
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Slice
from nemo_curator.engine.parcel import Parcel, Tidings, descendants, passed_on
from nemo_curator.engine.plan import ExecutionPlan, Segment
from nemo_curator.engine.sizing import ParcelSize
from nemo_curator.errors import ConservationError, CuratorError, WorkerLost

__all__ = ["Custodian", "Ticket", "custodian_of", "let_go"]

_log = logging.getLogger(__name__)

_SMOOTHING = 0.3
_TELL_SECONDS = 0.5
# What a task costs us besides: pickling, unpickling, books.
_OVERHEAD_SECONDS = 5e-5


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a custodian has to know. It holds no object of the user's: those are only ever read in a child.

    Attributes:
        run: Name of the run.
        steward: The run's steward, an actor.
        index: Index of the segment.
        plan: The plan, without the stages themselves.
        options: The run's options.
        shipped: The segment, pickled.
        patient: The engine takes what a parcel becomes only when all of it is there.
        path: Folders where modules of the driver's are.
    """

    run: str
    steward: Any
    index: int
    plan: ExecutionPlan
    options: RunOptions
    shipped: bytes
    patient: bool
    path: tuple[str, ...] = ()

    @property
    def segment(self) -> Segment:
        """The segment."""
        return self.plan.segments[self.index]

    @property
    def last(self) -> bool:
        """Whether the pipeline's outputs leave it."""
        return self.index + 1 == len(self.plan.segments)


class Custodian:
    """Runs a segment for a worker of an engine.

    Args:
        ticket: What it has to know.
    """

    def __init__(self, ticket: Ticket) -> None:
        import ray

        self._ticket = ticket
        self._steward = ticket.steward
        self._node = ray.get_runtime_context().get_node_id()
        segment = ticket.segment
        self.who = f"the worker of segment {segment.name!r} on node {self._node[:12]} (process {os.getpid()})"
        # Ray sets it to the CPUs of the actor, which may be a share; the child's are the stage's.
        os.environ.pop("OMP_NUM_THREADS", None)
        gpus = visible_gpus() if segment.shape.gpus else ()
        self._pool = GatedPool(
            ticket.options,
            hides_gpus=bool(gpus),
            watches_memory=bool(segment.memory_bytes),
            node=self._node,
            path=ticket.path,
            gate=lambda: self._ask(self._steward.turn.remote(self._node, ticket.index)),
            born=lambda pid: self._steward.child.remote(self.who, pid),
            passed=lambda done: self._steward.prepared.remote(self._node, ticket.index, done),
        )
        self._steward.enrol.remote(self.who, ticket.index, self._node, os.getpid())
        self._books = _Books(ticket)
        self._loop = Loop(
            ticket.plan,
            [replace(segment, index=0)],
            ticket.options,
            self._pool,
            Capacity(workers=1, cpus=max(1.0, segment.cpus), gpus=gpus),
            self._books,
            last=ticket.last,
        )
        self._loop.scheduler.end_input()
        self._size = ParcelSize(ticket.options.bundle_seconds, patient=ticket.patient)
        if ticket.last:
            self._size.cost = 0.0
        self._cost: float | None = None
        self._told_at = 0.0
        self._broken: CuratorError | None = None
        self._closing: float | None = None
        # Whoever runs holds it; who closes waits for it.
        self._running, self._leaving = threading.Lock(), threading.Lock()
        threading.Thread(target=self._watch, name="curator-custodian", daemon=True).start()

    def run(self, parcel: Parcel) -> Iterator[Parcel]:
        """Run what is in a parcel; yield what it becomes, at least one. Never raises for what user code does.

        An engine may call it from several threads. They take turns, but what one does with the last that it was given, which mostly is all,
        is done while the next has the child.
        """
        if parcel.passes or self._broken is not None:
            yield passed_on(parcel if self._broken is None else replace(parcel, bundle=(), error=self._broken))
            return
        last: Parcel | None = None
        with self._running:
            if self._ticket.index == 0:
                parcel = replace(parcel, taken=parcel.taken + 1)
            before = self._books.seconds
            for made in descendants(parcel, self._made(parcel)):
                if last is not None:
                    yield last
                last = made
            self._learn(parcel.count, self._books.seconds - before)
        if last is not None:
            yield last

    def _made(self, parcel: Parcel) -> Iterator[tuple[tuple[Slice, ...], tuple[Tidings, ...]]]:
        try:
            for bundle in self._bundles(parcel):
                yield carried(bundle), self._books.take()
            yield (), self._books.take()
        except CuratorError as error:
            # What a segment cannot go on from ends the run, and the driver says so.
            self._broken = parcel.error = error
            yield (), self._books.take()

    def _bundles(self, parcel: Parcel) -> Iterator[tuple[Slice, ...]]:
        """Yield what leaves the segment, in the sizes that the next one wants."""
        loop, scheduler = self._loop, self._loop.scheduler
        loop.begin()
        scheduler.feed_slices(landed(parcel.bundle))
        waiting: list[Slice] = []
        while not scheduler.finished:
            if self._closing is not None:
                message = f"{self.who} was told that the run is over"
                raise WorkerLost(message)
            if not loop.act() and scheduler.stuck:
                message = f"nothing is under way, but tasks wait: {scheduler.queued()}. This is a fault of the engine"
                raise ConservationError(message)
            self._pool.wait(loop.round_s)
            loop.take_note()
            waiting += scheduler.take_outputs()
            # Who takes what leaves the pipeline has nothing to divide: it goes as it comes.
            rest = self._ticket.last or scheduler.finished
            yield from self._size.cut(waiting, self._ticket.options.piece_bytes, rest=rest, came=parcel.count)

    def _learn(self, count: int, seconds: float) -> None:
        """Tell, not too often, what a task takes here, so that whoever feeds this segment knows what to send at a time."""
        sample = seconds / max(count, 1) + _OVERHEAD_SECONDS
        self._cost = sample if self._cost is None else self._cost + _SMOOTHING * (sample - self._cost)
        now = time.perf_counter()
        if now - self._told_at > _TELL_SECONDS:
            self._told_at = now
            self._steward.costs.remote(self._ticket.index, self._cost)

    # In a thread

    def _watch(self) -> None:
        """Listen to the steward until the run is over, then tear down; the same if the steward is gone, and the run with it."""
        word = Word(-1)
        while word.grace_s is None:
            asked = word.stacks
            try:
                word = self._ask(self._steward.watch.remote(self.who, word.version))
            except Exception:  # whatever Ray says when an actor is gone
                word = Word(0, grace_s=self._ticket.options.teardown_timeout_s)
                break
            if not self._ticket.last:
                self._size.cost = word.costs.get(self._ticket.index + 1)
            if word.stacks != asked:
                self._steward.answer.remote(self.who, "\n".join(self._pool.stacks().values()))
        self.leave(word.grace_s or 0.0)

    def _ask(self, ref: Any) -> Any:
        # `ray.get` complains in an engine's asynchronous actors, also in threads of their own.
        return ref.future().result()

    def leave(self, grace_s: float) -> None:
        """Tear down within so many seconds, and tell the steward what went wrong; nothing the second time."""
        with self._leaving:
            if self._closing is not None:
                return
            self._closing = grace_s
            self._pool.wake()
            # A run that is under way notices between two events; its child is ended when its time is up, whatever it does.
            with self._running:
                problems = self._pool.close(grace_s)
            _CUSTODIANS.pop((self._ticket.run, self._ticket.index), None)
            try:
                self._ask(self._steward.left.remote(self.who, problems))
            except Exception:
                _log.debug("the steward is gone, so that nobody is left to tell", exc_info=True)

    def leave_last(self) -> None:
        """Tear down when all others of the segment have: it has nothing to do any more."""
        grace_s = self._ticket.options.teardown_timeout_s
        self._ask(self._steward.dismiss.remote(self._ticket.index, grace_s, self.who))
        self.leave(grace_s)


class _Books:
    """Keeps what the driver's books must be told until a parcel takes it along.

    Attributes:
        seconds: Time that was spent in user code, but for setups.
    """

    def __init__(self, ticket: Ticket) -> None:
        self.seconds = 0.0
        self._shipped = ticket.shipped
        self._index = ticket.index
        self._kept = Tidings(ticket.index)

    def take(self) -> tuple[Tidings, ...]:
        """Return what there is to tell since the last call."""
        kept, self._kept = self._kept, Tidings(self._index)
        return (kept,) if kept else ()

    def shipped(self, segment: Segment) -> bytes:
        """Return the segment as bytes."""
        return self._shipped

    def note(
        self,
        segment: Segment,
        counts: Sequence[StageCounts],
        receipts: Iterable[Receipt] = (),
        deliveries: Iterable[tuple[str, Claims]] = (),
        *,
        undone: Sequence[StageCounts] = (),
        queued: Sequence[int] = (),
    ) -> None:
        """Keep what a worker did."""
        self.seconds += sum(stage.seconds for stage in counts)
        self._kept.add(counts, receipts, deliveries, undone)

    def lost_worker(self, sentence: str) -> None:
        """Keep that a worker died."""
        self._kept.warnings.append(sentence)

    def saw_memory(self, readings: Iterable[Reading]) -> None:
        """Keep how much memory workers have."""
        for reading in readings:
            self._kept.peak_bytes = max(self._kept.peak_bytes, reading.private_bytes or 0)

    def stalled(self, text: str) -> None:
        """Keep that nothing moves. An idle child has nothing to move, so this is told only with what comes next."""
        self._kept.notes.append(text)


_CUSTODIANS: dict[tuple[str, int], Custodian] = {}
_MAKING = threading.Lock()


def custodian_of(ticket: Ticket) -> Custodian:
    """Return this process's custodian for a segment; there is one for every run and segment, made when it is first asked for."""
    key = (ticket.run, ticket.index)
    with _MAKING:
        if key not in _CUSTODIANS:
            _CUSTODIANS[key] = Custodian(ticket)
        return _CUSTODIANS[key]


def let_go(ticket: Ticket) -> None:
    """Tear down what this process has of a segment, if anything."""
    custodian = _CUSTODIANS.pop((ticket.run, ticket.index), None)
    if custodian is not None:
        custodian.leave(ticket.options.teardown_timeout_s)
