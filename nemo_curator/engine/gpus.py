"""`GpuSlots`: who has which device. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["GpuSlots", "check_share"]

# Shares are counted in millionths, so that ten tenths are one.
_WHOLE = 1_000_000


def check_share(gpus: float) -> str:
    """Return why a worker cannot have so many GPUs, as half a sentence; nothing if it can."""
    if gpus > 1 and gpus != int(gpus):
        return f"asks for {gpus:g} GPUs; a part of one may be asked for, or a whole number of them"
    return ""


class GpuSlots:
    """Hands out devices, whole or in shares. A worker keeps what it has as long as it lives.

    Args:
        devices: Their names; on a cluster ``node:device``. A worker's devices are all of one node.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._free = dict.fromkeys(devices, _WHOLE)
        self._held: dict[int, dict[str, int]] = {}

    def acquire(self, worker: int, gpus: float) -> tuple[str, ...] | None:
        """Give a worker devices; return their names, or `None` if there is no room now.

        A share comes out of the fullest device that has room for it, so that whole devices stay free for those who need them.

        Raises:
            ValueError: The worker has devices already.
        """
        if worker in self._held:
            message = f"worker {worker} has devices already"
            raise ValueError(message)
        share = round(gpus * _WHOLE) if gpus < 1 else _WHOLE
        number = 1 if gpus < 1 else int(gpus)
        fitting: dict[str, list[tuple[int, str]]] = {}
        for name, free in self._free.items():
            if free >= share:
                fitting.setdefault(name.rpartition(":")[0], []).append((free, name))
        nodes = [sorted(devices) for devices in fitting.values() if len(devices) >= number]
        if not nodes:
            return None
        chosen = [name for _, name in min(nodes)[:number]]
        for name in chosen:
            self._free[name] -= share
        self._held[worker] = dict.fromkeys(chosen, share)
        return tuple(sorted(chosen, key=list(self._free).index))

    def release(self, worker: int) -> None:
        """Take back what a worker had, if anything."""
        for name, share in self._held.pop(worker, {}).items():
            self._free[name] += share

    def held(self, worker: int) -> tuple[str, ...]:
        """Return the devices of a worker."""
        return tuple(self._held.get(worker, ()))

    @property
    def free(self) -> float:
        """Devices and shares of them that nobody has, added up."""
        return sum(self._free.values()) / _WHOLE
