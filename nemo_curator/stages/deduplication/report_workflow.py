"""`DeduplicationReportWorkflow`: writes down, for people, what a deduplication has found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder
from nemo_curator.stages.deduplication.report import (
    Chart,
    Findings,
    Survey,
    SurveyStage,
    SurveyTask,
    largest_groups,
    sizes_of_groups,
)
from nemo_curator.stages.deduplication.report_html import page
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps, reader_stage
from nemo_curator.utils.file_listing import METADATA_DIRNAME

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DeduplicationReportWorkflow", "Reported"]


class Reported(Protocol):
    """A workflow that a report can be about."""

    @property
    def input(self) -> DedupInput:
        """The documents."""
        ...

    @property
    def sampled_field(self) -> str | None:
        """The column that a person can read; `None` for none."""
        ...

    def kept_instead(self) -> pa.Table:
        """Return what goes, ``id``, and what stays in its place, ``kept``."""
        ...

    def charts(self) -> list[Chart]:
        """Return what else there is to show."""
        ...


class DeduplicationReportWorkflow(WorkflowBase):
    """Read the documents again, and write ``report.html`` and ``report.json``.

    They show groups by size, the largest groups with samples, and the share that goes of every source.

    The page needs nothing but itself: plots are in it, nothing is loaded, no script runs, and what comes from the data is escaped.

    Args:
        workflow: What has found the duplicates: `ExactDeduplicationWorkflow`, `FuzzyDeduplicationWorkflow`, `SemanticDeduplicationWorkflow` or
            `TextSemanticDeduplicationWorkflow`, built as it was when it ran. It need not be the same object.
        output_path: Folder for the report.
        source_field: Column that says where a document comes from.
        text_field: Column that samples are made of; the workflow's text when not given.
        title: Of the page.
        largest_groups: How many groups are shown.
        samples_per_group: How many members of each that go are shown, beside the one that stays.
        sample_characters: How much of a text is shown.
        storage_options: For the filesystem of the output.

    Raises:
        OptionError: A number that is not possible.
    """

    def __init__(
        self,
        workflow: Reported,
        output_path: str,
        source_field: str | None = None,
        text_field: str | None = None,
        title: str = "Deduplication",
        largest_groups: int = 20,
        samples_per_group: int = 3,
        sample_characters: int = 300,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        for name, value in (
            ("largest_groups", largest_groups),
            ("samples_per_group", samples_per_group),
            ("sample_characters", sample_characters),
        ):
            if value < 0:
                message = f"{name} must not be negative, got {value}"
                raise OptionError(message)
        self.workflow = workflow
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        workflow.input.check_apart(output_path)
        self.source_field = source_field
        self.text_field = text_field
        self.title = title
        self.largest_groups = largest_groups
        self.samples_per_group = samples_per_group
        self.sample_characters = sample_characters

    def run(self, executor: BaseExecutor | None = None) -> WorkflowRunResult:
        """Write the report.

        Args:
            executor: Where to read the documents; as for `Pipeline.run` when not given.

        Returns:
            The metadata ``report``, what ``report.json`` has, ``report_path`` and ``total_time``.

        Raises:
            InputError: The workflow has not come to its end.
            CuratorError: The run could not start, or ended early.
        """
        with Steps("deduplication_report", executor, None) as steps:
            found = self.workflow.kept_instead()
            largest = largest_groups(found, self.largest_groups, self.samples_per_group)
            wanted = [at for group in largest for at in (group.kept, *group.members)]
            findings = Findings(
                self.title,
                self._survey(steps, found, wanted),
                found.num_rows,
                sizes_of_groups(found),
                largest,
                self.workflow.charts(),
            )
            said = findings.to_dict()
            self.folder.put("report.json", (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode())
            self.folder.put("report.html", page(findings).encode())
            return steps.done(report=said, report_path=f"{self.folder.path}/report.html")

    def _survey(self, steps: Steps, found: pa.Table, wanted: list[Any]) -> Survey:
        documents = self.workflow.input
        text = self.text_field or self.workflow.sampled_field
        numbered = documents.id_field is None
        fields = [text, self.source_field, documents.id_field]
        reader = reader_stage(
            documents.filetype,
            list(dict.fromkeys(name for name in fields if name is not None)),
            documents.read_kwargs,
            generate=numbered,
        )
        notes = PartFolder.at(self.folder.path, METADATA_DIRNAME, storage_options=self.folder.storage_options)
        SurveyStage.keep(notes, found)
        stage = SurveyStage(
            notes,
            wanted,
            documents.id_field or CURATOR_DEDUP_ID_STR,
            text,
            self.source_field,
            self.sample_characters,
        )
        groups = documents.groups(steps, None)
        tasks = steps.run("survey", documents.source(groups), reader, stage, of=None, timed="survey_time", whole=True)
        notes.remove()
        total = Survey()
        for task in tasks:
            assert isinstance(task, SurveyTask)
            total.add(task.data)
        return total.checked(self.source_field)
