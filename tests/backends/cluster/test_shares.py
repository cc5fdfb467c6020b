"""What segments get from an engine that keeps workers for every one: it fits, and is as much as it can be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.cluster.shares import Demand, Share, divide

SMALLEST = 0.01
ROUNDING = 1e-6

demands = st.lists(
    st.builds(
        Demand,
        st.one_of(st.just(0.0), st.sampled_from([0.01, 0.1, 0.5, 1.0, 2.0, 8.0]), st.floats(0.001, 64)),
        st.one_of(st.none(), st.integers(1, 12)),
    ),
    min_size=1,
    max_size=12,
)
# One worker of the smallest share for everything fits: where not even that does, nothing can be promised.
cpus = st.one_of(st.integers(2, 256).map(float), st.floats(2, 256), st.just(1.98))


def _sum(shares: list[Share]) -> float:
    return sum(share.cpus * (share.workers or 1) for share in shares)


@given(demands, cpus)
def test_all_segments_fit_at_the_same_time(wanted: list[Demand], cpus: float) -> None:
    assert _sum(divide(wanted, cpus, apart=False)) <= cpus + ROUNDING


@given(demands, cpus, st.booleans())
def test_nobody_gets_more_than_it_wants_or_less_than_the_smallest(
    wanted: list[Demand], cpus: float, apart: bool
) -> None:
    for demand, share in zip(wanted, divide(wanted, cpus, apart=apart), strict=True):
        assert min(SMALLEST, demand.cpus) <= share.cpus <= max(SMALLEST, demand.cpus)


@given(demands, cpus)
def test_fixed_numbers_of_workers_are_kept(wanted: list[Demand], cpus: float) -> None:
    for demand, share in zip(wanted, divide(wanted, cpus, apart=False), strict=True):
        assert demand.most is None or share.workers == demand.most


@given(demands, cpus)
def test_demands_that_fit_are_met(wanted: list[Demand], cpus: float) -> None:
    if sum(demand.cpus * (demand.most or 1) for demand in wanted) <= cpus:
        shares = divide(wanted, cpus, apart=False)
        assert shares == [Share(demand.cpus, demand.most) for demand in wanted]


@given(demands, cpus)
def test_what_is_scaled_down_uses_nearly_everything(wanted: list[Demand], cpus: float) -> None:
    shares = divide(wanted, cpus, apart=False)
    if any(share.cpus < demand.cpus for demand, share in zip(wanted, shares, strict=True)):
        workers = sum(share.workers or 1 for share in shares)
        assert _sum(shares) >= cpus - 0.001 * workers - ROUNDING


@given(demands, cpus)
def test_a_segment_that_is_alone_fits_with_its_workers_or_has_one(wanted: list[Demand], cpus: float) -> None:
    for demand, share in zip(wanted, divide(wanted, cpus, apart=True), strict=True):
        assert (share.workers is None) == (demand.most is None)
        assert share.workers is None or 1 <= share.workers <= (demand.most or 0)
        assert share.cpus * (share.workers or 1) <= cpus + ROUNDING


@given(demands, cpus)
def test_segments_that_want_the_same_get_the_same(wanted: list[Demand], cpus: float) -> None:
    got: dict[Demand, Share] = {}
    for demand, share in zip(wanted, divide(wanted, cpus, apart=False), strict=True):
        assert got.setdefault(demand, share) == share


@given(demands, cpus, st.floats(1, 1.5), st.booleans())
def test_cores_that_the_engine_does_not_give_away_are_of_use(
    wanted: list[Demand], cpus: float, more: float, has_source: bool
) -> None:
    cores = cpus * more
    source = [Demand(1.0, 1, is_light=True)] if has_source else []
    shares = divide([*source, *wanted], cpus, apart=False, cores=cores)
    assert _sum(shares) <= cpus + ROUNDING
    heavy = sum(demand.cpus * (demand.most or 1) for demand in wanted)
    if heavy <= cores and all(share.cpus >= 0.1 for share in shares):
        # As many workers of those that may grow fit as cores are left for, but for what rounding takes away.
        growing = [(d, share) for d, share in zip(wanted, shares[len(source) :], strict=True) if d.most is None]
        left = cpus - sum(share.cpus * share.workers for share in shares if share.workers)
        idle = cores - sum(demand.cpus * demand.most for demand in wanted if demand.most)
        for demand, share in growing:
            assert left / share.cpus >= (idle / demand.cpus) * 0.98 - ROUNDING


@pytest.mark.parametrize(
    ("wanted", "cpus", "cores", "apart", "shares"),
    [
        # Xenna on two CPUs, of which it gives away one; a source that lists files, and the rest.
        ([(1, 1, True), (1, None)], 1, 2, False, [(0.333, 1), (0.333, None)]),
        ([(1, None)], 1, 2, False, [(0.5, None)]),
        ([(1, None)], 1, 2, True, [(0.5, None)]),
        # One after the other, each with all: two workers of one CPU, or one of two.
        ([(1, 1, True), (1, None), (2, None), (4, 3)], 1, 2, True, [(0.5, 1), (0.5, None), (1, None), (1, 1)]),
        # A source alone has what it wants.
        ([(1, 1, True)], 2, 2, False, [(1, 1)]),
        ([(1, 1, True), (1, None)], 8, 8, False, [(0.888, 1), (0.888, None)]),
        # Fixed numbers are load, and get no more because cores are idle.
        ([(1, 2), (1, 1)], 4, 5, False, [(1, 2), (1, 1)]),
        ([(1, 3), (1, 1)], 3, 4, False, [(0.75, 3), (0.75, 1)]),
    ],
)
def test_shares_of_cores(
    wanted: list[Any], cpus: float, cores: float, apart: bool, shares: list[tuple[float, int | None]]
) -> None:
    made = divide([Demand(*demand) for demand in wanted], cpus, apart=apart, cores=cores)
    assert [(share.cpus, share.workers) for share in made] == shares


@pytest.mark.parametrize(
    ("wanted", "cpus", "apart", "shares"),
    [
        # Everything fits: the engine scales what may be scaled.
        ([(1, None), (1, None)], 4, False, [(1, None), (1, None)]),
        ([(1, 1), (2, None)], 4, False, [(1, 1), (2, None)]),
        ([(0, None), (1, None)], 1, False, [(0, None), (1, None)]),
        # One worker each is too much already: cores are shared.
        ([(1, None), (1, None)], 1, False, [(0.5, 1), (0.5, 1)]),
        ([(1, None), (1, None), (1, None)], 2, False, [(0.666, 1)] * 3),
        ([(1, 4), (1, None)], 4, False, [(0.5, 4), (0.5, 4)]),
        ([(2, 1), (1, None)], 2, False, [(1.0, 1), (0.5, 2)]),
        # Who wants next to nothing is not scaled to less, and what that costs is the others'.
        ([(0, 1), (4, 1)], 1, False, [(0.01, 1), (0.99, 1)]),
        ([(0.02, 10), (4, 1)], 1, False, [(0.01, 10), (0.9, 1)]),
        # One after the other: each may have everything.
        ([(1, None), (8, None), (1, 3), (3, 8), (0, 5)], 4, True, [(1, None), (4, None), (1, 3), (3, 1), (0, 5)]),
    ],
)
def test_shares(
    wanted: list[tuple[float, int | None]], cpus: float, apart: bool, shares: list[tuple[float, int | None]]
) -> None:
    made = divide([Demand(*demand) for demand in wanted], cpus, apart=apart)
    assert [(share.cpus, share.workers) for share in made] == shares
