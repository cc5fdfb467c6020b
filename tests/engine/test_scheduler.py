"""The scheduler on simulated clusters: no process, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import Simulation, Timed, segments_of

from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.plan import most_busy
from nemo_curator.errors import WorkerLost

stages = st.lists(
    st.builds(
        Timed,
        st.just("s"),
        seconds=st.sampled_from([1e-5, 0.001, 0.2]),
        cpus=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        batch_size=st.integers(1, 5),
        workers=st.one_of(st.none(), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=5,
)


@given(
    stages,
    st.integers(0, 120),
    st.integers(1, 6),
    st.integers(0, 10**6),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([1, 3000, 10**9]),
    st.booleans(),
)
@settings(max_examples=300)
def test_everything_arrives_once_whatever_the_cluster(
    pipeline: list[Timed],
    count: int,
    workers: int,
    seed: int,
    ordered: bool,
    pieces: int,
    edge_bytes: int,
    remote: bool,
) -> None:
    options = RunOptions(preserve_order=ordered, edge_bytes=edge_bytes)
    capacity = Capacity(workers, cpus=max(2, workers), remote=remote)
    simulation = Simulation(segments_of(*pipeline), capacity, options, seed=seed, pieces=pieces)
    simulation.run(count)
    assert sorted(simulation.outputs) == list(range(count))
    if ordered:
        assert simulation.outputs == list(range(count))


@given(
    stages,
    st.integers(1, 80),
    st.integers(1, 4),
    st.integers(0, 10**6),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.02]),
    st.sets(st.integers(0, 79), max_size=6),
    st.sampled_from([1, 1, 4]),
    st.booleans(),
)
@settings(max_examples=400)
def test_a_death_costs_the_guilty_and_nobody_else(
    pipeline: list[Timed],
    count: int,
    workers: int,
    seed: int,
    ordered: bool,
    pieces: int,
    death_rate: float,
    poison: set[int],
    fan_out: int,
    remote: bool,
) -> None:
    attempts = 3 if not death_rate else 10**6
    last = len(pipeline) - 1
    guilty = {value: (value + seed) % (last + 1) if fan_out == 1 else 0 for value in poison if value < count}
    if death_rate:
        guilty = {}
    simulation = Simulation(
        segments_of(*pipeline),
        Capacity(workers, cpus=max(2, workers), remote=remote),
        RunOptions(preserve_order=ordered, crash_attempts=attempts),
        seed=seed,
        death_rate=death_rate,
        poison=guilty,
        pieces=pieces,
        fan_out=fan_out,
    )
    simulation.run(count)
    expected = [value * fan_out + slot for value in range(count) if value not in guilty for slot in range(fan_out)]
    assert sorted(simulation.outputs) == expected
    if ordered:
        assert simulation.outputs == expected
    assert sorted(simulation.failed) == sorted(guilty.items())
    assert all(deaths <= 3 for deaths in simulation.killed.values())
    for index, counts in enumerate(simulation.entered):
        came = count if index == 0 else simulation.entered[index - 1].tasks_out
        assert counts.tasks_in == came
    assert simulation.entered[-1].tasks_out == len(expected)


def test_workers_that_die_for_no_reason_to_be_seen_end_the_run() -> None:
    segments = segments_of(Timed("deadly", seconds=0.01))
    simulation = Simulation(segments, Capacity(2, 2), RunOptions(), death_rate=1.0, blind=True)
    with pytest.raises(WorkerLost, match=r"'deadly' \(attempt 3\)"):
        simulation.run(5)


def test_it_drains_before_it_fills() -> None:
    segments = segments_of(Timed("fast", seconds=0.001), Timed("slow", seconds=0.5))
    simulation = Simulation(segments, Capacity(2, 2), RunOptions(edge_bytes=2000), nbytes_per_task=100)
    simulation.run(3000)
    # 2000 bytes are 20 tasks; a bundle of the fast stage makes at most about a hundred more.
    assert simulation.most_queued[1] <= 200


def test_the_source_is_throttled() -> None:
    segments = segments_of(Timed("slow", seconds=1.0))
    simulation = Simulation(segments, Capacity(1, 1), RunOptions(edge_bytes=4000), nbytes_per_task=100)
    simulation.run(200)
    assert simulation.most_queued[0] <= 11


def test_workers_are_kept_busy_up_to_the_end() -> None:
    segments = segments_of(Timed("a", seconds=0.05), Timed("b", seconds=0.15))
    simulation = Simulation(segments, Capacity(8, 8))
    simulation.run(2000)
    ideal = simulation.busy_seconds / 8
    assert simulation.clock < 1.1 * ideal + 1.0


def test_a_large_stage_is_not_starved_by_small_ones() -> None:
    segments = segments_of(Timed("small", seconds=0.01), Timed("large", seconds=0.01, cpus=4.0))
    simulation = Simulation(segments, Capacity(4, 4), RunOptions(edge_bytes=1000))
    simulation.run(500)
    first_large = next(i for i, (segment, _) in enumerate(simulation.order) if segment == 1)
    assert first_large < len(simulation.order) / 2
    assert sorted(simulation.outputs) == list(range(500))


def test_one_worker_hosts_every_stage_of_its_shape() -> None:
    simulation = Simulation(segments_of(*[Timed(f"s{n}", seconds=0.01) for n in range(20)]), Capacity(1, 1))
    simulation.run(30)
    assert simulation.started == 1
    assert sorted(simulation.prepared) == list(range(20))


def test_a_tiny_run_starts_one_worker() -> None:
    simulation = Simulation(segments_of(Timed("a", seconds=0.01), Timed("b", seconds=0.01)), Capacity(16, 16))
    simulation.run(1)
    assert simulation.started == 1


@pytest.mark.parametrize(
    ("cpus", "asked", "busy"),
    [
        (2, [(0.5, None)], 4),
        (2, [(1.0, None)], 2),
        (2.9, [(1.0, None)], 2),
        (1, [(0.1, None)], 10),
        (0.3, [(0.1, None)], 3),
        (2, [(0.0, None)], 2),
        (2, [(0.0, 5), (1.0, None)], 7),
        (2, [(4.0, None)], 2),
        (2, [(0.5, 1), (1.0, None)], 2),
        (2, [(0.5, 1), (0.5, 1), (1.0, None)], 3),
        (2, [(0.5, 3), (1.0, None)], 3),
        (2, [(0.25, 1), (0.5, None), (2.0, None)], 4),
        (0.5, [(0.5, None)], 1),
    ],
)
def test_as_many_workers_may_be_busy_as_cpus_can_keep_so(
    cpus: float, asked: list[tuple[float, int | None]], busy: int
) -> None:
    segments = segments_of(*[Timed("s", seconds=1, cpus=share, workers=most) for share, most in asked])
    assert most_busy(segments, cpus) == busy


def test_two_workers_of_half_a_cpu_share_one() -> None:
    def run(share: float) -> Simulation:
        segments = segments_of(Timed("s", seconds=1.0, cpus=share))
        simulation = Simulation(segments, Capacity(most_busy(segments, 2), 2))
        simulation.run(40)
        assert sorted(simulation.outputs) == list(range(40))
        return simulation

    whole, half = run(1.0), run(0.5)
    assert (whole.started, half.started) == (2, 4)
    assert half.clock < 0.7 * whole.clock


@pytest.mark.slow
def test_a_thousand_workers() -> None:
    segments = segments_of(Timed("a", seconds=0.2), Timed("b", seconds=0.2), Timed("c", seconds=0.2))
    simulation = Simulation(segments, Capacity(1000, 1000), RunOptions(bundle_seconds=1.0))
    simulation.run(20_000)
    assert sorted(simulation.outputs) == list(range(20_000))
    assert simulation.clock < 2 * simulation.busy_seconds / 1000 + 5


def test_a_busy_worker_is_given_a_short_bundle_ahead_and_no_long_one() -> None:
    for seconds, expected in [(0.01, True), (2.0, False)]:
        simulation = Simulation(segments_of(Timed("s", seconds=seconds)), Capacity(2, 2, remote=True), RunOptions())
        simulation.run(200)
        assert bool(simulation.given_ahead) is expected
        assert sorted(simulation.outputs) == list(range(200))


def test_it_drains_before_it_fills_also_where_bundles_are_given_ahead() -> None:
    segments = segments_of(Timed("fast", seconds=0.001), Timed("slow", seconds=0.05), Timed("last", seconds=0.001))
    options = RunOptions(edge_bytes=2000)
    simulation = Simulation(segments, Capacity(2, 2, remote=True), options, nbytes_per_task=100)
    simulation.run(3000)
    assert simulation.given_ahead
    assert simulation.most_queued[1] <= 300
    assert simulation.most_queued[2] <= 20


def test_what_is_quick_has_a_place_beside_what_is_slow() -> None:
    slow = Timed("slow", seconds=0.05)
    # Workers of its own, so that those of the others are there when it has all places.
    slow.runtime_env = {"env_vars": {"A": "1"}}
    segments = segments_of(Timed("fast", seconds=0.001), slow, Timed("last", seconds=0.001))
    simulation = Simulation(segments, Capacity(2, 2, remote=True), RunOptions(edge_bytes=2000))
    simulation.run(1000)
    assert simulation.lent
    # Two workers on the slow one, 25 s each for 1000 tasks of 0.05 s.
    assert simulation.clock < 1.1 * 1000 * 0.05 / 2


def test_equals_are_lent_nothing() -> None:
    segments = segments_of(Timed("one", seconds=0.02), Timed("other", seconds=0.05))
    simulation = Simulation(segments, Capacity(2, 2, remote=True), RunOptions())
    simulation.run(500)
    assert not simulation.lent
