"""What a scheduler is given and what it says: the run's capacity, instructions to workers, news for the books."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.packing import Slice
from nemo_curator.engine.plan import Segment, WorkerShape
from nemo_curator.engine.verdict import Careful

__all__ = ["Capacity", "Instruction", "News", "Open", "Resume", "Run", "SegmentState", "Start", "Stop"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a run may use.

    Attributes:
        workers: Workers that may be busy at a time.
        cpus: CPUs that busy workers may take together.
        gpus: Devices, by the names that workers are given.
        memory_bytes: Memory that the stages of busy workers may ask for together; `None` if that is not known.
        nodes: Machines that all this is on.
        remote: An answer takes its time to travel: busy workers are given a bundle ahead, see `Ahead`, and what is quick has a place beside
            what is slow, see `Loan`.
    """

    workers: int
    cpus: float
    gpus: tuple[str, ...] = ()
    memory_bytes: int | None = None
    nodes: int = 1
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker, with these devices of its own."""

    worker: int
    shape: WorkerShape
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Let a worker that has nothing more to do tear down and end."""

    worker: int


@dataclass(frozen=True, slots=True)
class Open:
    """Let a worker set a segment up."""

    worker: int
    segment: int
    prepare_node: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Let a worker run a bundle.

    Attributes:
        after: The worker has this run to finish first.
    """

    worker: int
    run: int
    segment: int
    bundle: tuple[Slice, ...]
    careful: Careful | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a worker go on with a run that rests."""

    worker: int
    run: int


Instruction = Start | Stop | Open | Run | Resume


@dataclass(frozen=True, slots=True)
class News:
    """What the books must be told about an event.

    Attributes:
        segment: The segment that it is about.
        counts: What its stages did.
        receipts: Tasks that left early.
        deliveries: Tasks that reached the end.
        undone: Counts that were told before and will be told again.
        warning: A sentence for the report.
    """

    segment: Segment
    counts: tuple[StageCounts, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    deliveries: tuple[tuple[str, Claims], ...] = ()
    undone: tuple[StageCounts, ...] = ()
    warning: str = ""


@dataclass(frozen=True, slots=True)
class SegmentState:
    """A segment as it stands, for people.

    Attributes:
        name: Its name.
        queued: Tasks that wait in front of it.
        queued_bytes: Their size.
        active: Bundles under way.
        in_flight: Tasks in these.
        why: Why no more is under way, as half a sentence.
    """

    name: str
    queued: int
    queued_bytes: int
    active: int
    in_flight: int
    why: str
