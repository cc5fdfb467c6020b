"""Claims add up to one, however a source is divided."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.claims import ONE, Claims, Split, is_whole, merge


def _divide(claims: Claims, count: int) -> list[Claims]:
    split = Split(claims)
    return [split.take() if number < count - 1 else split.rest() for number in range(count)]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.randoms())
def test_shares_of_a_source_sum_to_one_through_any_tree(widths: list[int], chance: random.Random) -> None:
    leaves: list[Claims] = [(("s", ONE),)]
    for width in widths:
        grown = chance.choice(leaves)
        leaves.remove(grown)
        leaves += _divide(grown, width)
    assert is_whole(sum(share for claims in leaves for _, share in claims))


@given(st.integers(2, 50))
def test_no_part_of_the_shares_sums_to_one(count: int) -> None:
    shares = [claims[0][1] for claims in _divide((("s", ONE),), count)]
    partial = 0
    for share in shares[:-1]:
        partial += share
        assert not is_whole(partial)


def test_the_same_claims_are_divided_in_the_same_way() -> None:
    assert _divide((("s", 12345),), 9) == _divide((("s", 12345),), 9)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.integers(1, 5))
def test_a_group_holds_what_its_members_held(sources: list[str], outputs: int) -> None:
    members = [((source, 1000 + number),) for number, source in enumerate(sources)]
    merged = merge(members)
    assert {source for source, _ in merged} == set(sources)
    shared = merge(_divide(merged, outputs))
    assert dict(shared) == dict(merged)


def test_no_claims_stay_no_claims() -> None:
    assert _divide((), 3) == [(), (), ()]
