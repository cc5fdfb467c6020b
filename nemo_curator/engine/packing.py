"""Frames: envelopes made ready to leave a worker.

A frame is a few envelopes behind one opaque payload. Whoever moves frames never looks inside, and hands out parts of one by
position, so frames are kept small enough (64 envelopes, 256 kB) to be handed to several workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nemo_curator.engine.envelope import Envelope
from nemo_curator.utils.sizing import estimate_nbytes

__all__ = ["Frame", "Packer", "ReferencePacker", "Slice", "cut_frames", "task_nbytes"]

FRAME_COUNT = 64
FRAME_BYTES = 256 * 1024
_ENVELOPE_NBYTES = 300


@dataclass(frozen=True, slots=True)
class Frame:
    """A few envelopes.

    Attributes:
        count: How many.
        nbytes: Bytes that they hold in memory.
        payload: What the packer made of them.
        node: The machine that it lies on, where that makes a difference.
    """

    count: int
    nbytes: int
    payload: Any
    node: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """Envelopes `start` to `stop` of a frame."""

    frame: Frame
    start: int
    stop: int

    @classmethod
    def whole(cls, frame: Frame) -> Slice:
        """Return all of a frame."""
        return cls(frame, 0, frame.count)

    @property
    def count(self) -> int:
        """How many envelopes."""
        return self.stop - self.start

    @property
    def nbytes(self) -> int:
        """Their part of the frame's bytes."""
        return self.frame.nbytes * self.count // self.frame.count


class Packer(Protocol):
    """Makes frames and reads them back. A backend brings the one that suits how it moves bytes.

    Attributes:
        copies: What is unpacked are other objects than what was packed.
    """

    copies: bool

    def pack(self, envelopes: Sequence[Envelope]) -> Frame:
        """Return a frame of these envelopes. Raises whatever pickling raises."""
        ...

    def unpack(self, frame: Frame) -> list[Envelope]:
        """Return a frame's envelopes."""
        ...


class ReferencePacker:
    """Moves envelopes by reference, between threads."""

    copies = False

    def pack(self, envelopes: Sequence[Envelope]) -> Frame:
        """Return a frame that holds the very objects."""
        nbytes = sum(task_nbytes(envelope) for envelope in envelopes)
        return Frame(count=len(envelopes), nbytes=nbytes, payload=list(envelopes))

    def unpack(self, frame: Frame) -> list[Envelope]:
        """Return the very objects."""
        envelopes: list[Envelope] = frame.payload
        return envelopes


def task_nbytes(envelope: Envelope) -> int:
    """Return the approximate bytes that an envelope keeps alive."""
    if not envelope.nbytes:
        envelope.nbytes = _ENVELOPE_NBYTES + estimate_nbytes(envelope.task.data)
    return envelope.nbytes


def cut_frames(envelopes: Iterable[Envelope], *, most: int = FRAME_COUNT) -> Iterator[list[Envelope]]:
    """Divide envelopes into runs that are small enough for a frame each."""
    run: list[Envelope] = []
    size = 0
    for envelope in envelopes:
        nbytes = task_nbytes(envelope)
        if run and (len(run) >= most or size + nbytes > FRAME_BYTES):
            yield run
            run, size = [], 0
        run.append(envelope)
        size += nbytes
    if run:
        yield run
