"""The queue in front of a segment hands out bundles of the right size, and every envelope once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.batching import Edge
from nemo_curator.engine.packing import Frame, Slice


def _frame(values: list[int], nbytes: int = 100) -> Slice:
    return Slice.whole(Frame(len(values), nbytes, values))


def _read(bundle: list[Slice]) -> list[int]:
    return [value for piece in bundle for value in piece.frame.payload[piece.start : piece.stop]]


@given(
    st.lists(st.integers(0, 9), max_size=20),
    st.integers(1, 6),
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(1, 3000),
)
def test_bundles_are_multiples_and_nothing_is_lost(
    sizes: list[int], batch_size: int, wants: list[int], max_bytes: int
) -> None:
    edge = Edge(batch_size=batch_size)
    taken: list[int] = []
    position = 0
    for round_, size in enumerate(sizes):
        edge.put([_frame(list(range(position, position + size)))])
        position += size
        while edge.ready:
            bundle = _read(edge.take(wants[round_ % len(wants)], max_bytes))
            assert len(bundle) % batch_size == 0
            assert len(bundle) > 0
            taken += bundle
    edge.ended = True
    while edge.ready:
        rest = _read(edge.take(1, max_bytes))
        assert len(rest) == min(batch_size, position - len(taken))
        taken += rest
    assert taken == list(range(position))
    assert edge.exhausted
    assert edge.nbytes == 0


def test_nothing_is_ready_before_a_batch_is_complete() -> None:
    edge = Edge(batch_size=3)
    edge.put([_frame([1, 2])])
    assert not edge.ready
    edge.put([_frame([3])])
    assert edge.ready


def test_a_bundle_is_cut_where_it_grows_too_large_but_not_within_a_batch() -> None:
    edge = Edge(batch_size=2)
    edge.put([_frame([n], nbytes=1000) for n in range(10)])
    assert _read(edge.take(8, 2500)) == [0, 1, 2, 3]


def test_a_frame_is_shared_out_by_position() -> None:
    edge = Edge()
    edge.put([_frame(list(range(10)))])
    assert [_read(edge.take(4, 10_000)) for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert edge.count == 2


def test_a_barrier_is_ready_at_the_end_and_gives_everything() -> None:
    edge = Edge(barrier=True)
    edge.put([_frame([1]), _frame([2, 3])])
    assert not edge.ready
    edge.ended = True
    assert _read(edge.take(1, 1)) == [1, 2, 3]
    assert edge.exhausted


def test_empty_frames_do_not_count() -> None:
    edge = Edge()
    edge.put([_frame([])])
    edge.ended = True
    assert edge.exhausted
