"""Whatever an engine does with parcels (order, repetition, pauses), nothing is lost, doubled or put in a wrong batch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.collector import Collector
from nemo_curator.engine.packing import Frame, Slice
from nemo_curator.engine.parcel import (
    END,
    Parcel,
    Sorter,
    Tidings,
    add_credit,
    descendants,
    final_parcel,
    passed_on,
)
from nemo_curator.engine.sizing import ParcelSize
from nemo_curator.errors import CuratorError, StageFailed

Bundle = tuple[Slice, ...]
sizes = st.lists(st.integers(0, 9), max_size=8)
chances = st.randoms(use_true_random=False)


def _bundle(values: Iterable[int], nbytes: int = 100) -> Bundle:
    listed = list(values)
    return (Slice.whole(Frame(len(listed), nbytes, listed)),) if listed else ()


def _read(bundle: Iterable[Slice]) -> list[int]:
    return [value for piece in bundle for value in piece.frame.payload[piece.start : piece.stop]]


def _note(text: str) -> Tidings:
    return Tidings(0, notes=[text])


def _notes(parcels: Iterable[Parcel]) -> list[str]:
    return sorted(note for parcel in parcels for tidings in parcel.tidings for note in tidings.notes)


def _credit(parcels: Iterable[Parcel]) -> int:
    total = 0
    for parcel in parcels:
        total = add_credit(total, parcel.credit)
    return total


def _fed(counts: list[int]) -> list[Parcel]:
    """Return parcels as they are fed, with so many tasks each, numbered throughout."""
    starts = [sum(counts[:number]) for number in range(len(counts))]
    return [
        Parcel(((number, False),), bundle=_bundle(range(start, start + count)), taken=1)
        for number, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


def _through_a_segment(parcel: Parcel, chance: random.Random) -> Iterator[Parcel]:
    """Yield what a parcel becomes in a segment that hands tasks on in order, in pieces of any size, and drops some pieces."""
    if parcel.passes:
        yield passed_on(parcel)
        return
    values = _read(parcel.bundle)
    cuts = sorted(chance.randrange(len(values) + 1) for _ in range(chance.randrange(4)))
    pieces = [values[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    yield from descendants(
        parcel, [(_bundle(piece), (_note(f"{parcel.place} {index}"),)) for index, piece in enumerate(pieces)]
    )


def _grown(counts: list[int], depth: int, chance: random.Random) -> list[Parcel]:
    """Return the parcels of a random tree at a depth, in the order of a depth-first walk."""
    parcels = _fed(counts)
    for _ in range(depth):
        parcels = [made for parcel in parcels for made in _through_a_segment(parcel, chance)]
    return parcels


def _disordered(parcels: list[Parcel], chance: random.Random) -> list[Parcel]:
    """Return parcels in any order, some of them several times."""
    delivered = [*parcels, *chance.choices(parcels, k=chance.randrange(4))] if parcels else []
    chance.shuffle(delivered)
    return delivered


# Parcels


@given(sizes, st.integers(0, 4), chances)
def test_credits_sum_to_what_was_fed_through_any_tree(counts: list[int], depth: int, chance: random.Random) -> None:
    assert _credit(_grown(counts, depth, chance)) == len(counts)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 4), chances)
def test_credits_sum_to_something_else_as_long_as_one_is_under_way(
    counts: list[int], depth: int, chance: random.Random
) -> None:
    parcels = _grown(counts, depth, chance)
    parcels.remove(chance.choice(parcels))
    assert _credit(parcels) != len(counts)


@given(sizes, st.integers(0, 4), chances)
def test_every_place_occurs_once_and_tells_the_depth(counts: list[int], depth: int, chance: random.Random) -> None:
    places = [parcel.place for parcel in _grown(counts, depth, chance)]
    assert len(set(places)) == len(places)
    assert {len(place) for place in places} <= {depth + 1}


@given(sizes, st.integers(0, 3), chances)
def test_what_was_told_on_the_way_arrives_once(counts: list[int], depth: int, chance: random.Random) -> None:
    before = _grown(counts, depth, chance)
    after = [made for parcel in before for made in _through_a_segment(parcel, chance)]
    assert set(_notes(before)) <= set(_notes(after))
    assert len(set(_notes(after))) == len(_notes(after))
    assert sum(parcel.taken for parcel in after) == len(counts)


def test_a_parcel_becomes_one_at_least_and_the_last_carries_what_the_parent_did() -> None:
    error = CuratorError("over")
    parent = Parcel(((3, False),), 7, _bundle([1]), (_note("before"),), error=error, taken=2)
    (alone,) = descendants(parent, ())
    assert (alone.place, alone.credit, alone.bundle, alone.error, alone.taken) == (
        ((3, False), (0, True)),
        7,
        (),
        error,
        2,
    )
    first, second = descendants(parent, [(_bundle([1]), (_note("a"),)), (_bundle([2]), (_note("b"),))])
    assert (first.place, second.place) == (((3, False), (0, False)), ((3, False), (1, True)))
    assert (_notes([first]), _notes([second])) == (["a"], ["b", "before"])
    assert (first.error, first.taken, second.error, second.taken) == (None, 0, error, 2)
    assert _credit([first, second]) == 7


def test_tidings_alone_are_no_parcel_unless_there_is_nothing_else() -> None:
    parent = Parcel(((0, False),), 1, _bundle([1]), (_note("before"),))
    told = [
        ((), (_note("a"),)),
        (_bundle([1]), (_note("b"),)),
        ((), (_note("c"),)),
        (_bundle([2]), ()),
        ((), (_note("d"),)),
    ]
    first, second = descendants(parent, told)
    assert [_read(parcel.bundle) for parcel in (first, second)] == [[1], [2]]
    assert (_notes([first]), sorted(_notes([second]))) == (["a", "b", "c"], ["before", "d"])
    (alone,) = descendants(parent, [((), (_note("a"),)), ((), (_note("b"),))])
    assert (alone.bundle, sorted(_notes([alone]))) == ((), ["a", "b", "before"])


def test_what_a_parcel_becomes_is_made_one_at_a_time() -> None:
    asked: list[int] = []

    def made() -> Iterator[tuple[Bundle, tuple[Tidings, ...]]]:
        for number in range(3):
            asked.append(number)
            yield _bundle([number]), ()

    becomes = descendants(Parcel(((0, False),)), made())
    next(becomes)
    # Whether a parcel is the last is known only when the next is there.
    assert asked == [0, 1]


def test_the_final_parcel_passes_as_it_is() -> None:
    final = final_parcel(4)
    assert final.passes
    assert passed_on(final) is final
    assert (final.place, final.credit, final.fed) == (END, 0, 4)


def test_tidings_are_something_when_they_tell_something() -> None:
    assert not Tidings(0)
    assert Tidings(0, peak_bytes=1)
    assert _note("x")


# Sorter


@given(sizes, st.integers(0, 4), chances)
def test_a_sorter_gives_the_order_of_a_depth_first_walk(counts: list[int], depth: int, chance: random.Random) -> None:
    walk = _grown(counts, depth, chance)
    sorter = Sorter()
    ordered = [ready for parcel in _disordered(walk, chance) for ready in sorter.add(parcel)]
    assert [parcel.place for parcel in ordered] == [parcel.place for parcel in walk]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 3), chances)
def test_a_sorter_holds_nothing_back_whose_turn_it_is(counts: list[int], depth: int, chance: random.Random) -> None:
    walk = _grown(counts, depth, chance)
    sorter = Sorter()
    for parcel in walk:
        assert list(sorter.add(parcel)) == [parcel]


# Collector


def _collected(
    collector: Collector, delivered: Iterable[Parcel], chance: random.Random, most: int = 20
) -> list[Parcel]:
    return [made for parcel in delivered for made in collector.add(parcel, chance.randint(1, most))]


def _stream(counts: list[int], depth: int, chance: random.Random) -> tuple[list[int], list[Parcel]]:
    """Return what tasks there are, in order, and parcels as an engine may deliver them, with the final one anywhere."""
    parcels = _grown(counts, depth, chance)
    delivered = _disordered(parcels, chance)
    for _ in range(chance.randint(1, 2)):
        delivered.insert(chance.randrange(len(delivered) + 1), final_parcel(len(counts)))
    return _read(piece for parcel in parcels for piece in parcel.bundle), delivered


@given(sizes, st.integers(0, 3), st.integers(1, 7), st.integers(1, 500), st.booleans(), chances)
def test_a_collector_gives_whole_batches_and_everything_once(
    counts: list[int], depth: int, batch_size: int, max_bytes: int, in_order: bool, chance: random.Random
) -> None:
    values, delivered = _stream(counts, depth, chance)
    collector = Collector(batch_size=batch_size, barrier=False, in_order=in_order, max_bytes=max_bytes)
    made = _collected(collector, delivered, chance)
    seen = _read(piece for parcel in made for piece in parcel.bundle)
    assert (seen if in_order else sorted(seen)) == values
    full = [parcel for parcel in made if parcel.bundle]
    assert all(parcel.count % batch_size == 0 for parcel in full[:-1])
    assert not full or full[-1].count % batch_size == len(values) % batch_size
    assert _notes(made) == sorted(set(_notes(delivered)))
    assert _credit(made) == len(counts)
    assert sum(parcel.taken for parcel in made) == len(counts)
    assert [parcel for parcel in made if parcel.fed is not None] == [made[-1]] == [final_parcel(len(counts))]
    places = [parcel.place for parcel in made]
    assert places == [((number, False),) for number in range(len(made) - 1)] + [END]


@given(sizes, st.integers(0, 3), st.integers(1, 7), st.booleans(), st.booleans(), chances)
def test_credits_are_complete_when_nothing_waits_and_not_before(
    counts: list[int], depth: int, batch_size: int, barrier: bool, in_order: bool, chance: random.Random
) -> None:
    values, delivered = _stream(counts, depth, chance)
    collector = Collector(batch_size=batch_size, barrier=barrier, in_order=in_order, max_bytes=10_000)
    made: list[Parcel] = []
    for parcel in delivered:
        for next_one in collector.add(parcel, chance.randint(1, 20)):
            made.append(next_one)
            out = sum(parcel.count for parcel in made)
            assert _credit(made) != len(counts) or out == len(values)


@given(sizes, st.integers(0, 3), st.integers(1, 7), st.booleans(), chances)
def test_a_barrier_gives_everything_at_once_and_nothing_for_an_empty_stream(
    counts: list[int], depth: int, batch_size: int, in_order: bool, chance: random.Random
) -> None:
    values, delivered = _stream(counts, depth, chance)
    collector = Collector(batch_size=batch_size, barrier=True, in_order=in_order, max_bytes=1)
    made = _collected(collector, delivered, chance)
    bundles = [_read(parcel.bundle) for parcel in made if parcel.bundle]
    assert [bundle if in_order else sorted(bundle) for bundle in bundles] == ([values] if values else [])
    assert _credit(made) == len(counts)
    assert made[-1] == final_parcel(len(counts))


@given(sizes, st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=2, max_size=3), st.booleans(), chances)
def test_collectors_in_a_row_lose_nothing(
    counts: list[int], collectors: list[tuple[int, bool]], in_order: bool, chance: random.Random
) -> None:
    values, delivered = _stream(counts, 1, chance)
    for batch_size, barrier in collectors:
        collector = Collector(batch_size=batch_size, barrier=barrier, in_order=in_order, max_bytes=10_000)
        made = _collected(collector, delivered, chance)
        full = [parcel for parcel in made if parcel.bundle]
        assert all(parcel.count % batch_size == 0 for parcel in full[:-1])
        assert len(full) <= 1 or not barrier
        # The next segment works on them in any order; the final parcel overtakes whom it likes.
        delivered = [after for parcel in made for after in _through_a_segment(parcel, chance)]
        chance.shuffle(delivered)
    if in_order:
        sorter = Sorter()
        delivered = [ready for parcel in delivered if parcel.fed is None for ready in sorter.add(parcel)]
    seen = _read(piece for parcel in delivered for piece in parcel.bundle)
    assert (seen if in_order else sorted(seen)) == values
    assert _credit(delivered) == len(counts)


def test_an_error_overtakes_everything() -> None:
    collector = Collector(batch_size=5, barrier=False, in_order=True, max_bytes=100)
    error = StageFailed("s", "here", "0_1", 1, "no")
    late = Parcel(((8, False),), bundle=_bundle([1, 2]), error=error)
    (made,) = collector.add(late, 5)
    assert (made.error, made.place) == (error, ((0, False),))


def test_what_passes_goes_on_at_once_when_nothing_waits() -> None:
    collector = Collector(batch_size=2, barrier=False, in_order=False, max_bytes=100)
    first, second, third = (
        Parcel(((number, False),), bundle=_bundle(values), tidings=(_note(str(number)),))
        for number, values in enumerate([[], [1], []])
    )
    (made,) = collector.add(first, 2)
    assert (made.credit, _notes([made]), made.bundle) == (1, ["0"], ())
    # Now a task waits, and takes along what else is known when it goes on.
    assert list(collector.add(second, 2)) == []
    assert list(collector.add(third, 2)) == []
    rest, final = collector.add(final_parcel(3), 2)
    assert (_read(rest.bundle), rest.credit, _notes([rest])) == ([1], 2, ["1", "2"])
    assert final == final_parcel(3)


# Sizes


@given(
    st.lists(st.lists(st.integers(0, 200), max_size=6), max_size=8),
    st.integers(1, 3000),
    st.booleans(),
    st.one_of(st.none(), st.floats(1e-9, 10)),
    st.integers(0, 400),
    chances,
)
def test_cutting_loses_and_doubles_nothing(
    rounds: list[list[int]],
    max_bytes: int,
    patient: bool,
    cost: float | None,
    nbytes: int,
    chance: random.Random,
) -> None:
    size = ParcelSize(0.1, patient=patient)
    waiting: list[Slice] = []
    total = 0
    taken: list[int] = []
    for number, counts in enumerate(rounds):
        if number * 2 >= len(rounds):
            size.cost = cost
        for count in counts:
            waiting += _bundle(range(total, total + count), nbytes * count)
            total += count
        rest = number == len(rounds) - 1 or chance.random() < 0.2
        for bundle in size.cut(waiting, max_bytes, rest=rest):
            assert _read(bundle)
            taken += _read(bundle)
        assert taken + _read(waiting) == list(range(total))
        assert not (rest and waiting)
    assert taken == list(range(total))


@given(st.lists(st.integers(1, 64), min_size=1, max_size=30), st.integers(1, 50), st.integers(1, 5000), st.booleans())
def test_parcels_are_no_larger_than_wanted(counts: list[int], nbytes: int, max_bytes: int, rest: bool) -> None:
    size = ParcelSize(1.0, patient=False)
    size.cost = 0.1
    waiting = [piece for count in counts for piece in _bundle(range(count), nbytes * count)]
    for bundle in size.cut(waiting, max_bytes, rest=rest):
        count = sum(piece.count for piece in bundle)
        assert count <= 10
        assert count == 1 or sum(piece.nbytes for piece in bundle) <= max_bytes
    assert sum(piece.count for piece in waiting) < 10


@pytest.mark.parametrize(
    ("cost", "at_hand", "patient", "all_there", "want"),
    [
        (0.1, 1000, False, False, 10),
        (100.0, 1000, False, False, 1),
        (0.0, 1000, False, False, 4096),
        (None, 1000, False, False, 1),
        (None, 0, True, False, 1),
        (None, 320, True, False, 10),
        (None, 321, False, True, 11),
        (None, 10**6, False, True, 64),
        (None, 10**6, True, False, 64),
    ],
)
def test_how_many_tasks_make_a_parcel(
    cost: float | None, at_hand: int, patient: bool, all_there: bool, want: int
) -> None:
    size = ParcelSize(1.0, patient=patient)
    size.cost = cost
    assert size.want(at_hand, all_there=all_there) == want


@pytest.mark.parametrize(("cost", "want"), [(None, 47), (0.1, 10), (1e-4, 4096)])
def test_what_came_in_a_parcel_is_cut_again_only_for_a_reason(cost: float | None, want: int) -> None:
    size = ParcelSize(1.0, patient=False)
    size.cost = cost
    assert size.want(47, all_there=True, came=47) == want
    waiting = list(_bundle(range(47)))
    lengths = [sum(piece.count for piece in bundle) for bundle in size.cut(waiting, 10**9, rest=True, came=47)]
    assert lengths[0] == min(want, 47)


def test_as_long_as_nobody_knows_parcels_begin_small_and_grow() -> None:
    size = ParcelSize(1.0, patient=False)
    waiting = list(_bundle(range(2000)))
    lengths = [sum(piece.count for piece in bundle) for bundle in size.cut(waiting, 10**9, rest=False)]
    assert lengths[:9] == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert max(lengths) <= 64


def test_who_is_patient_waits_until_there_is_much() -> None:
    size = ParcelSize(1.0, patient=True)
    waiting = list(_bundle(range(2000)))
    assert list(size.cut(waiting, 10**9, rest=False)) == []
    assert list(size.cut(waiting, 100, rest=False))
