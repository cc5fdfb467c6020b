"""Frames between processes: small ones as bytes, large ones in memory that processes share.

Shared memory has no name: it is a file descriptor that travels over a socket, and the kernel frees it with the last process
that holds it. Nothing can be left behind, whoever is killed. Payload buffers (arrays, tables) are not copied into the pickle
but laid beside it (pickle protocol 5), and read in place.
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.packing import Frame, Packer, ReferencePacker
from nemo_curator.engine.pickling import PROTOCOL, dumps_by_value

__all__ = ["SHARE_FROM", "Inline", "ProcessPacker", "Shared", "SharedMemory", "make_packer"]

SHARE_FROM = 64 * 1024


class SharedMemory:
    """A descriptor of memory without a name; closed when nobody refers to it any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def holding(cls, parts: Sequence[memoryview]) -> SharedMemory:
        """Return new memory with these bytes, one after the other."""
        fd = _anonymous_file()
        memory = cls(fd)
        for part in parts:
            while part:
                part = part[os.write(fd, part) :]
        return memory

    @classmethod
    def zeros(cls, nbytes: int) -> SharedMemory:
        """Return new memory of this size."""
        memory = cls(_anonymous_file())
        os.ftruncate(memory.fd, nbytes)
        return memory

    def copy(self, nbytes: int) -> memoryview:
        """Return a copy of the bytes, which holds no descriptor."""
        with mmap.mmap(self.fd, nbytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            return memoryview(bytearray(mapped))

    def read(self, nbytes: int) -> memoryview:
        """Return the bytes. The view may be written to; others do not see it. It holds a descriptor as long as it lives."""
        return memoryview(mmap.mmap(self.fd, nbytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE))

    def __del__(self) -> None:
        os.close(self.fd)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("curator", os.MFD_CLOEXEC)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@dataclass(frozen=True, slots=True)
class Inline:
    """A small frame: the pickle and its buffers."""

    data: bytes
    buffers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """A large frame: the pickle and its buffers, one after the other in shared memory."""

    memory: SharedMemory
    sizes: tuple[int, ...]


class ProcessPacker:
    """Pickles frames.

    Args:
        by_value: Take classes of `__main__` along. The driver needs it, as its `__main__` is not the workers'; a worker finds
            out by itself.
        keeps: What is unpacked may live long, so it shall hold no shared memory.
    """

    copies = True

    def __init__(self, *, by_value: bool, keeps: bool = False) -> None:
        self._by_value = by_value
        self._keeps = keeps

    def pack(self, envelopes: Sequence[Envelope]) -> Frame:
        """Return a frame of these envelopes. Raises whatever pickling raises."""
        buffers: list[pickle.PickleBuffer] = []
        data = self._dump(list(envelopes), buffers)
        raw = [buffer.raw() for buffer in buffers]
        nbytes = len(data) + sum(part.nbytes for part in raw)
        if nbytes < SHARE_FROM:
            return Frame(len(envelopes), nbytes, Inline(data, tuple([bytes(part) for part in raw])))
        return Frame(len(envelopes), nbytes, self._lay([memoryview(data), *raw]))

    def unpack(self, frame: Frame) -> list[Envelope]:
        """Return a frame's envelopes, each time as new objects."""
        payload = frame.payload
        if isinstance(payload, Inline):
            # Arrays that came as bytes could not be written to.
            return pickle.loads(payload.data, buffers=[bytearray(part) for part in payload.buffers])
        whole, position = self._take(payload), 0
        parts: list[memoryview] = []
        for size in payload.sizes:
            parts.append(whole[position : position + size])
            position += size
        return pickle.loads(parts[0], buffers=parts[1:])

    def _lay(self, parts: list[memoryview]) -> Any:
        """Return where a large frame's parts lie from now on, one after the other; it has their `sizes`."""
        return Shared(SharedMemory.holding(parts), tuple([part.nbytes for part in parts]))

    def _take(self, payload: Any) -> memoryview:
        """Return all parts of a large frame in one view that may be written to."""
        size = sum(payload.sizes)
        # What the caller of a run gets may live long, and there may be many of it; what a worker gets is soon gone.
        return payload.memory.copy(size) if self._keeps else payload.memory.read(size)

    def _dump(self, envelopes: list[Envelope], buffers: list[Any]) -> bytes:
        if not self._by_value:
            try:
                return pickle.dumps(envelopes, protocol=PROTOCOL, buffer_callback=buffers.append)
            except (pickle.PicklingError, AttributeError):
                # A class that cannot be imported by name, such as one of the driver's __main__: it came by value, and so
                # it goes back. The same is to be expected of whatever follows.
                self._by_value = True
                buffers.clear()
        return dumps_by_value(envelopes, buffers.append)


def make_packer(*, strict: bool) -> Packer:
    """Return the packer of workers that share the caller's memory: references, or pickles when it shall be `strict`."""
    return ProcessPacker(by_value=True) if strict else ReferencePacker()
