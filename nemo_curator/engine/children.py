"""From what user code returned to envelopes: ids, claims, metadata and records of children."""

# Metadata and records of a task are the engine's to write; their names are part of the public contract.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.engine.claims import ONE, Claims, Split, merge
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.ids import Slots, child_id, group_id
from nemo_curator.engine.outputs import Live, adopt, agreed_metadata
from nemo_curator.engine.sources import Sources
from nemo_curator.engine.tally import Tally
from nemo_curator.tasks import FailedTask, Task
from nemo_curator.utils.performance_utils import StagePerfStats

__all__ = ["Family", "child_of", "children_of", "count_items", "family_of", "group_of", "only_child_of"]


@dataclass(slots=True)
class Family:
    """What the children of one task, or of a group, have in common.

    Attributes:
        id: Under which they are numbered.
        parent: The task that they were made of; `None` for a group.
        inherited: Metadata that they get where they set none themselves.
        earlier: Records of the stages before.
        slots: Names their slots.
        split: Divides the claims among them.
        sources: Every child is a source of its own, and this names it; `None` behind the source stage.
    """

    id: str
    parent: Task[Any] | None
    inherited: dict[str, Any]
    earlier: list[StagePerfStats]
    slots: Slots
    split: Split
    sources: Sources | None


def family_of(parent: Envelope, sources: Sources | None) -> Family:
    """Return the family of one task, as it is before its children are made: it may be one of them, changed in place."""
    return Family(
        id=parent.id,
        parent=parent.task,
        inherited=dict(parent.task._metadata),
        earlier=list(parent.task._stage_perf),
        slots=Slots(by_content=sources is not None),
        split=Split(parent.claims),
        sources=sources,
    )


def group_of(batch: Sequence[Envelope], sources: Sources | None) -> Family:
    """Return the family of a batch whose outputs belong to all of its members."""
    return Family(
        id=group_id(envelope.id for envelope in batch),
        parent=None,
        inherited=agreed_metadata([envelope.task for envelope in batch]),
        earlier=[record for envelope in batch for record in envelope.task._stage_perf],
        slots=Slots(by_content=sources is not None),
        split=Split(merge([envelope.claims for envelope in batch])),
        sources=sources,
    )


def only_child_of(
    parent: Envelope, child: Task[Any], stats: StagePerfStats, sources: Sources | None, tally: Tally
) -> Envelope | None:
    """Return the envelope of a task's one child; nothing for a source that the run leaves out.

    By far the most frequent case, so it takes the short way.
    """
    task = parent.task
    content = None if sources is None else child.get_deterministic_id()
    identity = f"{parent.id}_{0 if content is None else content}"
    claims = parent.claims
    if sources is not None:
        claims = _source_claims(sources, identity, child, tally)
        if not claims:
            return None
    if child is task and child.task_id == parent.id:
        child.task_id = identity
        child._stage_perf.append(stats)
    else:
        earlier = task._stage_perf
        child = adopt(child, identity, parent.id, task, task._metadata)
        child._stage_perf = [*earlier, stats]
    if claims:
        child._source_id = claims[0][0]
    return Envelope(identity, child, claims)


def children_of(family: Family, live: Sequence[Live], stats: StagePerfStats, tally: Tally) -> list[Envelope]:
    """Return the envelopes of all children; those that the stage marked as failed get a receipt instead."""
    last = len(live) - 1
    made = (child_of(family, child, stats, tally, last=position == last) for position, child in enumerate(live))
    return [envelope for envelope in made if envelope is not None]


def child_of(family: Family, live: Live, stats: StagePerfStats, tally: Tally, *, last: bool) -> Envelope | None:
    """Return the envelope of the next child; nothing for one that the stage marked as failed, or a source that the run leaves out."""
    slot, child = live
    identity = child_id(family.id, family.slots.name(child, slot))
    claims: Claims = family.split.rest() if last else family.split.take()
    if family.sources is not None:
        claims = _source_claims(family.sources, identity, child, tally)
        if not claims:
            return None
    if isinstance(child, FailedTask):
        tally.counts.children_failed += 1
        parent = None if family.parent is None else Envelope(family.id, family.parent)
        tally.fail_on_purpose(parent, identity, claims, child, slot)
        return None
    task = adopt(child, identity, family.id, family.parent, family.inherited)
    task._stage_perf = [*family.earlier, stats]
    if family.parent is None:
        # The records of a group's members travel with its first output; once is enough for every sum.
        family.earlier = []
    if claims:
        task._source_id = claims[0][0]
    return Envelope(identity, task, claims)


def count_items(envelopes: Iterable[Envelope]) -> int:
    """Return the items in some tasks. Raises what a task type's `num_items` raises."""
    return sum([envelope.task.num_items for envelope in envelopes])


def _source_claims(sources: Sources, identity: str, task: Task[Any], tally: Tally) -> Claims:
    """Return the claims of a task that is a source: all of itself; none, and it is counted, if the run leaves it out."""
    name = sources.name(identity, task)
    if sources.is_of_another_shard(identity):
        tally.leave_out(None)
        return ()
    mark = sources.finished_mark(name)
    if mark is not None:
        tally.leave_out(mark)
        return ()
    return ((name, ONE),)
