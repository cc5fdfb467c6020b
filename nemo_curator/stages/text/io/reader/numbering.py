"""Ids for documents before they are read: the rows of every group of files are counted, then the groups are numbered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.deduplication.id_generator import IdGeneratorBase, IdsOfActor, names_of_group
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.reader.base import BaseReader

__all__ = ["CountRowsStage", "NumberGroupsStage"]


class CountRowsStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Count the rows of every group of files: of Parquet from the footers, of JSON Lines by their lines.

    Args:
        reader: The stage that will read them.
        name: Name of the stage.
    """

    def __init__(self, reader: BaseReader, name: str = "count_rows") -> None:
        self.reader = reader
        self.name = name

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Look whether the reader can read."""
        self.reader.check_before_run()

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Return the group with the number of its rows."""
        return _with_config(task, num_rows=self.reader.count_rows(task))


class NumberGroupsStage(ProcessingStage[FileGroupTask, FileGroupTask]):
    """Give every group the id of its first row, counted through all groups in the order of their paths.

    It waits for the counts of all groups. What it makes are the sources of a run that can be resumed: a group is another one when
    its first id has changed, because a file before it has grown.

    Args:
        id_generator_path: Where to note the ids, for reading the same files with the same ids later; `None` for nowhere.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.
        ask_actor: Let the actor of `create_id_generator_actor` give the ids out, if the cluster has it; it goes on behind those that it
            has given out before.
    """

    topology = Topology.BARRIER
    is_source_stage = True
    resources = Resources(cpus=0.5)

    def __init__(
        self,
        id_generator_path: str | None = None,
        storage_options: dict[str, Any] | None = None,
        name: str = "number_groups",
        ask_actor: bool = False,
    ) -> None:
        path = id_generator_path
        self.id_generator_path = path if path is None or is_remote_url(path) else local_path(path)
        self.storage_options = storage_options
        self.name = name
        self._actor = IdsOfActor() if ask_actor else None

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Number a single group."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        """Return all groups, in the order in which they came, with their first ids."""
        order = sorted(range(len(tasks)), key=lambda at: (list(map(str, tasks[at].data)), tasks[at].byte_range or ()))
        groups = [(names_of_group(tasks[at]), rows_counted(tasks[at], self.name)) for at in order]
        generator = IdGeneratorBase()
        given = None if self._actor is None else self._actor.register(groups)
        first = dict(zip(order, generator.register_batches(groups) if given is None else given, strict=True))
        if self.id_generator_path is not None:
            if not is_remote_url(self.id_generator_path):
                os.makedirs(os.path.dirname(self.id_generator_path), exist_ok=True)
            generator.to_disk(self.id_generator_path, self.storage_options)
        numbered = [_with_config(task, first_id=first[at]) for at, task in enumerate(tasks)]
        return [task.reached_with(self.storage_options) for task in numbered]


def rows_counted(task: FileGroupTask, stage: str) -> int:
    """Return the number of rows that `CountRowsStage` found."""
    rows = task.reader_config.get("num_rows")
    if type(rows) is not int:
        message = f"stage {stage!r}: the rows of task {task.task_id or task.dataset_name} were not counted; put CountRowsStage before it"
        raise DataError(message)
    return rows


def _with_config(task: FileGroupTask, **config: int) -> FileGroupTask:
    return FileGroupTask(task.dataset_name, list(task.data), reader_config={**task.reader_config, **config})
