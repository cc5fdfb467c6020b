"""`SegmentRunner`: several stages in a row in one worker, a bundle passing all of them without being serialised."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from nemo_curator.engine.envelope import Envelope, Receipt
from nemo_curator.engine.ids import path_order
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.packing import task_nbytes
from nemo_curator.engine.plan import PlannedStage, Segment
from nemo_curator.engine.retry import RetryPolicy
from nemo_curator.engine.runner import StageRunner
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata

__all__ = ["SegmentRunner"]


class SegmentRunner:
    """Runs one segment for one worker: `open`, then `run` any number of times, then `close`.

    Args:
        segment: The segment, with stage objects that are this worker's own.
        retry: Decides about further attempts.
        worker: The worker, as stages get to know it.
        piece_seconds: Work after which outputs are sent on although the bundle is not done.
        piece_bytes: Size at which outputs are sent on.
        ordered: Bundles come in stream order. Otherwise a barrier sorts what it gets by id, so that what it sees does not
            depend on who was faster.
        token: Part of the ids of calls, see `StageRunner`.
    """

    def __init__(
        self,
        segment: Segment,
        retry: RetryPolicy,
        worker: WorkerMetadata,
        *,
        piece_seconds: float,
        piece_bytes: int,
        ordered: bool = False,
        token: str = "",
    ) -> None:
        self._segment = segment
        self._worker = worker
        self._runners = [StageRunner(stage, retry, token=token) for stage in segment.stages]
        self._piece_seconds = piece_seconds
        self._piece_bytes = piece_bytes
        self._sorts = segment.is_barrier and not ordered

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

    def run(self, envelopes: Sequence[Envelope]) -> Iterator[tuple[list[Envelope], bool]]:
        """Run a bundle; yield what leaves the segment in pieces, each with whether it is the last (which may be empty).

        Tasks go through the whole segment one batch after the other, so that of what a stage makes large (a file's rows)
        only one stands in memory. Between two pieces the run may rest for any time.
        """
        size = self._segment.batch_size
        if self._segment.is_barrier:
            size = max(len(envelopes), 1)
        if self._sorts:
            envelopes = sorted(envelopes, key=lambda envelope: path_order(envelope.id))
        piece: list[Envelope] = []
        nbytes = 0
        start = time.perf_counter()
        for position in range(0, len(envelopes), size):
            for part in self._through(envelopes[position : position + size]):
                # Asked before adding, so that a bundle which is nearly done needs no second round.
                if piece and (nbytes >= self._piece_bytes or time.perf_counter() - start >= self._piece_seconds):
                    yield piece, False
                    piece, nbytes = [], 0
                    start = time.perf_counter()
                piece += part
                nbytes += sum([task_nbytes(envelope) for envelope in part])
        yield piece, True

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
