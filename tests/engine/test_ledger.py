"""The ledger knows when a source is finished, in any order and under re-delivery."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.claims import ONE, Claims, Split
from nemo_curator.engine.ledger import Ledger

Delivery = tuple[str, Claims, bool]


def _leaves(source: str, widths: list[int], chance: random.Random) -> list[tuple[str, Claims]]:
    leaves: list[tuple[str, Claims]] = [(source, ((source, ONE),))]
    for width in widths:
        identity, claims = leaves.pop(chance.randrange(len(leaves)))
        split = Split(claims)
        leaves += [(f"{identity}_{n}", split.take() if n < width - 1 else split.rest()) for n in range(width)]
    return leaves


@given(st.lists(st.lists(st.integers(1, 5), max_size=4), min_size=1, max_size=5), st.randoms())
def test_every_source_finishes_exactly_once(trees: list[list[int]], chance: random.Random) -> None:
    deliveries = [leaf for n, widths in enumerate(trees) for leaf in _leaves(f"s{n}", widths, chance)]
    chance.shuffle(deliveries)
    ledger = Ledger()
    finished = [source for identity, claims in deliveries for source in ledger.see(identity, claims)]
    assert sorted(finished) == sorted(f"s{n}" for n in range(len(trees)))
    assert ledger.completed == len(trees)
    assert ledger.under_way() == []


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), st.randoms())
def test_a_source_is_open_until_the_last_leaf(widths: list[int], chance: random.Random) -> None:
    leaves = _leaves("s", widths, chance)
    chance.shuffle(leaves)
    ledger = Ledger()
    for identity, claims in leaves[:-1]:
        assert ledger.see(identity, claims) == []
        assert ledger.under_way() == ["s"]
    assert ledger.see(*leaves[-1]) == ["s"]


def test_a_source_with_a_failure_never_completes() -> None:
    ledger = Ledger()
    (first, one), (second, two) = _leaves("s", [2], random.Random(0))
    assert ledger.see(first, one, failed=True) == []
    assert ledger.see(second, two) == []
    assert (ledger.completed, ledger.failed, ledger.under_way()) == (0, 1, [])


def test_a_source_that_fails_whole_is_failed() -> None:
    ledger = Ledger()
    assert ledger.see("s", (("s", ONE),), failed=True) == []
    assert (ledger.completed, ledger.failed) == (0, 1)


def test_memory_is_that_of_sources_under_way() -> None:
    ledger = Ledger()
    for number in range(1000):
        ledger.see(f"s{number}", ((f"s{number}", ONE),))
    assert ledger.completed == 1000
    assert ledger.under_way() == []


def test_a_group_finishes_several_sources_at_once() -> None:
    ledger = Ledger()
    assert ledger.see("g", (("a", ONE), ("b", ONE))) == ["a", "b"]


def test_one_task_with_two_outcomes_is_a_conflict() -> None:
    ledger = Ledger()
    (first, one), _ = _leaves("s", [2], random.Random(0))
    ledger.see(first, one)
    assert ledger.conflicts == []
    ledger.see(first, one, failed=True)
    assert ledger.conflicts == [first]


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 9), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=12),
    st.randoms(),
)
def test_sources_in_one_task_finish_together(tasks: list[tuple[set[int], bool]], chance: random.Random) -> None:
    splits: dict[int, Split] = {}
    left = Counter(source for sources, _ in tasks for source in sources)
    deliveries: list[Delivery] = []
    for number, (sources, failed) in enumerate(tasks):
        claims: list[tuple[str, int]] = []
        for source in sorted(sources):
            split = splits.setdefault(source, Split(((f"s{source}", ONE),)))
            left[source] -= 1
            claims += split.take() if left[source] else split.rest()
        deliveries.append((f"t{number}", tuple(claims), failed))
    chance.shuffle(deliveries)
    # The reference: sources are one where a task has both, and one failure is everybody's.
    groups = [{source} for source in splits]
    for sources, _ in tasks:
        touched = [group for group in groups if group & sources]
        groups = [group for group in groups if not group & sources] + [set[int]().union(*touched)]
    whole = [group for group in groups if not any(failed and sources & group for sources, failed in tasks)]
    ledger = Ledger()
    finished: list[set[str]] = []
    for identity, claims, failed in deliveries:
        finished.append(set(ledger.see(identity, claims, failed=failed)))
    assert sorted(source for done in finished for source in done) == sorted(f"s{n}" for group in whole for n in group)
    for group in whole:
        names = {f"s{source}" for source in group}
        assert any(names <= done for done in finished)
    assert ledger.completed + ledger.failed == len(splits)
    assert (ledger.under_way(), ledger._bonds) == ([], {})
