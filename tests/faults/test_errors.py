"""Errors of every shape, inputs and outputs that fail, and what worker processes must not do to the driver."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from test_crashes import _run

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.errors import CapacityError, DataError, TransientError, UnpicklableError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.retries import Retries
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.testing import Journal, Number, numbers
from nemo_curator.testing.faults import Deadly, LazyDeadly
from nemo_curator.testing.stages import Add, Count, Scripted

MODES = ["processes", "threads", "inline"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wants_more", "code 7"),
        ("speechless", "its message cannot be made"),
        ("locked", "holds a lock"),
        ("recursion", "RecursionError"),
        ("memory_error", "MemoryError"),
    ],
)
def test_errors_of_every_shape_cost_their_task(mode: str, batch_size: int | None, how: str, words: str) -> None:
    values, report = _run(Add(0), Deadly({3: how}, batch_size), Add(1), count=8, mode=mode, max_attempts=2)
    assert sorted(values) == [n + 1 for n in range(8) if n != 3]
    (failure,) = report.failures
    assert (failure.stage, failure.task_id) == ("deadly", "0_3_0")
    assert words in failure.cause
    assert len(failure.details.splitlines()) <= 31


def test_an_output_that_cannot_be_pickled_is_given_up(tmp_path: Path) -> None:
    values, report = _run(Deadly({3: "unpicklable"}), count=6, quarantine_path=str(tmp_path))
    assert sorted(values) == [0, 1, 2, 4, 5]
    assert "its output cannot be pickled" in report.failures[0].cause
    (entry,) = Quarantine(str(tmp_path)).entries()
    assert (entry.id, entry.has_payload) == ("0_3_0", False)
    assert "what it was made of is gone" in entry.note


def test_what_a_group_marked_as_failed_is_told(tmp_path: Path) -> None:
    class Half(Deadly):
        name = "half"

        def process_batch(self, tasks: list[Number]) -> list[Any]:
            from nemo_curator.tasks import FailedTask

            return [tasks[0], FailedTask(reason="the others")]

    values, _ = _run(Half({}, 3), count=3, quarantine_path=str(tmp_path))
    assert len(values) == 1
    (entry,) = Quarantine(str(tmp_path)).entries()
    assert not entry.has_payload
    assert "made of a group of tasks" in entry.note


def test_an_output_that_cannot_be_read_back_is_told() -> None:
    with pytest.raises(UnpicklableError, match=r"segment 'add' could be pickled, but not read back: ValueError"):
        _run(Deadly({3: "unreadable"}), Add(0), count=6, fuse=False)


def test_a_large_output_arrives() -> None:
    values, _ = _run(Deadly({3: "large:300"}), Add(0), count=6, fuse=False, return_outputs=False)
    assert values == []


def test_a_flood_of_words_drowns_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    values, _ = _run(Deadly({1: "flood"}), count=3)
    assert sorted(values) == [0, 1, 2]
    assert len(capfd.readouterr().out) == 20 * 1024**2


def test_an_interrupt_that_user_code_raises_ends_the_worker_and_costs_its_task() -> None:
    values, report = _run(Deadly({3: "interrupt"}), count=6)
    assert sorted(values) == [0, 1, 2, 4, 5]
    assert report.failures[0].task_id == "0_3"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", [{2: "wrong"}, {2: "exit"}, {2: "raise:BrokenPipeError"}, {2: "fail:on purpose"}])
def test_what_a_stage_may_do_wrong(mode: str, script: dict[int, str], tmp_path: Path) -> None:
    values, report = _run(Scripted(script), Add(0), count=5, mode=mode, quarantine_path=str(tmp_path))
    assert sorted(values) == [0, 1, 3, 4]
    assert [failure.task_id for failure in report.failures] == ["0_2"]
    assert [entry.id for entry in Quarantine(str(tmp_path)).entries()] == ["0_2"]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_object_twice_is_two_tasks(mode: str) -> None:
    values, _ = _run(Scripted({2: "twice"}), Add(1), count=4, mode=mode)
    assert sorted(values) == [1, 2, 3, 3, 4]


@pytest.mark.parametrize("stages", [(Count(0), Add(0)), (Count(5), Scripted(dict.fromkeys(range(5), "drop")), Add(0))])
def test_an_empty_stream_is_a_result(stages: tuple[ProcessingStage[Any, Any], ...]) -> None:
    values, report = _run(*stages, count=0)
    assert values == []
    assert report.status == "completed"


@pytest.mark.parametrize("mode", MODES)
def test_a_storm_of_retries_is_bounded(mode: str) -> None:
    script = dict.fromkeys(range(300), "raise:OSError")
    options = {"max_attempts": 5, "retry_backoff_s": 0.0, "retry_reserve": 20, "retry_share": 0.1}
    _, report = _run(Scripted(script), count=300, mode=mode, num_workers=1, **options)
    assert len(report.failures) == 300
    assert 15 <= report.stage("scripted").retries <= 20
    assert max(failure.attempts for failure in report.failures) == 5


@pytest.mark.parametrize("mode", MODES)
def test_a_stage_says_itself_what_is_worth_another_attempt(mode: str) -> None:
    retries = Retries(attempts=3, backoff_s=0.0, retry_on=(OSError,), never_on=(PermissionError,))
    script = {1: "raise:ConnectionError", 2: "raise:ValueError", 3: "raise:PermissionError", 4: "transient:2"}
    values, report = _run(Scripted(script).with_(retries=retries), count=6, mode=mode)
    assert sorted(values) == [0, 4, 5]
    attempts = {failure.task_id: failure.attempts for failure in report.failures}
    assert attempts == {"0_1": 3, "0_2": 1, "0_3": 1}


def test_a_setup_that_asks_for_another_attempt_gets_it(tmp_path: Path) -> None:
    class Hesitant(Add):
        name = "hesitant"

        def __init__(self, journal: Journal) -> None:
            super().__init__(0)
            self.journal = journal

        def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
            self.journal.note("setup")
            if self.journal.count("setup") < 2:
                message = "not yet"
                raise TransientError(message)

    journal = Journal(tmp_path / "journal")
    values, _ = _run(Hesitant(journal), count=3, num_workers=1, retry_backoff_s=0.0)
    assert len(values) == 3
    assert journal.count("setup") == 2


def test_a_stage_that_closes_what_it_does_not_own_costs_itself() -> None:
    class Closer(Add):
        name = "closer"

        def process(self, task: Number) -> Number:
            import os

            if task.data == 3:
                os.closerange(3, 256)
            return task

    values, report = _run(Closer(0), count=6)
    assert sorted(values) == [0, 1, 2, 4, 5]
    assert [failure.task_id for failure in report.failures] == ["0_3"]


def test_a_stage_that_moves_to_another_folder_moves_nobody_else(tmp_path: Path) -> None:
    class Mover(Add):
        name = "mover"

        def process(self, task: Number) -> Number:
            import os

            os.chdir(self.target)  # type: ignore[attr-defined]
            os.environ["MOVED"] = "yes"
            return task

    import os

    before, folder = dict(os.environ), os.getcwd()
    mover = Mover(0)
    mover.target = str(tmp_path)  # type: ignore[attr-defined]
    values, _ = _run(mover, count=4)
    assert len(values) == 4
    assert (dict(os.environ), os.getcwd()) == (before, folder)


def _corpus(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        rows = [json.dumps({"text": f"{number} {row} " + "x" * 200}) for row in range(20)]
        (folder / f"{number}.jsonl").write_text("\n".join(rows) + "\n")
    return folder


class Disappear(ProcessingStage[Any, Any]):
    """Deletes a file that was listed."""

    name = "disappear"

    def __init__(self, file: str) -> None:
        self.file = file

    def process(self, task: Any) -> Any:
        Path(self.file).unlink(missing_ok=True)
        return task


def test_a_file_that_is_gone_when_it_is_read_costs_itself(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "in", 4)
    reader = JsonlReader(str(corpus)).decompose()
    pipeline = Pipeline("p", stages=[reader[0], Disappear(str(corpus / "2.jsonl")), *reader[1:]])
    outputs = pipeline.run(LocalExecutor(num_workers=1, on_error="quarantine")) or []
    assert len(outputs) == 3
    assert pipeline.last_report is not None
    assert "2.jsonl" in pipeline.last_report.failures[0].cause


class SmallDisk(ProcessingStage[Any, Any]):
    """Lets this worker write no more than so many bytes to a file, as a full disk would."""

    name = "small_disk"

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.nbytes, self.nbytes))

    def process(self, task: Any) -> Any:
        return task


def test_a_full_disk_costs_what_does_not_fit_and_leaves_no_part(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "in", 3)
    (corpus / "1.jsonl").write_text(json.dumps({"text": "y" * 200_000}) + "\n")
    pipeline = Pipeline("p")
    pipeline.add_stage(JsonlReader(str(corpus))).add_stage(SmallDisk(50_000))
    pipeline.add_stage(JsonlWriter(str(tmp_path / "out")))
    pipeline.run(LocalExecutor(num_workers=1, on_error="quarantine"))
    assert pipeline.last_report is not None
    (failure,) = pipeline.last_report.failures
    assert failure.stage == "jsonl_writer"
    assert "File too large" in failure.cause
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len(files) == 2
    assert all(len(path.read_text().splitlines()) == 20 for path in files)


def test_a_quarantine_that_cannot_be_written_still_leaves_the_report(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("in the way")
    values, report = _run(Scripted({2: "raise"}), count=4, quarantine_path=str(tmp_path / "q"))
    assert sorted(values) == [0, 1, 3]
    assert "could not be kept in quarantine" in report.failures[0].cause


@pytest.mark.parametrize("mode", MODES)
def test_an_iterator_that_raises_keeps_what_it_had_made(mode: str, tmp_path: Path) -> None:
    values, report = _run(LazyDeadly({13: "raise"}, 5), count=4, mode=mode, quarantine_path=str(tmp_path))
    assert sorted(values) == [*range(13), *range(15, 20)]
    assert [failure.task_id for failure in report.failures] == ["0_2"]
    assert Quarantine(str(tmp_path)).entries()[0].slots == (3, None)


def test_data_that_is_not_what_it_should_be_is_never_tried_again() -> None:
    class Strict(Add):
        name = "strict"

        def process(self, task: Number) -> Number:
            if task.data == 1:
                message = "not a number of mine"
                raise DataError(message)
            return task

    _, report = _run(Strict(0), count=3, max_attempts=5)
    assert report.failures[0].attempts == 1


class Devices(Add):
    """Notes which GPUs its worker sees."""

    name = "devices"

    def __init__(self, journal: Journal) -> None:
        super().__init__(0)
        self.journal = journal

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        import os

        assert worker_metadata is not None
        self.journal.note(self.name, os.environ.get("CUDA_VISIBLE_DEVICES"), worker_metadata.allocation)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (1.0, {"devices a ['a']", "devices b ['b']"}),
        (2.0, {"devices a,b ['a', 'b']"}),
        (0.5, {"devices a ['a']"}),
    ],
)
def test_workers_get_devices_of_their_own(gpus: float, expected: set[str], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    stage = Devices(journal).with_(resources=Resources(cpus=1, gpus=gpus))
    plain = Devices(journal).with_(name="plain")
    values, _ = _run(plain, stage, count=12, gpus=("a", "b"), bundle_seconds=1e-6)
    assert len(values) == 12
    seen = set(journal.lines())
    assert {line for line in seen if line.startswith("devices")} <= expected
    assert {line for line in seen if line.startswith("plain")} == {"plain  None"}


def test_shapes_that_need_the_same_device_take_turns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    stages = [
        Devices(journal).with_(name=f"stage{cpus}", resources=Resources(cpus=cpus, gpus=1.0)) for cpus in (1, 2, 1)
    ]
    values, _ = _run(*stages, count=30, gpus=("only",))
    assert len(values) == 30
    assert {line.split()[1] for line in journal.lines()} == {"only"}


def test_more_gpus_than_there_are_are_refused() -> None:
    with pytest.raises(CapacityError, match="needs 1 GPUs, but this run has 0"):
        _run(Add(0).with_(resources=Resources(gpus=1)), gpus=())
    with pytest.raises(CapacityError, match=r"asks for 1\.5 GPUs; a part of one"):
        _run(Add(0).with_(resources=Resources(gpus=1.5)), gpus=("0", "1"))


def test_two_runs_at_once_both_finish() -> None:
    import threading

    found: list[int] = []

    def one() -> None:
        pipeline = Pipeline("beside", stages=[Add(1), Deadly({7: "exit"}), Add(1)])
        outputs = pipeline.run(LocalExecutor(num_workers=1, on_error="quarantine"), initial_tasks=numbers(20))
        found.append(len(outputs or []))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [19, 19]
