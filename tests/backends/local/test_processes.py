"""What is special about worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import PlanError, StageFailed, WorkerLost
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.testing import Number, numbers, values
from nemo_curator.testing.stages import Add, Repeat

SCRIPT = """
from dataclasses import dataclass
from nemo_curator.pipeline import Pipeline
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, Task

@dataclass(repr=False)
class Word(Task[str]):
    @property
    def num_items(self):
        return 1
    def validate(self):
        return True

class Words(ProcessingStage[EmptyTask, Word]):
    name = "words"
    def process(self, task) -> list[Word]:
        return [Word("w", word) for word in "not if name is main".split()]

class Upper(ProcessingStage[Word, Word]):
    name = "upper"
    def process(self, task):
        assert isinstance(task, Word)
        task.data = task.data.upper()
        return task

# Build your pipeline
pipeline = Pipeline(name="curator_pipeline")
pipeline.add_stage(Words())
pipeline.add_stage(Upper())

executor = LocalExecutor()
results = pipeline.run(executor)

print(f"Completed with {len(results) if results else 0} output tasks")
print(*sorted(task.data for task in results), all(isinstance(task, Word) for task in results))
"""


def test_the_documented_program_runs_as_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert result.stdout == "Completed with 5 output tasks\nIF IS MAIN NAME NOT True\n"
    assert result.stderr == ""


def test_modules_beside_the_script_are_found_by_workers(tmp_path: Path) -> None:
    (tmp_path / "helpers_beside.py").write_text("def shout(text):\n    return text + '!'\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("task.data.upper()", "__import__('helpers_beside').shout(task.data)"))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "if! is! main! name! not!" in result.stdout


class DieOnce(ProcessingStage[Number, Number]):
    """Kills its worker when it meets a number for the first time."""

    name = "die_once"

    def __init__(self, folder: Path, deadly: int, *, always: bool = False) -> None:
        self.folder, self.deadly, self.always = folder, deadly, always

    def process(self, task: Number) -> Number:
        marker = self.folder / "died"
        if task.data == self.deadly and (self.always or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("preserve_order", [True, False])
def test_a_dead_workers_bundle_is_done_again(tmp_path: Path, fuse: bool, preserve_order: bool) -> None:
    executor = LocalExecutor(num_workers=2, fuse=fuse, preserve_order=preserve_order)
    pipeline = Pipeline("p", stages=[Add(0), DieOnce(tmp_path, 13), Add(1)])
    outputs = pipeline.run(executor, initial_tasks=numbers(40))
    assert values(outputs) == list(range(1, 41))
    assert pipeline.last_report is not None
    assert pipeline.last_report.imbalances() == []


def test_a_bundle_that_always_kills_ends_the_run_and_says_where(tmp_path: Path) -> None:
    pipeline = Pipeline("p", stages=[DieOnce(tmp_path, 2, always=True)])
    with pytest.raises(WorkerLost, match=r"'die_once'.* on task 0_2 after 3 attempts: .* signal 9 \(SIGKILL\)"):
        pipeline.run(LocalExecutor(num_workers=1), initial_tasks=numbers(4))


class Environment(ProcessingStage[Number, Number]):
    """Reads a variable."""

    name = "environment"

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def process(self, task: Number) -> Number:
        task._metadata["found"] = os.environ.get(self.variable)
        return task


def test_native_threads_follow_the_stages_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    stages = [Environment("OMP_NUM_THREADS").with_(resources=Resources(cpus=2))]
    outputs = Pipeline("p", stages=stages).run(LocalExecutor(cpus=2), initial_tasks=numbers(1)) or []
    assert outputs[0]._metadata["found"] == "2"


def test_a_runtime_environment_sets_variables_in_its_own_worker() -> None:
    first = Environment("CURATOR_TEST_VARIABLE").with_(runtime_env={"env_vars": {"CURATOR_TEST_VARIABLE": "x"}})
    second = Environment("CURATOR_TEST_VARIABLE").with_(name="without")
    assert "x" in [t._metadata["found"] for t in Pipeline("a", stages=[first]).run(LocalExecutor(), numbers(1)) or []]
    both = Pipeline("b", stages=[first, second]).run(LocalExecutor(num_workers=1), numbers(1)) or []
    assert both[0]._metadata["found"] is None
    assert "CURATOR_TEST_VARIABLE" not in os.environ


@pytest.mark.parametrize("mode", ["processes", "threads", "inline"])
def test_a_runtime_environment_that_cannot_be_had_is_refused(mode: str) -> None:
    stage = Add(1).with_(runtime_env={"pip": ["left-pad"]})
    with pytest.raises(PlanError, match=r"'add'.*runtime_env"):
        Pipeline("p", stages=[stage]).run(LocalExecutor(mode=mode), initial_tasks=numbers(1))


class Arrays(ProcessingStage[Number, Number]):
    """Makes an array of a number, or changes one in place."""

    name = "arrays"

    def process(self, task: Number) -> Number:
        if isinstance(task.data, int):
            task.data = np.full(500_000, task.data, dtype=np.int64)  # type: ignore[assignment]
        else:
            task.data += 1
        return task


def test_arrays_cross_processes_and_can_be_changed() -> None:
    stages = [Arrays(), Arrays(), Arrays()]
    outputs = Pipeline("p", stages=stages).run(LocalExecutor(num_workers=2, fuse=False), initial_tasks=numbers(4)) or []
    assert sorted(int(task.data[0]) for task in outputs) == [2, 3, 4, 5]
    assert all(task.data.shape == (500_000,) for task in outputs)
    outputs[0].data[0] = 7  # the caller may change them too


class Unpicklable(ProcessingStage[Number, Number]):
    """Returns something that cannot leave the process."""

    name = "unpicklable"

    def process(self, task: Number) -> Number:
        if task.data == 1:
            task.data = (n for n in range(3))  # type: ignore[assignment]
        return task


@pytest.mark.parametrize("executor", [{"mode": "processes"}, {"mode": "inline", "strict": True}])
def test_an_output_that_cannot_be_pickled_fails_alone(executor: dict[str, object]) -> None:
    pipeline = Pipeline("p", stages=[Unpicklable()])
    outputs = pipeline.run(LocalExecutor(on_error="quarantine", **executor), initial_tasks=numbers(4))
    assert values(outputs) == [0, 2, 3]
    assert pipeline.last_report is not None
    (failure,) = pipeline.last_report.failures
    assert failure.task_id == "0_1_0"
    assert "its output cannot be pickled" in failure.cause


def test_large_intermediate_results_do_not_pile_up_in_the_driver() -> None:
    pipeline = Pipeline("p", stages=[Repeat(9), Arrays(), Arrays()])
    executor = LocalExecutor(num_workers=2, fuse=False, edge_bytes=10_000_000, bundle_bytes=5_000_000)
    outputs = pipeline.run(executor, initial_tasks=numbers(12), return_outputs=False)
    assert outputs == []
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "completed"


def test_the_stage_that_failed_is_told_with_few_words(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("task.data = task.data.upper()", "raise KeyError('no such word')"))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    line = SCRIPT.splitlines().index("pipeline.add_stage(Upper())") + 1
    assert f"stage 'upper' (added at script.py:{line}) failed on task 0_" in result.stderr
    assert "KeyError: 'no such word', raised at" in result.stderr
    assert "nemo_curator/engine" not in result.stderr
    assert len(result.stderr.splitlines()) < 30


def test_a_stages_error_can_be_caught_by_its_type() -> None:
    class Picky(ProcessingStage[Number, Number]):
        name = "picky"

        def process(self, task: Number) -> Number:
            raise PermissionError(13, "not yours", "file.txt")

    with pytest.raises(PermissionError) as caught:
        Pipeline("p", stages=[Picky()]).run(LocalExecutor(), initial_tasks=numbers(1))
    assert isinstance(caught.value, StageFailed)


class DiesInSetup(Add):
    """Ends its process while it is set up."""

    def setup(self, worker_metadata: object = None) -> None:
        os._exit(7)


def test_a_worker_that_dies_in_setup_ends_the_run() -> None:
    with pytest.raises(
        WorkerLost, match=r"exited with code 7 while it set up stage 'add' of segment 'add' \(attempt 3\)"
    ):
        Pipeline("p", stages=[DiesInSetup()]).run(LocalExecutor(), initial_tasks=numbers(3))


def test_a_worker_that_cannot_start_ends_the_run() -> None:
    stage = Add(1).with_(runtime_env={"env_vars": {"PYTHONHOME": "/nonexistent"}})
    with pytest.raises(WorkerLost, match=r"exited with code 1 before it could take a command"):
        Pipeline("p", stages=[stage]).run(LocalExecutor(), initial_tasks=numbers(3))


@pytest.mark.slow
@pytest.mark.parametrize("barrier", [True, False])
def test_more_large_results_than_the_usual_limit_of_open_files(barrier: bool) -> None:
    script = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048))\n"
        "from nemo_curator.backends.local import LocalExecutor\n"
        "from nemo_curator.pipeline import Pipeline\n"
        "from nemo_curator.testing import numbers\n"
        "from nemo_curator.testing.conformance.outputs import Inflate, Shrink\n"
        "from nemo_curator.stages.base import Topology\n"
        "shrink = Shrink()\n"
        "shrink.topology = Topology.BARRIER\n"
        f"stages = [Inflate(300_000), shrink] if {barrier} else [Inflate(300_000)]\n"
        "outputs = Pipeline('p', stages=stages).run(LocalExecutor(num_workers=2), initial_tasks=numbers([1] * 600))\n"
        "print(len(outputs), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100)
    assert result.stdout == "600 (256, 2048)\n", result.stderr
