"""A worker has died with a bundle: what of it is run again, and how, until the guilty task is known. Pure.

The first death names the batch that was being worked on. What came before it in the bundle and what comes after it is innocent
and is run again as ever. The batch is run carefully: task by task, every call noted by stage and task, every result handed on by
itself. Whoever a worker dies on then is known exactly, and after `crash_attempts` deaths in all it is found guilty: it fails
where it stands, with its place in the pipeline and its claims, and everybody else goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from nemo_curator.engine.beacon import Where
from nemo_curator.engine.envelope import Outcome, Receipt
from nemo_curator.engine.host import Progressed, WorkerVanished
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.packing import Slice
from nemo_curator.engine.plan import Segment
from nemo_curator.engine.verdict import Careful, Death, Verdict
from nemo_curator.errors import SetupFailed, WorkerLost

__all__ = [
    "Debt",
    "Job",
    "Place",
    "Suspicion",
    "after_death",
    "bear",
    "bear_in_setup",
    "cut",
    "doing_in_words",
    "rest_of",
]


@dataclass(slots=True, eq=False)
class Place:
    """Where a job's outputs belong in the stream, when order is kept.

    Attributes:
        held: Outputs that wait for their turn.
        complete: No more will come.
    """

    held: list[Slice] = field(default_factory=list[Slice])
    complete: bool = False


@dataclass(slots=True)
class Debt:
    """What was handed on of inputs that are not done with. Doing them again makes it again, and it must not be handed on twice.

    What a stage makes of a task is the same each time, in the same order; so it is enough to know how much there was.

    Attributes:
        outputs: Tasks.
        receipts: Tasks that left early, by stage.
        counts: What was counted for them, by stage of the segment.
        reach: The inputs up to here, of the job's, may be those that it was made of.
    """

    outputs: int = 0
    receipts: Counter[str] = field(default_factory=Counter[str])
    counts: list[StageCounts] = field(default_factory=list[StageCounts])
    reach: int = 0

    def __bool__(self) -> bool:
        return bool(self.outputs or self.receipts.total() or self.counts)

    def add(self, outputs: int, receipts: Iterable[Receipt], counts: Sequence[StageCounts]) -> None:
        """Note what was handed on."""
        self.outputs += outputs
        self.receipts.update(receipt.stage for receipt in receipts if receipt.outcome is not Outcome.LEFT_OUT)
        if not self.counts:
            self.counts = [StageCounts() for _ in counts]
        for mine, more in zip(self.counts, counts, strict=True):
            mine.add(more)


@dataclass(slots=True)
class Suspicion:
    """What is known about the deaths that a bundle has cost.

    Attributes:
        unnamed: Deaths that nobody was seen to cause.
        deaths: Deaths by stage, task and children that it had made by then.
        careful: How the bundle is run.
        whole: It cannot be taken apart: its stage is called with everything at once.
    """

    careful: Careful = field(default_factory=Careful)
    unnamed: int = 1
    deaths: Counter[tuple[int, str, int]] = field(default_factory=Counter[tuple[int, str, int]])
    whole: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """A bundle on its way through a segment.

    Attributes:
        bundle: The input.
        place: Where its outputs belong.
        seconds: Time that workers spent on it.
        done: Inputs that are done with, all that came of them handed on.
        debt: What was handed on of the input after those.
        skip: What an earlier attempt handed on, and this one shall not.
        suspicion: Workers have died with it.
    """

    bundle: tuple[Slice, ...]
    place: Place = field(default_factory=Place)
    seconds: float = 0.0
    done: int = 0
    debt: Debt = field(default_factory=Debt)
    skip: Debt = field(default_factory=Debt)
    suspicion: Suspicion | None = None

    @property
    def count(self) -> int:
        """Envelopes in the bundle."""
        return sum(piece.count for piece in self.bundle)

    def admit(self, event: Progressed, batch_size: int) -> tuple[list[Slice], Progressed]:
        """Return what of a piece is new, and note how far the job has come."""
        slices = [Slice.whole(frame) for frame in event.frames]
        outputs = len(event.deliveries) or sum(piece.count for piece in slices)
        # Counted before anything is left out: another attempt makes it all again.
        if event.partial:
            self.debt.add(outputs, event.receipts, event.counts)
            self.debt.reach = event.done + batch_size
        else:
            self.done, self.debt = event.done, Debt()
        if self.skip:
            slices, event = self._without_old(slices, outputs, event)
        return slices, event

    def carried(self) -> Debt:
        """Return what another attempt at what is left shall not hand on: this one's debt, and what it had yet to come to itself."""
        debt, skip = self.debt, self.skip
        reach = min(max(debt.reach, skip.reach), self.count) - self.done
        return Debt(debt.outputs + skip.outputs, debt.receipts + skip.receipts, reach=reach)

    def _without_old(self, slices: list[Slice], outputs: int, event: Progressed) -> tuple[list[Slice], Progressed]:
        skip = self.skip
        old = min(skip.outputs, outputs)
        skip.outputs -= old
        new: list[Receipt] = []
        for receipt in event.receipts:
            # Of sources that are left out there may be one receipt or several; to hear of them twice does no harm.
            if receipt.outcome is not Outcome.LEFT_OUT and skip.receipts[receipt.stage] > 0:
                skip.receipts[receipt.stage] -= 1
            else:
                new.append(receipt)
        if slices:
            slices = cut(slices, old, sum(piece.count for piece in slices))
        return slices, replace(event, deliveries=event.deliveries[old:], receipts=tuple(new))


def cut(slices: Sequence[Slice], start: int, stop: int) -> list[Slice]:
    """Return envelopes `start` to `stop` of some slices laid end to end."""
    found: list[Slice] = []
    position = 0
    for piece in slices:
        first, last = max(start - position, 0), min(stop - position, piece.count)
        if first < last:
            found.append(Slice(piece.frame, piece.start + first, piece.start + last))
        position += piece.count
    return found


def after_death(job: Job, died: WorkerVanished, *, attempts: int, batch_size: int, barrier: bool) -> list[Job]:
    """Return the jobs that take the place of one whose worker has died, in stream order.

    Args:
        job: The job.
        died: How the worker died, and what it was doing with this job.
        attempts: Deaths that a task may cost.
        batch_size: Inputs that the segment's first stage is called with.
        barrier: It is called with all of them.
    """
    where = died.where
    if job.suspicion is not None:
        return [_go_on(job, job.suspicion, died, where, attempts)]
    count = job.count
    first, last = job.done, count
    if where is not None and where.position >= 0 and where.since:
        first = max(where.position, job.done)
        last = min(first + batch_size, count)
    if barrier:
        first, last = 0, count
    skip = job.carried()
    if skip:
        # It is told by its order, which is that of its inputs; so those that it may be made of stay together.
        first, last = job.done, max(last, job.done + skip.reach)
    suspicion = Suspicion(Careful(size=count if barrier else 1), whole=barrier)
    suspects = Job(tuple(cut(job.bundle, first, last)), skip=skip, suspicion=suspicion)
    if died.death is Death.OUT_OF_MEMORY and batch_size > 1 and not barrier:
        suspicion.careful = Careful(size=max(1, (last - first) // 2))
    if where is not None and where.task:
        suspicion.unnamed = 0
        _accuse(suspicion, died, where, attempts)
    parts = [
        Job(tuple(cut(job.bundle, job.done, first))),
        suspects,
        Job(tuple(cut(job.bundle, last, count))),
    ]
    return [part for part in parts if part.bundle]


def rest_of(job: Job) -> Job:
    """Return what is left of a job that has lost its worker."""
    return Job(tuple(cut(job.bundle, job.done, job.count)), skip=job.carried(), suspicion=job.suspicion)


def _go_on(job: Job, suspicion: Suspicion, died: WorkerVanished, where: Where | None, attempts: int) -> Job:
    if where is not None and where.task:
        _accuse(suspicion, died, where, attempts)
    else:
        suspicion.unnamed += 1
    return rest_of(job)


def _accuse(suspicion: Suspicion, died: WorkerVanished, where: Where, attempts: int) -> None:
    """Note that a worker has died on a task, or on several that it was called with."""
    careful = suspicion.careful
    if where.members > 1 and not suspicion.whole:
        # It is one of them. Now each gets its own turn.
        suspicion.unnamed = min(suspicion.unnamed + 1, attempts - 1)
        suspicion.careful = Careful(1, careful.verdicts)
        return
    key = (where.stage, where.task, where.made)
    suspicion.deaths[key] += 1
    deaths = suspicion.deaths[key] + suspicion.unnamed
    # A task that takes too long does so the next time: its clock ran while it was alone.
    if deaths >= attempts or died.death is Death.TIMED_OUT:
        verdict = Verdict(where.stage, where.task, where.made, died.death, died.how, deaths, died.details)
        suspicion.careful = Careful(careful.size, (*careful.verdicts, verdict))


def doing_in_words(segment: Segment, job: Job, where: Where | None) -> str:
    """Return what a worker was doing, as half a sentence."""
    if where is None or where.stage < 0:
        return f"while it ran {job.count} tasks through segment {segment.name!r}"
    stage = next((stage.name for stage in segment.stages if stage.index == where.stage), segment.name)
    if where.task:
        others = f" and {where.members - 1} more" if where.members > 1 else ""
        return f"in stage {stage!r} on task {where.task}{others}"
    return f"in stage {stage!r}"


def bear(deaths: int, attempts: int, what: str) -> None:
    """Raise `WorkerLost` if this was one death too many."""
    if deaths >= attempts:
        message = (
            f"{what} (attempt {deaths}); look for a crash in native code or too little memory there, "
            "and at what the worker wrote to standard error"
        )
        raise WorkerLost(message)


def bear_in_setup(segment: Segment, deaths: int, died: WorkerVanished, attempts: int) -> None:
    """Raise if it makes no sense to set a segment up once more.

    Raises:
        SetupFailed: A stage took too long, or too much memory.
        WorkerLost: This was one death too many.
    """
    index = -1 if died.where is None else died.where.stage
    stage = next((stage for stage in segment.stages if stage.index == index), None)
    if stage is not None and died.death is not Death.CRASHED:
        raise SetupFailed(stage.name, stage.declared_at, "setup", f"its worker {died.how}", died.details)
    what = f"segment {segment.name!r}" if stage is None else f"stage {stage.name!r} of segment {segment.name!r}"
    bear(deaths, attempts, f"a worker {died.how} while it set up {what}")
