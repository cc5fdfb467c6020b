"""How many workers a segment gets from an engine that keeps some for every one, and with which share of CPUs. Pure.

Such an engine refuses a plan, or never starts it, if one worker for every segment wants more CPUs than there are. Where that is so, shares
are scaled down: workers of one node then share its cores as the system divides them, as they would with fewer cores anyway.

Where it fits, shares are scaled all the same if cores would be left idle otherwise: by an engine that gives away less than the machine has
(of 2 CPUs Xenna gives away 1, as it takes 5 % off and rounds down), and by a source that starts from nothing, which lists files in an instant and
is then kept, with a CPU of its own, until the end.

Xenna's autoscaler knows no speeds when it starts, fills the cluster with the same number of workers for every stage, and looks again after
`autoscale_interval_s`; Ray Data's starts with one. So what is certain from the start is fixed here: a segment that is fed few parcels, as
a source is that starts from nothing, gets no more workers than those, and a collector one with next to no CPU. The rest of the cluster
goes to the segments that carry the load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COLLECTOR_CPUS", "Demand", "Share", "divide"]

COLLECTOR_CPUS = 0.01
_SMALLEST = 0.01


@dataclass(frozen=True, slots=True)
class Demand:
    """What a segment wants.

    Attributes:
        cpus: CPUs of a worker.
        most: Workers that it may have; `None` for any number.
        is_light: It is idle nearly all the time, so that no core is to be kept for it.
    """

    cpus: float
    most: int | None = None
    is_light: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What a segment gets.

    Attributes:
        cpus: CPUs that the engine reserves for a worker.
        workers: Workers that it has from beginning to end; `None` leaves the number to the engine.
    """

    cpus: float
    workers: int | None


def divide(demands: Sequence[Demand], cpus: float, *, apart: bool, cores: float | None = None) -> list[Share]:
    """Return what every segment gets.

    Args:
        demands: What segments want.
        cpus: CPUs that the engine may give away.
        apart: They run one after the other, so that each can have all of them.
        cores: CPUs that may be busy, at least as many as the engine gives away; as many when not given.
    """
    cores = cpus if cores is None else max(cpus, cores)
    if apart:
        return [Share(min(demand.cpus, cores) * (cpus / cores), _alone(demand, cores)) for demand in demands]
    light = sum(demand.cpus * _fewest(demand) for demand in demands if demand.is_light)
    heavy = sum(demand.cpus * _fewest(demand) for demand in demands if not demand.is_light)
    if heavy <= cores:
        # Idle cores are of use to those only that may have more workers.
        busy = light + (cores if any(demand.most is None for demand in demands) else heavy)
        scale = min(1.0, cpus / busy) if busy else 1.0
        shares = [demand.cpus if scale == 1 else _rounded(demand.cpus * scale) for demand in demands]
        if all(share >= min(_SMALLEST, demand.cpus) for share, demand in zip(shares, demands, strict=True)):
            return [Share(share, demand.most) for share, demand in zip(shares, demands, strict=True)]
    # No room to scale: the same number for all that may have more than one, as much as the machine has cores for them.
    equal = _equal(demands, cpus)
    numbers = [equal if demand.most is None else demand.most for demand in demands]
    return [Share(share, number) for share, number in zip(_scaled(demands, numbers, cpus), numbers, strict=True)]


def _rounded(cpus: float) -> float:
    """Round down, so that rounding never makes it too much."""
    return math.floor(cpus * 1000) / 1000


def _equal(demands: Sequence[Demand], cpus: float) -> int:
    open_ended = [demand for demand in demands if demand.most is None]
    wanted = sum(demand.cpus for demand in open_ended)
    if not wanted:
        return 1
    # Many workers that want next to nothing are too much at some point, too.
    left = cpus - _SMALLEST * sum(demand.most for demand in demands if demand.most is not None)
    return max(1, min(math.floor(cpus / wanted), math.floor(left / (_SMALLEST * len(open_ended)))))


def _scaled(demands: Sequence[Demand], numbers: Sequence[int], cpus: float) -> list[float]:
    """Return shares in proportion to demands. Who would get less than the smallest gets that; the others divide the rest."""
    smallest: set[int] = set()
    while True:
        rest = [index for index in range(len(demands)) if index not in smallest]
        wanted = sum(demands[index].cpus * numbers[index] for index in rest)
        left = cpus - _SMALLEST * sum(numbers[index] for index in smallest)
        scale = max(0.0, left / wanted) if wanted else 0.0
        below = {index for index in rest if demands[index].cpus * scale < _SMALLEST}
        if not below:
            break
        smallest |= below
    shares = [_rounded(demand.cpus * scale) for demand in demands]
    return [_SMALLEST if index in smallest else share for index, share in enumerate(shares)]


def _fewest(demand: Demand) -> int:
    return 1 if demand.most is None else demand.most


def _alone(demand: Demand, cpus: float) -> int | None:
    if demand.most is None:
        return None
    return min(demand.most, max(1, math.floor(cpus / demand.cpus))) if demand.cpus else demand.most
