"""`ClusterExecutor`: what the executors on Ray have in common."""

from __future__ import annotations

import logging
import os
import sys
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.cluster.connection import connected
from nemo_curator.backends.utils import register_loguru_serializer
from nemo_curator.engine.options import Options, RunOptions
from nemo_curator.engine.session import Session
from nemo_curator.errors import EngineLost
from nemo_curator.utils.ray_connection import cluster_address

__all__ = ["ClusterExecutor", "ClusterOptions", "module_folders"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions(Options):
    """What every backend on Ray is told.

    Attributes:
        address: Where the cluster is, ``host:port``. `None`: the one that this process is connected to, or `RAY_ADDRESS`, or one that is
            started on this machine for the run.
        num_workers: Workers that may be busy at a time, or on an engine with workers of its own for every segment: for each. `None`: as
            many as there are CPUs for.
        runtime_env: Ray's runtime environment for all workers; stages' own come on top.
    """

    address: str | None = None
    num_workers: int | None = None
    runtime_env: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.num_workers is not None:
            self._require_positive("num_workers")


class ClusterExecutor(BaseExecutor):
    """Runs pipelines on a Ray cluster. A backend implements `_attempt`; if its engine is lost on the way, the run begins again.

    Args:
        config: Options by name.
        ignore_head_node: Keep work off the head node.
        options: The same options as keywords.
    """

    restarts = True
    # To hand a bundle on takes an engine 15 to 50 ms (ADR 0001), of which a tenth of a second of work would be a fifth to a half.
    defaults: ClassVar[Mapping[str, Any]] = {"bundle_seconds": 0.5}
    options_class: ClassVar[type[ClusterOptions]] = ClusterOptions
    needs_dashboard: ClassVar[bool] = False
    """The engine needs Ray's dashboard and state API."""

    def __init__(self, config: Mapping[str, Any] | None = None, ignore_head_node: bool = False, **options: Any) -> None:
        self.cluster = self.options_class()
        super().__init__({**(config or {}), **options}, ignore_head_node)

    def _read_options(self, given: Mapping[str, Any]) -> None:
        self.cluster = self.options_class.parse(given, where=type(self).__name__, others=RunOptions.names())

    @property
    def cluster_address(self) -> str | None:
        """Address of the cluster: that of the options, or the one that this process is connected to, or that of `RAY_ADDRESS`."""
        return self.cluster.address or cluster_address()

    @contextmanager
    def keeping_workers(self) -> Generator[None]:
        """Keep the connection of a run for the next one, in a ``with`` block, and the cluster if it is started for runs.

        To Ray a connection is a job, and a job's processes are its own: a run that connects has them started, and their modules imported,
        anew.

        Raises:
            ClusterError: There is no cluster at the address that was named, or it is one that this process cannot join.
        """
        with self._connected():
            yield

    def _connected(self) -> AbstractContextManager[Any]:
        """Give the module `ray`, connected to the cluster of this executor."""
        return connected(self.cluster.address, dashboard=self.needs_dashboard)

    def _run(self, session: Session) -> Iterator[None]:
        register_loguru_serializer()
        losses = 0
        while True:
            try:
                yield from self._attempt(session)
            except EngineLost as error:
                losses += 1
                if losses >= session.options.crash_attempts:
                    raise
                _log.warning("%s; the run begins again with what is left of the cluster", error)
                session.begin_again(f"{error}; the run began again")
            else:
                return

    @abstractmethod
    def _attempt(self, session: Session) -> Iterator[None]:
        """Bring every task of a session to its end; yield when outputs may wait.

        Raises:
            EngineLost: A part of the cluster is gone, with tasks that nobody else has.
        """


def module_folders() -> tuple[str, ...]:
    """Return the folders where this process finds modules: workers look there too, where a node has them."""
    return tuple(os.path.abspath(folder) for folder in sys.path if not folder.endswith(".zip"))
