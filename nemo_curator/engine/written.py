"""`Written`: the files that a run has written, and their commit when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.sources import MARK_BYTES
from nemo_curator.utils.output_manifest import RunOutput, WrittenFile

__all__ = ["FileNote", "MarkedFile", "PastFiles", "Progress", "Written"]

MarkedFile = tuple[WrittenFile, frozenset[bytes]]
"""A file, and the marks of the sources that it has something of."""


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file, who wrote it, and what is in it.

    Attributes:
        stage: Name of the stage.
        file: The file.
        sources: Names of the sources that it has something of; none if it was written before there were sources.
    """

    stage: str
    file: WrittenFile
    sources: tuple[str, ...]


@dataclass(slots=True)
class PastFiles:
    """What runs that this one goes on with have written, by stage.

    Attributes:
        whole: Files of sources that are finished, with the marks of these; the run will not write them.
        loose: Paths of files of sources that are not. Most will be written again, under the same names.
    """

    whole: dict[str, dict[str, MarkedFile]] = field(default_factory=dict[str, dict[str, MarkedFile]])
    loose: dict[str, set[str]] = field(default_factory=dict[str, set[str]])


class Progress(Protocol):
    """Where a run notes how far it has come, for a later one to go on."""

    @property
    def files(self) -> PastFiles:
        """What earlier runs have written."""
        ...

    def note(self, written: Iterable[FileNote], finished: Iterable[str]) -> None:
        """Note files that were written, and then sources that are finished with them."""
        ...

    def forget(self) -> None:
        """Take back what this run has noted, as it begins again."""
        ...


class Written:
    """The driver's list of files.

    Args:
        plan: What runs.
        past: What the run goes on with.
    """

    def __init__(self, plan: ExecutionPlan, past: PastFiles | None = None) -> None:
        past = past or PastFiles()
        self._plan = plan
        self._past = past.whole
        self._loose = {stage: set(paths) for stage, paths in past.loose.items()}
        self._now: dict[str, dict[str, WrittenFile]] = {}
        self._left_out: set[bytes] = set()
        self._shares = False

    @property
    def shares_files(self) -> bool:
        """Whether a file of this run holds something of several sources."""
        return self._shares

    def add(self, receipt: Receipt) -> FileNote:
        """Enter a file; one of the same path takes its place."""
        assert receipt.written is not None
        self._shares |= len(receipt.claims) > 1
        self._now.setdefault(receipt.stage, {})[receipt.written.path] = receipt.written
        return FileNote(receipt.stage, receipt.written, tuple(source for source, _ in receipt.claims))

    def left_out(self, marks: bytes) -> None:
        """Note sources that are there, and finished."""
        self._left_out.update(marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES))

    def begin_again(self) -> None:
        """Forget what was written: it will be again, but perhaps in files of other names."""
        for stage, files in self._now.items():
            self._loose.setdefault(stage, set()).update(files)
        self._now = {}

    def commit(self, *, is_part: bool) -> None:
        """Let every stage commit what it has written. May raise what they raise."""
        files: dict[str, dict[str, WrittenFile]] = {}
        earlier: dict[str, list[WrittenFile]] = {}
        for stage, past in self._past.items():
            for path, (file, marks) in past.items():
                if marks.isdisjoint(self._left_out):
                    earlier.setdefault(stage, []).append(file)
                else:
                    files.setdefault(stage, {})[path] = file
        for stage, now in self._now.items():
            files.setdefault(stage, {}).update(now)
        everything = frozenset(path for own in files.values() for path in own)
        shard = next((planned.sources.shard for planned in self._plan.stages if planned.sources is not None), None)
        for planned in self._plan.stages:
            stage = planned.name
            output = RunOutput(
                pipeline=self._plan.name,
                files=tuple(files.get(stage, {}).values()),
                all_paths=everything,
                earlier=tuple(file for file in earlier.get(stage, ()) if file.path not in everything),
                # Other shards may be at work with the same checkpoint: what is loose may be theirs.
                stale=() if shard is not None else tuple(sorted(self._loose.get(stage, set()) - everything)),
                is_part=is_part,
                shard=shard,
            )
            planned.stage.commit_output(output)
