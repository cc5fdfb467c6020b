"""setup_on_node, setup, process, teardown."""

from __future__ import annotations

from nemo_curator.errors import CuratorError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, Journaling, Repeat, Scripted
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("lifecycle")


@CASES
def every_setup_has_a_teardown(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(Journaling(journal), tasks=numbers(20))
    assert journal.count("journaling setup") == journal.count("journaling teardown") > 0


@CASES
def setup_once_per_worker(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(Repeat(5), Journaling(journal), tasks=numbers(200), bundle_seconds=0.0001)
    assert set(journal.by_writer("journaling setup").values()) <= {1}
    assert set(journal.by_writer("journaling process")) <= set(journal.by_writer("journaling setup"))


@CASES
def the_node_is_prepared_once_and_first(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(Repeat(5), Journaling(journal), tasks=numbers(200), bundle_seconds=0.0001)
    assert journal.count("journaling setup_on_node") == 1
    assert journal.lines()[0] == "journaling setup_on_node"


@CASES
def steps_come_in_order(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(Journaling(journal), tasks=[Number("n", 7)])
    assert journal.lines() == [
        "journaling setup_on_node",
        "journaling setup",
        "journaling process 7",
        "journaling teardown",
    ]


@CASES
def fused_stages_are_set_up_one_by_one(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(Journaling(journal, "a"), Journaling(journal, "b"), tasks=numbers(3))
    for name in "ab":
        assert journal.count(name, "setup") == journal.count(name, "teardown") > 0
        assert journal.count(name, "process") == 3


@CASES
def teardown_after_a_failed_task(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    try:
        backend.run(Journaling(journal), Scripted({2: "raise"}), tasks=numbers(5))
    except CuratorError:
        assert journal.count("journaling setup") == journal.count("journaling teardown") > 0
    else:
        message = "the run should have failed"
        raise AssertionError(message)


@CASES
def teardown_after_a_failed_setup(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    try:
        backend.run(Journaling(journal, "first"), Journaling(journal, "second", fail_in="setup"), tasks=numbers(2))
    except CuratorError:
        assert journal.count("first setup") == journal.count("first teardown") > 0
        assert journal.count("second setup") == journal.count("second teardown") > 0
        assert journal.count("first process") == 0
    else:
        message = "the run should have failed"
        raise AssertionError(message)


@CASES
def a_teardown_that_raises_costs_no_output(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    result = backend.run(Journaling(journal, fail_in="teardown"), Journaling(journal, "next"), tasks=numbers(4))
    assert result.values == [0, 1, 2, 3]
    assert journal.count("next teardown") == journal.count("next setup") > 0
    assert any("'journaling': teardown raised RuntimeError" in warning for warning in result.report.warnings)


@CASES
def a_stage_that_gets_no_task_may_stay_cold(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    backend.run(
        Scripted(dict.fromkeys(range(4), "drop")), Add(1), Journaling(journal).with_(batch_size=2), tasks=numbers(4)
    )
    assert journal.count("journaling setup") == journal.count("journaling teardown")


@CASES
def num_workers_is_a_cap(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    stage = Journaling(journal).with_(num_workers=1)
    backend.run(Repeat(5), stage, tasks=numbers(300), bundle_seconds=0.0001)
    assert len(journal.by_writer("journaling process")) == 1
    assert journal.count("journaling setup") == 1


@CASES
def num_workers_per_node_is_a_cap(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    stage = Journaling(journal).with_(num_workers_per_node=1)
    backend.run(Repeat(5), stage, tasks=numbers(300), bundle_seconds=0.0001)
    assert len(journal.by_writer("journaling process")) == 1


@CASES
def workers_know_who_they_are(backend: BackendUnderTest) -> None:
    result = backend.run(WhoAmI(), tasks=numbers(2))
    assert all(task._metadata["worker"] for task in result.outputs)


class WhoAmI(ProcessingStage[Number, Number]):
    """Writes its worker into the metadata."""

    name = "who_am_i"
    worker = ""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Keep the worker's id."""
        self.worker = worker_metadata.worker_id if worker_metadata else ""

    def process(self, task: Number) -> Number:
        """Note it."""
        task._metadata["worker"] = self.worker
        return task


@CASES
def runs_that_keep_workers_keep_nothing_else(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    executor = backend.make()
    with executor.keeping_workers():
        for name, amount in (("first", 1), ("second", 2)):
            outputs = backend.pipeline(Add(amount), Journaling(journal, name)).run(executor, numbers(5)) or []
            assert sorted(task.data for task in outputs) == [number + amount for number in range(5)]
            # Whoever is kept for the next run has torn down what this one had set up.
            assert journal.count(name, "setup") == journal.count(name, "teardown") > 0
            assert journal.count(name, "process") == 5
            assert journal.count(name, "setup_on_node") == 1
