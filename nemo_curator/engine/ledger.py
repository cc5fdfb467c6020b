"""Which sources are finished, told by the claims of what left the pipeline. Pure: no clock, no I/O."""

from __future__ import annotations

from nemo_curator.engine.claims import Claims, is_whole

__all__ = ["Ledger"]


class _Open:
    """A source that is under way."""

    __slots__ = ("failed", "seen", "total")

    def __init__(self) -> None:
        self.total = 0
        self.failed = False
        self.seen: dict[str, tuple[int, bool]] = {}


class _Bond:
    """Sources that something was made of together, which stand or fall together."""

    __slots__ = ("ended", "failed", "members")

    def __init__(self, members: set[str]) -> None:
        self.members = members
        self.ended: list[str] = []
        self.failed = False


class Ledger:
    """Adds up claims by source. What is delivered again while its source is under way counts once; memory is that of sources under way.

    Sources that something was made of together are finished together, and only if all of them are: whoever did one of them again would
    make once more what the other one is in already.

    Attributes:
        completed: Sources that came to their end without a failure.
        failed: Sources that came to their end with one.
        conflicts: Ids that came twice with different claims or outcomes. There must be none.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._bonds: dict[str, _Bond] = {}
        self.completed = 0
        self.failed = 0
        self.conflicts: list[str] = []

    def see(self, task_id: str, claims: Claims, *, failed: bool = False) -> list[str]:
        """Note that a task left the pipeline; return the sources that are finished with it, none of whose tasks failed."""
        finished: list[str] = []
        if len(claims) > 1:
            self._bind(claims)
        for source, share in claims:
            # Nearly all sources of nearly all pipelines have one descendant: it never enters the table.
            if is_whole(share) and source not in self._open:
                self._close(source, failed=failed, finished=finished)
                continue
            entry = self._open.setdefault(source, _Open())
            before = entry.seen.get(task_id)
            if before is not None:
                # The same again is a re-delivery; something else under the same id means that shares cannot be trusted.
                if before != (share, failed):
                    self.conflicts.append(task_id)
                continue
            entry.seen[task_id] = (share, failed)
            entry.total += share
            entry.failed |= failed
            if is_whole(entry.total):
                del self._open[source]
                self._close(source, failed=entry.failed, finished=finished)
        return finished

    def _bind(self, claims: Claims) -> None:
        """Tie the sources of a task to one another, and to all that any of them is tied to."""
        bonds = {id(bond): bond for source, _ in claims if (bond := self._bonds.get(source)) is not None}
        # The smaller ones go into the largest, so that a long chain of them does not cost its length each time.
        whole = max(bonds.values(), key=lambda bond: len(bond.members), default=None) or _Bond(set())
        for bond in bonds.values():
            if bond is not whole:
                whole.members |= bond.members
                whole.ended += bond.ended
                whole.failed |= bond.failed
                self._bonds.update(dict.fromkeys(bond.members, whole))
        for source, _ in claims:
            whole.members.add(source)
            self._bonds[source] = whole

    def _close(self, source: str, *, failed: bool, finished: list[str]) -> None:
        if failed:
            self.failed += 1
        else:
            self.completed += 1
        bond = self._bonds.get(source)
        if bond is None:
            if not failed:
                finished.append(source)
            return
        bond.failed |= failed
        bond.ended.append(source)
        if len(bond.ended) == len(bond.members):
            for member in bond.members:
                del self._bonds[member]
            if not bond.failed:
                finished += bond.ended

    def under_way(self) -> list[str]:
        """Return the sources of which something was seen, but not all."""
        return list(self._open)
