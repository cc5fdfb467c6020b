"""`SegmentRunner`: several stages in a row in one worker, a bundle passing all of them without being serialised."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.envelope import Envelope, Receipt
from nemo_curator.engine.ids import path_order
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import task_nbytes
from nemo_curator.engine.plan import PlannedStage, Segment
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.engine.retry import RetryBudget, RetryPolicy
from nemo_curator.engine.runner import StageRunner
from nemo_curator.engine.verdict import Careful
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata

__all__ = ["Piece", "SegmentRunner"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What leaves a segment at a time.

    Attributes:
        envelopes: Tasks for the next segment; may be none.
        done: Inputs of the bundle that are done with: nothing more will come of them.
        partial: Something of the input after those is among the envelopes, or among what was counted.
        finished: It is the bundle's last piece.
    """

    envelopes: list[Envelope]
    done: int
    partial: bool
    finished: bool


class SegmentRunner:
    """Runs one segment for one worker: `open`, then `run` any number of times, then `close`.

    Args:
        segment: The segment, with stage objects that are this worker's own.
        options: The run's. Where they keep order, bundles come in stream order; otherwise a barrier sorts what it gets by id, so
            that what it sees does not depend on who was faster.
        worker: The worker, as stages get to know it.
        beacon: Where the worker says what it is at.
        token: Part of the ids of calls, see `StageRunner`.

    Attributes:
        quarantine: Where tasks are kept that were given up; `None` for nowhere.
    """

    def __init__(
        self,
        segment: Segment,
        options: RunOptions,
        worker: WorkerMetadata,
        *,
        beacon: Beacon | None = None,
        token: str = "",
    ) -> None:
        self._segment = segment
        self._worker = worker
        self._beacon = beacon = beacon or Beacon()
        self.quarantine = quarantine = Quarantine(options.quarantine_path) if options.quarantine_path else None
        self._runners = [
            StageRunner(
                stage,
                RetryPolicy.of(options, stage.retries),
                budget=RetryBudget(options.retry_reserve, options.retry_share),
                beacon=beacon,
                quarantine=quarantine,
                token=token,
            )
            for stage in segment.stages
        ]
        self._piece_seconds = options.bundle_seconds
        self._piece_bytes = options.piece_bytes
        self._sorts = segment.is_barrier and not options.preserve_order

    @property
    def name(self) -> str:
        """The segment's name."""
        return self._segment.name

    @property
    def last_stage(self) -> PlannedStage:
        """The stage whose outputs leave the segment."""
        return self._segment.stages[-1]

    def open(self, node: NodeInfo | None = None) -> None:
        """Set every stage up, in order.

        Args:
            node: Given to the node's first worker, which prepares the node too.

        Raises:
            SetupFailed: A stage could not be set up. Those that were entered are torn down by `close`.
        """
        for runner in self._runners:
            runner.open(self._worker, node)

    def close(self) -> list[str]:
        """Tear every stage down, in order; return what went wrong, a line each. It never raises."""
        problems: list[str] = []
        for stage, runner in zip(self._segment.stages, self._runners, strict=True):
            try:
                runner.close()
            except (Exception, SystemExit) as error:
                problems.append(f"stage {stage.name!r}: teardown raised {type(error).__name__}: {error}")
        return problems

    def run(self, envelopes: Sequence[Envelope], careful: Careful | None = None) -> Iterator[Piece]:
        """Run a bundle; yield what leaves the segment in pieces.

        Tasks go through the whole segment one batch after the other, so that of what a stage makes large (a file's rows)
        only one stands in memory. Between two pieces the run may rest for any time.

        Args:
            envelopes: The bundle.
            careful: How to go about it, where workers have died with it.
        """
        for runner in self._runners:
            runner.heed(None if careful is None else careful.verdicts)
        count, beacon = len(envelopes), self._beacon
        size = self._segment.batch_size if careful is None else careful.size
        if self._segment.is_barrier:
            size = max(count, 1)
        if self._sorts:
            envelopes = sorted(envelopes, key=lambda envelope: path_order(envelope.id))
        out: list[Envelope] = []
        nbytes = 0
        start = time.perf_counter()
        for position in range(0, count, size):
            beacon.at(position)
            partial = False
            for part in self._through(envelopes[position : position + size]):
                # Asked before adding, so that a bundle which is nearly done needs no second round.
                if partial and (nbytes >= self._piece_bytes or time.perf_counter() - start >= self._piece_seconds):
                    yield Piece(out, position, partial=True, finished=False)
                    out, nbytes, start = [], 0, time.perf_counter()
                    beacon.at(position)
                partial = True
                out += part
                nbytes += sum([task_nbytes(envelope) for envelope in part])
            done = position + size
            if done < count and (
                careful is not None or nbytes >= self._piece_bytes or time.perf_counter() - start >= self._piece_seconds
            ):
                yield Piece(out, done, partial=False, finished=False)
                out, nbytes, start = [], 0, time.perf_counter()
        yield Piece(out, count, partial=False, finished=True)

    def take(self) -> tuple[tuple[StageCounts, ...], list[Receipt]]:
        """Return the counts of every stage and all receipts since the last `take`."""
        taken = [runner.take() for runner in self._runners]
        return tuple(counts for counts, _ in taken), [receipt for _, receipts in taken for receipt in receipts]

    def _through(self, batch: Sequence[Envelope]) -> Iterator[list[Envelope]]:
        """Yield what a batch becomes, depth first: of an iterator's children each part goes to the end before the next."""
        resting: list[tuple[int, Iterator[list[Envelope]]]] = [(0, iter([list(batch)]))]
        while resting:
            index, parts = resting[-1]
            part = next(parts, None)
            if part is None:
                resting.pop()
                continue
            while part and index < len(self._runners):
                made = self._runners[index].run(part)
                index += 1
                if not isinstance(made, list):
                    resting.append((index, made))
                    part = []
                else:
                    part = made
            if part:
                yield part
