"""`Beacon`: where a worker is right now, in memory that whoever watches it can read, also after the worker's death."""

from __future__ import annotations

import mmap
from dataclasses import dataclass

__all__ = ["Beacon", "Where"]

_SIZE = 4096
_POSITION, _STAGE, _SINCE, _NAMED_SINCE, _MADE, _MEMBERS, _LENGTH, _CELLS = range(8)
_TEXT = 8 * _CELLS


@dataclass(frozen=True, slots=True)
class Where:
    """What a worker was doing.

    Attributes:
        position: Index of the input, within its bundle, that it was working on; -1 if it was on none.
        stage: Index of the stage whose code it was in; -1 if it was in none.
        since: When that code was called (`time.perf_counter`, which all processes of a machine share); 0 if it was not.
        task: Id of the task that the code was called with, the first of several; empty where that was not noted.
        members: How many tasks it was called with.
        made: For code that makes children one by one, how many it had made.
    """

    position: int = -1
    stage: int = -1
    since: float = 0.0
    task: str = ""
    members: int = 0
    made: int = 0


class Beacon:
    """A few numbers and a name. Written before and after every call of user code, so writing costs well under a microsecond.

    A reader may see a number that is a call older than the next one; it sees no half-written number.

    Args:
        memory: At least `Beacon.SIZE` bytes, shared with whoever reads; private memory when not given.
    """

    SIZE = _SIZE

    def __init__(self, memory: mmap.mmap | bytearray | None = None) -> None:
        view = memoryview(bytearray(_SIZE) if memory is None else memory)
        self._cells = view[:_TEXT].cast("d")
        self._text = view[_TEXT:_SIZE]

    def at(self, position: int) -> None:
        """Say which input the worker turns to."""
        cells = self._cells
        cells[_POSITION] = position
        cells[_LENGTH] = 0.0

    def rest(self) -> None:
        """Say that the worker is on no input, and forget what it was on."""
        cells = self._cells
        cells[_POSITION] = -1
        cells[_SINCE] = cells[_LENGTH] = 0.0

    def enter(self, stage: int, since: float) -> None:
        """Say that code of a stage is called."""
        cells = self._cells
        cells[_STAGE] = stage
        cells[_SINCE] = since

    def leave(self) -> None:
        """Say that it has returned."""
        self._cells[_SINCE] = 0.0

    def name(self, since: float, task: str, *, members: int = 1, made: int = 0) -> None:
        """Say with which task the code will be called that is entered next, at `since`."""
        text = self.clip(task)
        cells = self._cells
        self._text[: len(text)] = text
        cells[_LENGTH] = len(text)
        cells[_MADE] = made
        cells[_MEMBERS] = members
        cells[_NAMED_SINCE] = since

    @staticmethod
    def clip(task: str) -> bytes:
        """Return as much of an id as there is room for: its end, which tells apart what has the same beginning."""
        return task.encode(errors="backslashreplace")[-(_SIZE - _TEXT) :]

    def read(self) -> Where:
        """Return where the worker is."""
        cells = self._cells
        since = cells[_SINCE]
        position = int(cells[_POSITION])
        stage = int(cells[_STAGE])
        # Between two calls the worker is busy with what the last one made.
        named = cells[_NAMED_SINCE] == since if since else bool(cells[_LENGTH])
        if position < 0 and not since:
            return Where()
        if not named:
            return Where(position, stage if since else -1, since)
        task = bytes(self._text[: int(cells[_LENGTH])]).decode(errors="replace")
        return Where(position, stage, since, task, int(cells[_MEMBERS]), int(cells[_MADE]))
