"""What Ray Data runs. A row is a parcel, pickled: it never looks inside, and takes nothing apart into columns."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Iterator
from typing import Any

from nemo_curator.backends.cluster.custodian import Ticket, custodian_of, let_go
from nemo_curator.backends.cluster.wants import Wants
from nemo_curator.engine.collector import Collector
from nemo_curator.engine.parcel import Parcel
from nemo_curator.engine.plan import Segment

__all__ = ["Collecting", "Running", "feed", "parcels_of", "run_parcels", "table_of", "warm_up"]

COLUMN = "parcel"
_AT_ONCE = 8


def table_of(parcel: Parcel) -> Any:
    """Return a table with one row."""
    import pyarrow as pa

    # The buffers of large frames are copied here, once; Ray's store then holds the table's as it is. `pyarrow.array` would copy them once
    # more, and import pandas.
    content = pickle.dumps(parcel, protocol=5)
    buffers = [None, pa.py_buffer(array("q", (0, len(content)))), pa.py_buffer(content)]
    return pa.table({COLUMN: pa.Array.from_buffers(pa.large_binary(), 1, buffers)})


def parcels_of(table: Any) -> Iterator[Parcel]:
    """Yield what a table holds."""
    for value in table.column(COLUMN):
        yield pickle.loads(value.as_buffer())


def warm_up() -> None:
    """Do nothing, in a process that Ray starts for it and then has at hand, with what every operator imports."""
    import ray.data  # noqa: F401


def feed(_: Any, steward: Any) -> Iterator[Any]:
    """Yield a table for every parcel that the driver offers. One task of it runs as long as there is input."""
    _only_once(steward, "feed")
    while (parcels := steward.take.remote(_AT_ONCE).future().result()) is not None:
        for parcel in parcels:
            yield table_of(parcel)


def _only_once(steward: Any, name: str) -> None:
    """Raise if Ray does something anew that had something to keep; the run then begins again."""
    import ray

    if not steward.first.remote(name, ray.get_runtime_context().get_node_id()).future().result():
        message = f"the {name} of the run was lost with its node"
        raise RuntimeError(message)


def run_parcels(table: Any, ticket: Ticket) -> Iterator[Any]:
    """Run a segment as a task: the worker process that Ray takes for it keeps the custodian for the next."""
    for parcel in parcels_of(table):
        for made in custodian_of(ticket).run(parcel):
            yield table_of(made)


class Running:
    """Runs a segment as an actor.

    Args:
        ticket: What its custodian has to know.
    """

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def __call__(self, table: Any) -> Iterator[Any]:
        """Yield what the parcels in a table become."""
        yield from run_parcels(table, self._ticket)

    def __del__(self) -> None:
        # Ray Data lets go of an actor that it needs no more, and of the actor's child process with it.
        let_go(self._ticket)


class Collecting:
    """Makes batches of exact size, as one actor.

    Args:
        segment: The segment that wants them.
        steward: Knows what a task takes there.
        in_order: Take parcels in order.
        max_bytes: Size at which a parcel is cut.
        seconds: Work that a parcel aims at.
    """

    def __init__(self, segment: Segment, steward: Any, *, in_order: bool, max_bytes: int, seconds: float) -> None:
        self._collector = Collector(
            batch_size=segment.batch_size, barrier=segment.is_barrier, in_order=in_order, max_bytes=max_bytes
        )
        _only_once(steward, f"collector {segment.index}")
        self._wants = Wants(steward, segment, seconds)

    def __call__(self, table: Any) -> Iterator[Any]:
        """Yield what can go on."""
        for parcel in parcels_of(table):
            for made in self._collector.add(parcel, self._wants.number()):
                yield table_of(made)
