"""Large frames on a cluster, where the shared memory of one machine does not reach.

Where we drive, they are objects in Ray's store, which moves them from node to node without the driver: Ray counts who refers to them,
spills them to disk when memory is short, and frees them when nobody does any more. An engine that drives itself moves parcels as it
likes; there they are carried along, in a form that Ray lays beside the pickle without copying.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

from nemo_curator.backends.workers.packer import ProcessPacker, Shared, SharedMemory
from nemo_curator.engine.packing import Frame, Slice

__all__ = ["Blob", "Carried", "CarryingPacker", "ObjectPacker", "Stored", "carried", "landed", "localised", "published"]


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

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
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


def published(ray: Any, frames: Sequence[Frame], node: str) -> tuple[Frame, ...]:
    """Return frames of a worker of this node in a form that travels: those in shared memory are put into the store."""
    return tuple(
        replace(frame, payload=_put(ray, frame.payload), node=node) if isinstance(frame.payload, Shared) else frame
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


@dataclass(frozen=True, slots=True)
class Carried:
    """A large frame that travels inside its parcel: the pickle and its buffers, one after the other."""

    blob: Blob
    sizes: tuple[int, ...]


class CarryingPacker(ProcessPacker):
    """Pickles frames in the driver, large ones into what travels inside a parcel."""

    def __init__(self) -> None:
        super().__init__(by_value=True, keeps=True)

    def _lay(self, parts: list[memoryview]) -> Carried:
        return Carried(Blob(b"".join(parts)), tuple([part.nbytes for part in parts]))

    def _take(self, payload: Carried) -> memoryview:
        return memoryview(bytearray(payload.blob.view))


def carried(bundle: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return a bundle as it travels in a parcel: what lies in shared memory is carried along."""
    return tuple(Slice(_carried(piece.frame), piece.start, piece.stop) for piece in bundle)


def landed(bundle: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return a bundle out of a parcel as a worker process reads it: large frames in shared memory."""
    return tuple(Slice(_landed(piece.frame), piece.start, piece.stop) for piece in bundle)


def _carried(frame: Frame) -> Frame:
    payload = frame.payload
    if not isinstance(payload, Shared):
        return frame
    return replace(frame, payload=Carried(Blob(payload.memory.read(sum(payload.sizes))), payload.sizes))


def _landed(frame: Frame) -> Frame:
    payload = frame.payload
    if not isinstance(payload, Carried):
        return frame
    return replace(frame, payload=Shared(SharedMemory.holding([payload.blob.view]), payload.sizes))
