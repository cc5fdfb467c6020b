"""Large frames on a cluster: objects in Ray's store, which moves them from node to node without the driver.

Ray counts who refers to them, spills them to disk when memory is short, and frees them when nobody does any more.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nemo_curator.backends.workers.packer import ProcessPacker, Shared, SharedMemory
from nemo_curator.engine.packing import Frame

__all__ = ["Blob", "ObjectPacker", "Stored", "localised", "published"]


class Blob:
    """Bytes that Ray lays into its store as they are, and that are read there without being copied.

    Args:
        data: Anything with a contiguous buffer.
    """

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def view(self) -> memoryview:
        """The bytes."""
        return memoryview(self.data).cast("B")

    def __reduce_ex__(self, protocol: int) -> tuple[Any, ...]:
        return (Blob, (pickle.PickleBuffer(self.data),))


@dataclass(frozen=True, slots=True)
class Stored:
    """A large frame: the pickle and its buffers, one after the other in an object of Ray's store."""

    ref: Any
    sizes: tuple[int, ...]


class ObjectPacker(ProcessPacker):
    """Pickles frames in the driver, large ones into Ray's store.

    Args:
        ray: The module, connected.
    """

    def __init__(self, ray: Any) -> None:
        super().__init__(by_value=True, keeps=True)
        self._ray = ray

    def _lay(self, parts: list[memoryview]) -> Stored:
        return Stored(self._ray.put(Blob(b"".join(parts))), tuple([part.nbytes for part in parts]))

    def _take(self, payload: Stored) -> memoryview:
        # The store's memory is read only, and what the caller gets may be kept for long.
        return memoryview(bytearray(self._ray.get(payload.ref).view))


def published(ray: Any, frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Return frames of a worker of this node in a form that travels: those in shared memory are put into the store."""
    return tuple(
        replace(frame, payload=_put(ray, frame.payload)) if isinstance(frame.payload, Shared) else frame
        for frame in frames
    )


def localised(ray: Any, frame: Frame) -> Frame:
    """Return a frame in a form that a worker of this node can read: one in the store is laid into shared memory.

    Raises whatever Ray raises if the object was lost with its node.
    """
    payload = frame.payload
    if not isinstance(payload, Stored):
        return frame
    memory = SharedMemory.holding([ray.get(payload.ref).view])
    return replace(frame, payload=Shared(memory, payload.sizes))


def _put(ray: Any, payload: Shared) -> Stored:
    return Stored(ray.put(Blob(payload.memory.read(sum(payload.sizes)))), payload.sizes)
