"""Finished work stays finished: checkpoints and shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.journal import Journal
from nemo_curator.testing.stages import Add, BatchAdd, Count, GroupSum, Repeat
from nemo_curator.testing.tasks import Number, numbers
from nemo_curator.utils.output_manifest import OutputFolder, RunOutput, WrittenFile, check_output

CASES = Cases("resume")


class FailsAsLongAs(ProcessingStage[Number, Number]):
    """Raises for one number as long as a file is there, and notes what it is called with."""

    name = "fails_as_long_as"

    def __init__(self, file: Path, value: int, journal: Journal) -> None:
        self.file, self.value, self.journal = file, value, journal

    def process(self, task: Number) -> Number:
        """Return the task."""
        self.journal.note("got", task.data)
        if task.data == self.value and self.file.exists():
            message = "not yet"
            raise ValueError(message)
        return task


class Writes(ProcessingStage[Number, Number]):
    """Writes every number into a file of its own, and commits as writers do."""

    name = "writes"

    def __init__(self, path: Path) -> None:
        self.folder = OutputFolder(str(path))

    def process(self, task: Number) -> Number:
        """Return the task, whose number is in a file then."""
        name = f"{task.task_id}.txt"
        with self.folder.writing(name) as handle:
            handle.write(str(task.data).encode())
        self.record_written(WrittenFile(self.folder.url(name), 1, handle.nbytes, handle.sha256))
        return task

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest down."""
        self.folder.commit(output, replaces=[".txt"])


@CASES
def what_is_finished_is_left_out(backend: BackendUnderTest) -> None:
    flag, journal = backend.folder / "flag", backend.journal()
    folder = OutputFolder(str(backend.folder / "out"))
    stages = [Add(0), FailsAsLongAs(flag, 3, journal), BatchAdd(1, 2), Repeat(4), Writes(Path(folder.path))]
    whole = backend.run(*stages, tasks=numbers(8))
    (written,) = folder.manifests().values()
    assert len(written) == len(whole.ids)
    (backend.folder / "out" / "old.txt").touch()
    flag.touch()
    again: dict[str, Any] = {"checkpoint_path": str(backend.folder / "checkpoint"), "on_error": "quarantine"}
    first = backend.run(*stages, tasks=numbers(8), **again)
    assert (first.report.sources_completed, first.report.sources_failed, first.report.sources_left_out) == (7, 1, 0)
    # What had failed then was there from the run before, which these do not go on with; nor was there any `old.txt`.
    assert set(folder.names()) < set(written)
    assert len(folder.names()) == len(first.ids)
    flag.unlink()
    before = journal.count("got")
    second = backend.run(*stages, tasks=numbers(8), **again)
    assert second.report.sources_left_out == 7
    assert journal.count("got") == before + 1
    assert sorted([*first.ids, *second.ids]) == whole.ids
    third = backend.run(*stages, tasks=numbers(8), **again)
    assert (third.outputs, third.report.sources_left_out) == ([], 8)
    assert folder.manifests() == {"manifest.json": written}
    assert (folder.names(), check_output(folder.path)) == (sorted(written), [])


@CASES
def what_has_changed_is_done_again(backend: BackendUnderTest) -> None:
    path = str(backend.folder / "checkpoint")
    backend.run(Add(0), Add(1), tasks=numbers(5), checkpoint_path=path)
    more = backend.run(Add(0), Add(1), tasks=numbers([*range(5), 7, 8]), checkpoint_path=path)
    assert more.values == [8, 9]
    other = backend.run(Add(0), Add(2), tasks=numbers(5), checkpoint_path=path)
    assert other.values == [2, 3, 4, 5, 6]


@CASES
def a_group_finishes_all_its_sources(backend: BackendUnderTest) -> None:
    path = str(backend.folder / "checkpoint")
    stages = [Count(7), GroupSum(3), Add(1)]
    first = backend.run(*stages, checkpoint_path=path)
    assert first.report.sources_completed == 7
    assert backend.run(*stages, checkpoint_path=path).report.sources_left_out == 7


@CASES
def shards_are_the_whole(backend: BackendUnderTest) -> None:
    path = str(backend.folder / "checkpoint")
    stages = [Count(12), Repeat(4)]
    whole = backend.run(*stages)
    parts = [backend.run(*stages, checkpoint_path=path, shard=(index, 2)) for index in range(2)]
    assert sorted(identity for part in parts for identity in part.ids) == whole.ids
    assert sum(part.report.sources_left_out for part in parts) == 12
    assert backend.run(*stages, checkpoint_path=path).outputs == []
