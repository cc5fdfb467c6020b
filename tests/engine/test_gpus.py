"""No device is given away more than once over, and everything comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.gpus import GpuSlots, check_share

shares = st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.9, 1.0, 2.0, 3.0])


@given(st.integers(0, 4), st.lists(st.tuples(shares, st.booleans()), max_size=40))
def test_no_device_is_given_away_more_than_once_over(count: int, steps: list[tuple[float, bool]]) -> None:
    slots = GpuSlots([f"g{n}" for n in range(count)])
    load = dict.fromkeys((f"g{n}" for n in range(count)), 0.0)
    alive: dict[int, tuple[float, tuple[str, ...]]] = {}
    for worker, (gpus, release_first) in enumerate(steps):
        if release_first and alive:
            oldest = min(alive)
            share, devices = alive.pop(oldest)
            slots.release(oldest)
            for device in devices:
                load[device] -= min(share, 1.0)
        devices = slots.acquire(worker, gpus)
        if devices is None:
            room = sum(free > 1 - min(gpus, 1.0) - 1e-6 for free in (1 - used for used in load.values()))
            assert gpus >= 1 or all(1 - used < gpus - 1e-6 for used in load.values()) or room == 0
            continue
        assert len(devices) == max(1, int(gpus))
        assert slots.held(worker) == devices
        alive[worker] = (gpus, devices)
        for device in devices:
            load[device] += min(gpus, 1.0)
            assert load[device] <= 1 + 1e-6
    for worker in alive:
        slots.release(worker)
    assert slots.free == count


def test_ten_tenths_are_one() -> None:
    slots = GpuSlots(["0"])
    assert [slots.acquire(worker, 0.1) for worker in range(11)] == [*[("0",)] * 10, None]


def test_shares_fill_the_fullest_device_so_that_whole_ones_stay_free() -> None:
    slots = GpuSlots(["0", "1"])
    first = slots.acquire(1, 0.5)
    assert slots.acquire(2, 0.5) == first
    assert slots.acquire(3, 1) is not None


def test_a_worker_gets_devices_once() -> None:
    slots = GpuSlots(["0"])
    slots.acquire(1, 0.5)
    with pytest.raises(ValueError, match="worker 1 has devices already"):
        slots.acquire(1, 0.5)


@pytest.mark.parametrize(("gpus", "fine"), [(0, True), (0.3, True), (1, True), (4, True), (1.5, False)])
def test_what_can_be_asked_for(gpus: float, fine: bool) -> None:
    assert (check_share(gpus) == "") is fine
