"""`Steward`: the one place of a run that all its custodians know, where an engine starts and ends workers as it likes.

It is an actor without CPUs of its own, and no task passes it. Custodians ask it who prepares a node, tell it what their segments cost,
and learn from it when the run is over, so that they tear down in time: engines kill workers without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.engine.memory import process_state

__all__ = ["Steward", "Word"]

_WATCH_SECONDS = 2.0
_PREPARING, _PREPARED = "preparing", "prepared"


@dataclass(frozen=True, slots=True)
class Word:
    """What a custodian is told.

    Attributes:
        version: Number of the news.
        costs: Seconds that a task takes, by index of the segment, as far as anybody knows.
        grace_s: Set once the run is over: seconds to tear down in.
        stacks: Somebody wants to know where all workers stand; the number of the question.
    """

    version: int
    costs: dict[int, float] = field(default_factory=dict[int, float])
    grace_s: float | None = None
    stacks: int = 0


class Steward:
    """See the module. Methods are called over Ray, by custodians and the driver.

    Args:
        node: Ray's id of the node that it is on.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._here: dict[str, int] = {}
        self._children: dict[str, int] = {}
        self._changed = asyncio.Condition()
        self._version = 0
        self._costs: dict[int, float] = {}
        self._grace: float | None = None
        self._over: dict[int, float] = {}
        self._segment: dict[str, int] = {}
        self._left: dict[int, int] = {}
        self._question = 0
        self._answers: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self._problems: list[str] = []
        self._nodes: dict[tuple[str, int], str] = {}
        self._names: set[str] = set()
        self._used: set[str] = set()
        self._offered: deque[Any] = deque()

    # Custodians

    async def enrol(self, who: str, segment: int, node: str, pid: int) -> None:
        """Note that there is a custodian, of which segment, and in which process."""
        self._seen[who] = time.monotonic()
        self._segment[who] = segment
        self._used.add(node)
        if node == self._node:
            self._here[who] = pid

    async def child(self, who: str, pid: int) -> None:
        """Note a custodian's child process; the one before it is gone."""
        if who in self._here:
            self._children[who] = pid

    async def watch(self, who: str, version: int) -> Word:
        """Return the news after `version`, or after two seconds what there is; tells at the same time that the custodian lives."""
        self._seen[who] = time.monotonic()
        async with self._changed:
            if self._version == version and self._grace_of(who) is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _WATCH_SECONDS)
        if who in self._seen:
            self._seen[who] = time.monotonic()
        return Word(self._version, dict(self._costs), self._grace_of(who), self._question)

    def _grace_of(self, who: str) -> float | None:
        return self._over.get(self._segment.get(who, -1), self._grace)

    async def answer(self, who: str, text: str) -> None:
        """Take a custodian's answer to the question where its worker stands."""
        self._answers[who] = text

    async def left(self, who: str, problems: list[str]) -> None:
        """Note that a custodian has torn down."""
        self._problems += problems
        for known in (self._seen, self._segment, self._here, self._children):
            known.pop(who, None)
        await self._tell()

    async def turn(self, node: str, segment: int) -> bool:
        """Say whether the caller shall prepare a node for a segment; otherwise it returns when somebody else has done so."""
        async with self._changed:
            while self._nodes.get((node, segment)) == _PREPARING:
                await self._changed.wait()
        if self._nodes.get((node, segment)) == _PREPARED:
            return False
        self._nodes[node, segment] = _PREPARING
        return True

    async def prepared(self, node: str, segment: int, done: bool) -> None:
        """Note that a node was prepared, or could not be."""
        if done:
            self._nodes[node, segment] = _PREPARED
        else:
            self._nodes.pop((node, segment), None)
        await self._tell()

    async def done(self, position: int, taken: int, made: int) -> bool:
        """Note that a worker has dealt with parcels, on an engine that runs one stage after the other; say whether they were its last.

        Args:
            position: Of the stage in the engine.
            taken: Parcels that were taken.
            made: Parcels that came of them.
        """
        self._left[position] -= taken
        self._left[position + 1] = self._left.get(position + 1, 0) + made
        return self._left[position] == 0

    async def dismiss(self, segment: int, grace_s: float, who: str) -> None:
        """Let all custodians of a segment tear down but the caller; return when they have, or time is up."""
        self._over[segment] = grace_s
        await self._tell()
        await self._until_gone(grace_s, lambda: [n for n in self._living() if self._segment[n] == segment and n != who])

    async def first(self, name: str, node: str) -> bool:
        """Say whether nobody of that name has asked before: what holds something of a run must not come back without it."""
        new = name not in self._names
        self._names.add(name)
        self._used.add(node)
        return new

    async def costs(self, segment: int, seconds: float) -> None:
        """Note what a task takes in a segment."""
        self._costs[segment] = seconds
        self._version += 1
        await self._tell()

    # The driver

    async def expect(self, parcels: int) -> None:
        """Note how many parcels the first stage will get, on an engine that runs one stage after the other."""
        self._left[0] = parcels

    async def known(self) -> tuple[dict[int, float], set[str]]:
        """Return what a task takes, by index of the segment, and the nodes that something of the run is on."""
        return self._costs, self._used

    async def ask(self) -> dict[str, str]:
        """Return where all workers stand, as far as custodians answer in a second."""
        self._question += 1
        self._version += 1
        self._answers = {}
        await self._tell()
        deadline = time.monotonic() + 1.5
        while len(self._answers) < len(self._seen) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return self._answers

    async def close(self, grace_s: float) -> list[str]:
        """Tell all custodians that the run is over; return what went wrong once they have torn down, or time is up."""
        self._grace = grace_s
        await self._tell()
        await self._until_gone(grace_s, self._living)
        return [*self._problems, *(f"{who} had not torn down after {grace_s:g} s" for who in self._living())]

    async def _until_gone(self, grace_s: float, who: Callable[[], list[str]]) -> None:
        deadline = time.monotonic() + grace_s + 1.0
        while who() and time.monotonic() < deadline:
            async with self._changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.1)

    def _living(self) -> list[str]:
        """Return who has not torn down yet: custodians, and children whose custodians were killed by the engine."""
        now = time.monotonic()
        return [
            who
            for who, when in self._seen.items()
            # On another node a custodian is known to be gone when it asks no more.
            if (
                _runs(self._here[who]) or _runs(self._children.get(who))
                if who in self._here
                else now - when < 2 * _WATCH_SECONDS
            )
        ]

    # What is fed, for engines that take their input from here

    async def offer(self, parcels: list[Any]) -> int:
        """Take parcels that are to be fed; return how many wait."""
        self._offered += parcels
        await self._tell()
        return len(self._offered)

    async def take(self, most: int) -> list[Any] | None:
        """Return parcels that are to be fed, as soon as there are any; `None` when the run is over."""
        async with self._changed:
            while not self._offered and self._grace is None:
                await self._changed.wait()
        if self._grace is not None:
            return None
        return [self._offered.popleft() for _ in range(min(most, len(self._offered)))]

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _runs(pid: int | None) -> bool:
    return pid is not None and process_state(pid) not in ("", "zombie", "dead")
