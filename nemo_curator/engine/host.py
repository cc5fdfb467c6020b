"""`WorkerHost`: what a worker does, whatever kind of worker it is. Commands in, events out.

A host holds any number of segments of its shape, each set up on first use, and any number of runs that rest between two
pieces of output. It runs one command at a time.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from nemo_curator.engine.beacon import Beacon, Where
from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Envelope, Outcome, Receipt
from nemo_curator.engine.failure import Failure, one_line, user_traceback
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame, Packer, Slice, cut_frames
from nemo_curator.engine.segment import Piece, SegmentRunner
from nemo_curator.engine.shipping import unship
from nemo_curator.engine.tally import kept
from nemo_curator.engine.verdict import Careful, Death
from nemo_curator.errors import SetupFailed, UnpicklableError
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata

__all__ = [
    "CloseWorker",
    "Closed",
    "Command",
    "Event",
    "OpenSegment",
    "Opened",
    "Progressed",
    "Refused",
    "ResumeRun",
    "RunBundle",
    "WorkerHost",
    "WorkerReady",
    "WorkerVanished",
]


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """Set a segment up.

    Attributes:
        segment: Its index.
        shipped: The segment, pickled.
        prepare_node: Whether this is the node's first worker for it.
        last: Its outputs are the pipeline's.
    """

    segment: int
    shipped: bytes
    prepare_node: bool
    last: bool


@dataclass(frozen=True, slots=True)
class RunBundle:
    """Run a bundle through a segment that is set up; the run's first piece is the answer.

    Attributes:
        run: A number for it.
        segment: Index of the segment.
        bundle: The inputs.
        careful: How to go about it, where workers have died with it.
        after: The pool keeps it until this run of the worker has finished, and then gives it; `None` for at once.
    """

    run: int
    segment: int
    bundle: tuple[Slice, ...]
    careful: Careful | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Go on with a run; its next piece is the answer."""

    run: int


@dataclass(frozen=True, slots=True)
class CloseWorker:
    """Tear everything down."""


Command = OpenSegment | RunBundle | ResumeRun | CloseWorker


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has started and takes commands.

    Attributes:
        worker: The worker.
        node: The machine that it is on.
    """

    worker: int
    node: str = "localhost"


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment was set up, or could not be."""

    worker: int
    segment: int
    counts: tuple[StageCounts, ...]
    error: SetupFailed | None = None


@dataclass(frozen=True, slots=True)
class Progressed:
    """A piece of a run.

    Attributes:
        worker: The worker.
        run: The run.
        frames: What goes on to the next segment, or to the caller.
        deliveries: At the last segment, ids and claims of what it made.
        receipts: Tasks that left early.
        counts: Of every stage of the segment.
        finished: The bundle is done.
        seconds: Time that the worker spent on this piece.
        done: Inputs of the bundle that are done with, see `Piece`.
        partial: Something of the input after those is in here.
    """

    worker: int
    run: int
    frames: tuple[Frame, ...]
    deliveries: tuple[tuple[str, Claims], ...]
    receipts: tuple[Receipt, ...]
    counts: tuple[StageCounts, ...]
    finished: bool
    seconds: float
    done: int = 0
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A bundle could not be read where it arrived, so that not even its tasks' ids are known."""

    worker: int
    run: int
    error: UnpicklableError


@dataclass(frozen=True, slots=True)
class Closed:
    """A worker has torn its stages down and takes no more commands."""

    worker: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerVanished:
    """A worker died.

    Attributes:
        worker: The worker.
        how: Half a sentence: ``"was killed by signal 9 (SIGKILL)"``.
        death: Of what it died.
        where: What it was doing; `None` if nobody knows.
        details: Its stack, where that could be taken.
    """

    worker: int
    how: str
    death: Death = Death.CRASHED
    where: Where | None = None
    details: str = ""


Event = WorkerReady | Opened | Progressed | Refused | Closed | WorkerVanished


class WorkerHost:
    """Runs commands for one worker.

    Args:
        worker: Number of the worker.
        options: The run's options.
        packer: How envelopes are moved here.
        node: Name of this machine.
        beacon: Where the worker says what it is at.
        allocation: What the worker was given, for its stages to know.
    """

    def __init__(
        self,
        worker: int,
        options: RunOptions,
        packer: Packer,
        *,
        node: str = "localhost",
        beacon: Beacon | None = None,
        allocation: object = None,
    ) -> None:
        self._worker = worker
        self._options = options
        self._packer = packer
        self._node = NodeInfo(node)
        self._token = os.urandom(6).hex()
        self._beacon = beacon or Beacon()
        self._metadata = WorkerMetadata(worker_id=f"{node}-{worker}", allocation=allocation)
        self._segments: dict[int, SegmentRunner] = {}
        self._last: set[int] = set()
        self._runs: dict[int, tuple[int, Iterator[Piece]]] = {}

    def handle(self, command: Command) -> Event:
        """Do what a command says and return what came of it. Raises only what is a fault of the engine."""
        match command:
            case OpenSegment():
                return self._open(command)
            case RunBundle():
                return self._run(command)
            case ResumeRun():
                return self._advance(command.run)
            case CloseWorker():
                return Closed(self._worker, tuple(self.close()))

    def close(self) -> list[str]:
        """Tear every segment down; return what went wrong. Safe to call twice."""
        self._runs.clear()
        segments, self._segments = list(self._segments.values()), {}
        return [problem for segment in segments for problem in segment.close()]

    def _open(self, command: OpenSegment) -> Opened:
        options = self._options
        self._beacon.rest()
        try:
            segment = unship(command.shipped)
            runner = SegmentRunner(segment, options, self._metadata, beacon=self._beacon, token=self._token)
            self._segments[command.segment] = runner
            runner.open(self._node if command.prepare_node else None)
        except SetupFailed as error:
            return Opened(self._worker, command.segment, (), error)
        if command.last:
            self._last.add(command.segment)
        counts, _ = runner.take()
        return Opened(self._worker, command.segment, counts)

    def _run(self, command: RunBundle) -> Progressed | Refused:
        self._beacon.rest()
        try:
            envelopes = [
                envelope
                for piece in command.bundle
                for envelope in self._packer.unpack(piece.frame)[piece.start : piece.stop]
            ]
        except Exception as error:  # user classes may raise anything when unpickled
            _, details = user_traceback(error)
            message = (
                f"a task that arrived at segment {self._segments[command.segment].name!r} could be pickled, but not read "
                f"back: {one_line(error)}; keep what tasks hold to plain data\n{details}"
            )
            return Refused(self._worker, command.run, UnpicklableError(message))
        self._runs[command.run] = (command.segment, self._segments[command.segment].run(envelopes, command.careful))
        return self._advance(command.run)

    def _advance(self, run: int) -> Progressed:
        start = time.perf_counter()
        segment, pieces = self._runs[run]
        made = next(pieces)
        piece, last = made.envelopes, segment in self._last
        counts, receipts = self._segments[segment].take()
        frames: list[Frame] = []
        if not last or self._options.return_outputs:
            piece, frames = self._pack(piece, counts[-1], receipts, self._segments[segment])
        deliveries = [(envelope.id, envelope.claims) for envelope in piece] if last else []
        if made.finished:
            del self._runs[run]
        return Progressed(
            self._worker,
            run,
            tuple(frames),
            tuple(deliveries),
            tuple(receipts),
            counts,
            made.finished,
            seconds=time.perf_counter() - start,
            done=made.done,
            partial=made.partial,
        )

    def _pack(
        self, piece: list[Envelope], counts: StageCounts, receipts: list[Receipt], maker: SegmentRunner
    ) -> tuple[list[Envelope], list[Frame]]:
        """Return the envelopes that can travel and their frames; a task that cannot be pickled has failed."""
        sent: list[Envelope] = []
        frames: list[Frame] = []
        waiting = deque(cut_frames(piece))
        while waiting:
            part = waiting.popleft()
            try:
                frames.append(self._packer.pack(part))
                sent += part
            except Exception as error:  # user classes may raise anything when pickled
                if len(part) > 1:
                    # One of them is guilty; alone, each shows whether it is the one.
                    waiting.extendleft([envelope] for envelope in reversed(part))
                    continue
                (envelope,) = part
                receipts.append(_unpicklable(envelope, maker, error))
                counts.tasks_out -= 1
                counts.items_out -= envelope.task.num_items
                counts.children_failed += 1
        return sent, frames


def _unpicklable(envelope: Envelope, maker: SegmentRunner, error: Exception) -> Receipt:
    stage, reason = maker.last_stage, type(error).__name__
    failure = Failure.of(
        error, task_id=envelope.id, stage=stage.name, declared_at=stage.declared_at, attempts=1
    ).because("its output cannot be pickled")
    if maker.quarantine is not None:
        note = "it is an output that cannot be pickled, and what it was made of is gone"
        failure = kept(maker.quarantine, envelope, failure, reason, note=note)
    return Receipt(envelope.id, envelope.claims, Outcome.FAILED, stage.name, reason, failure)
