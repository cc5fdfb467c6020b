"""What happens when user code fails."""

from __future__ import annotations

import pytest

from nemo_curator.errors import CapacityError, SetupFailed, StageFailed, TransientError, UnpicklableError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.journal import Journal
from nemo_curator.testing.stages import Add, BatchAdd, Journaling, Repeat, Scripted
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("errors")


@CASES
def an_error_ends_the_run_and_says_all(backend: BackendUnderTest) -> None:
    with pytest.raises(StageFailed) as caught:
        backend.run(Add(1), Scripted({3: "raise:KeyError"}), tasks=numbers(5))
    error = caught.value
    assert (error.stage, error.task_id, error.attempts) == ("scripted", "0_2_0", 1)
    assert "KeyError: 'scripted for 3'" in str(error)
    assert "stages.py" in error.frame


@CASES
def an_error_is_caught_by_its_own_type(backend: BackendUnderTest) -> None:
    with pytest.raises(ZeroDivisionError):
        backend.run(Scripted({0: "raise:ZeroDivisionError"}), tasks=numbers(1))


@CASES
def the_original_is_the_cause(backend: BackendUnderTest) -> None:
    with pytest.raises(StageFailed) as caught:
        backend.run(Scripted({0: "raise:LookupError"}), tasks=numbers(1))
    assert isinstance(caught.value.__cause__, LookupError)


@CASES
def a_failed_run_still_reports(backend: BackendUnderTest) -> None:
    pipeline = backend.pipeline(Scripted({0: "raise"}))
    with pytest.raises(StageFailed):
        pipeline.run(backend.make(), initial_tasks=numbers(1))
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "failed"
    assert pipeline.last_report.stage("scripted").tasks_failed == 1


@CASES
def quarantine_keeps_the_others(backend: BackendUnderTest) -> None:
    script = {1: "raise", 4: "raise:TypeError"}
    result = backend.run(Scripted(script), Add(10), tasks=numbers(6), on_error="quarantine")
    assert result.values == [10, 12, 13, 15]
    assert sorted(failure.task_id for failure in result.report.failures) == ["0_1", "0_4"]
    assert result.report.stage("scripted").tasks_failed == 2
    assert result.report.sources_failed == 0  # the source is what this stage would have made


@CASES
def quarantine_finds_the_guilty_in_a_batch(backend: BackendUnderTest) -> None:
    script = {3: "raise", 8: "raise"}
    result = backend.run(Scripted(script, batch_size=5), tasks=numbers(12), on_error="quarantine")
    assert result.values == [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]
    assert sorted(failure.task_id for failure in result.report.failures) == ["0_3", "0_8"]


@CASES
def too_many_failures_end_the_run(backend: BackendUnderTest) -> None:
    script = dict.fromkeys(range(5), "raise")
    with pytest.raises(StageFailed) as caught:
        backend.run(Scripted(script), tasks=numbers(5), on_error="quarantine", max_failures=2)
    assert any("max_failures=2" in note for note in caught.value.__notes__)


@CASES
def failures_spoil_their_source(backend: BackendUnderTest) -> None:
    script = {10: "raise"}
    result = backend.run(Add(0), Repeat(4), Scripted(script), tasks=numbers(4), on_error="quarantine")
    # Source 1 has one child, which failed; source 0 has none; 2 and 3 are complete.
    assert (result.report.sources_completed, result.report.sources_failed) == (3, 1)


@CASES
def returning_failed_task_fails_it(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "fail:not today"}), tasks=numbers(3), on_error="quarantine")
    assert result.values == [0, 2]
    assert result.report.failures[0].cause == "not today"


@CASES
def something_that_is_no_task_fails_it(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "wrong"}), tasks=numbers(3), on_error="quarantine")
    assert result.values == [0, 2]
    assert "it returned int" in result.report.failures[0].cause


@CASES
def something_that_is_no_task_in_a_batch_fails_alone(backend: BackendUnderTest) -> None:
    script = {1: "wrong", 3: "fail"}
    result = backend.run(Scripted(script, batch_size=4), Add(0), tasks=numbers(8), on_error="quarantine")
    assert result.values == [0, 2, 4, 5, 6, 7]
    assert result.report.stage("scripted").tasks_failed == 2
    assert result.report.imbalances() == []


@CASES
def a_task_that_cannot_count_its_items_fails(backend: BackendUnderTest) -> None:
    result = backend.run(Uncountable(), Add(0), tasks=numbers(4), on_error="quarantine")
    assert result.values == [0, 2, 3]
    assert "no items here" in result.report.failures[0].cause
    assert result.report.imbalances() == []


@CASES
def sys_exit_fails_the_task_not_the_worker(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "exit"}), tasks=numbers(3), on_error="quarantine")
    assert result.values == [0, 2]
    assert "SystemExit" in result.report.failures[0].cause


@CASES
def transient_errors_are_tried_again(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "transient:2"}), tasks=numbers(3))
    assert result.values == [0, 1, 2]
    assert result.report.stage("scripted").retries == 2


@CASES
def transient_errors_are_not_tried_for_ever(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "transient:99"}), tasks=numbers(3), on_error="quarantine", transient_attempts=2)
    assert result.values == [0, 2]
    assert result.report.failures[0].attempts == 2


@CASES
def other_errors_are_not_tried_again(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "raise"}), tasks=numbers(3), on_error="quarantine")
    assert result.report.failures[0].attempts == 1


@CASES
def halving_a_batch_does_no_harm_to_the_innocent(backend: BackendUnderTest) -> None:
    result = backend.run(AddsThenRaises(100, guilty=3), tasks=numbers(6), on_error="quarantine")
    assert result.values == [100, 101, 102, 104, 105]


@CASES
def another_attempt_starts_from_what_was(backend: BackendUnderTest) -> None:
    stage = AddsThenRaises(10, guilty=1, transient=True).with_(batch_size=1)
    assert backend.run(stage, tasks=numbers(3)).values == [10, 11, 12]


@CASES
def a_transient_error_in_setup_is_tried_again(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    assert backend.run(SetsUpAtLast(journal), tasks=numbers(2)).values == [0, 1]
    assert journal.count("tried") >= 2


@CASES
def a_failed_setup_ends_the_run(backend: BackendUnderTest) -> None:
    with pytest.raises(SetupFailed, match=r"'journaling'.*failed in setup: RuntimeError: told to fail in setup"):
        backend.run(Journaling(backend.journal(), fail_in="setup"), tasks=numbers(3))


@CASES
def a_failed_node_setup_ends_the_run(backend: BackendUnderTest) -> None:
    with pytest.raises(SetupFailed, match="failed in setup_on_node: RuntimeError: told to fail"):
        backend.run(Journaling(backend.journal(), fail_in="setup_on_node"), tasks=numbers(3))


@CASES
def an_exception_that_cannot_be_pickled_is_reported(backend: BackendUnderTest) -> None:
    result = backend.run(RaisesOddly(), tasks=numbers(2), on_error="quarantine")
    assert [failure.cause for failure in result.report.failures] == ["OddError: 7 of 9", "OddError: 7 of 9"]


@CASES
def a_stage_that_cannot_be_pickled_is_refused(backend: BackendUnderTest) -> None:
    stage = Add(1)
    stage.amount = (n for n in range(3))  # type: ignore[assignment]
    with pytest.raises(UnpicklableError, match=r"'add'.*attribute 'amount' cannot be pickled.*setup"):
        backend.run(stage, tasks=numbers(1))


@CASES
def an_initial_task_that_cannot_travel_is_refused(backend: BackendUnderTest) -> None:
    task = Number("n", (n for n in range(3)))  # type: ignore[arg-type]
    with pytest.raises(UnpicklableError, match=r"initial task.*0_0.*keep to plain data"):
        backend.run(Add(1), tasks=[task])


@CASES
def a_stage_too_large_for_the_machine_is_refused(backend: BackendUnderTest) -> None:
    with pytest.raises(CapacityError, match=r"'add'.*needs 1e\+06 CPUs"):
        backend.run(Add(1).with_(resources=Resources(cpus=1_000_000)), tasks=numbers(1))


@CASES
def input_that_lacks_something_fails(backend: BackendUnderTest) -> None:
    result = backend.run(WantsSize(), tasks=numbers(2), on_error="quarantine")
    assert "cannot take task 0_0: Number has no attribute 'size'" in sorted(f.cause for f in result.report.failures)[0]


@CASES
def input_of_a_batch_is_checked_too(backend: BackendUnderTest) -> None:
    result = backend.run(WantsSizeInBatches(), tasks=numbers(2), on_error="quarantine")
    assert len(result.report.failures) == 2


@CASES
def a_long_traceback_is_cut(backend: BackendUnderTest) -> None:
    result = backend.run(Deep(), tasks=numbers(1), on_error="quarantine")
    failure = result.report.failures[0]
    assert failure.cause.startswith("RecursionError")
    assert len(failure.details.splitlines()) <= 31


@CASES
def batches_after_a_failure_are_complete(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({2: "raise"}), BatchAdd(1, batch_size=3), tasks=numbers(10), on_error="quarantine")
    assert result.values == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert result.report.stage("batch_add").calls == 3


class OddError(Exception):
    """An exception whose constructor wants more than its message."""

    def __init__(self, part: int, whole: int) -> None:
        super().__init__(f"{part} of {whole}")
        self.lock = (n for n in range(1))  # not picklable either


class RaisesOddly(ProcessingStage[Number, Number]):
    """Raises what cannot be pickled."""

    name = "raises_oddly"

    def process(self, task: Number) -> Number:
        """Raise."""
        raise OddError(7, 9)


class WantsSize(ProcessingStage[Number, Number]):
    """Wants an attribute that numbers lack."""

    name = "wants_size"

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the attribute."""
        return ["size"], []

    def process(self, task: Number) -> Number:
        """Never called."""
        return task


class WantsSizeInBatches(WantsSize):
    """The same for a stage that works on batches."""

    batch_size = 2

    def process_batch(self, tasks: list[Number]) -> list[Number]:
        """Never called."""
        return tasks


class Deep(ProcessingStage[Number, Number]):
    """Recurses for ever."""

    name = "deep"

    def process(self, task: Number) -> Number:
        """Call itself."""
        return self.process(task)


class Sphinx(Number):
    """A number that cannot count its items."""

    @property
    def num_items(self) -> int:
        """Raise."""
        message = "no items here"
        raise RuntimeError(message)


class Uncountable(ProcessingStage[Number, Number]):
    """Makes a sphinx of 1, as the second of two children."""

    name = "uncountable"

    def process(self, task: Number) -> list[Number]:
        """Return one child, of 1 two."""
        return [Number("n", 1), Sphinx("n", 1)] if task.data == 1 else [Number("n", task.data)]


class AddsThenRaises(ProcessingStage[Number, Number]):
    """Changes every task of a batch in place, then raises for one of them."""

    name = "adds_then_raises"
    batch_size = 6

    def __init__(self, amount: int, *, guilty: int, transient: bool = False) -> None:
        self.amount, self.guilty, self.transient = amount, guilty, transient
        self.raised = False

    def process(self, task: Number) -> Number:
        """Return what becomes of one task."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[Number]) -> list[Number]:
        """Add to all, and raise if the guilty one is there."""
        was = [task.data for task in tasks]
        for task in tasks:
            task.data += self.amount
            task._metadata["touched"] = task._metadata.get("touched", 0) + 1
            assert task._metadata["touched"] == 1
        if self.guilty in was and not (self.transient and self.raised):
            self.raised = True
            message = "guilty"
            raise (TransientError if self.transient else ValueError)(message)
        return tasks


class SetsUpAtLast(ProcessingStage[Number, Number]):
    """Needs two attempts to be set up."""

    name = "sets_up_at_last"

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.tries = 0

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Raise the first time."""
        self.journal.note("tried")
        self.tries += 1
        if self.tries == 1:
            message = "not yet"
            raise TransientError(message)

    def process(self, task: Number) -> Number:
        """Return the task."""
        return task
