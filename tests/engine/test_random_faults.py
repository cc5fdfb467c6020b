"""Random pipelines with random faults: outputs, drops and quarantine are those of a plain loop."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from engine_strategies import pipelines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.retries import Retries
from nemo_curator.testing import Number, numbers
from nemo_curator.testing.faults import die
from nemo_curator.testing.stages import Modelled

SOFT = ["ValueError", "DataError", "transient", "late", "drop", "fail"]
DEADLY = ["exit", "kill", "segv"]


class Faulty(Modelled):
    """Passes numbers on, but for those of a remainder, to each of which it does what chance has chosen for it."""

    name = "faulty"
    timeout_s = 30.0
    retries = Retries(attempts=2, backoff_s=0.0)

    def __init__(self, rest: int, divisor: int, how: str, batch_size: int | None) -> None:
        self.rest, self.divisor, self.how = rest, divisor, how
        self.batch_size = batch_size or 1
        self.works_on_batches = batch_size is not None
        self._tried: Counter[int] = Counter()

    def supports_batch_processing(self) -> bool:
        return self.works_on_batches

    def hits(self, value: int) -> bool:
        """Say whether a number is one of the chosen."""
        return value % self.divisor == self.rest

    def model(self, value: int) -> list[int | None]:
        """Return the number, or nothing if it fails or is dropped for good."""
        return [value + 1 if not self.hits(value) or self.how == "transient" else None]

    def process(self, task: Number) -> Any:
        from nemo_curator.errors import TransientError
        from nemo_curator.tasks import FailedTask

        value = task.data
        task.data += 1
        if not self.hits(value):
            return task
        match self.how:
            case "transient":
                self._tried[value] += 1
                if self._tried[value] == 1:
                    raise TransientError(value)
                return task
            case "drop":
                return None
            case "fail":
                return FailedTask(reason="chosen")
            case "ValueError":
                raise ValueError(value)
            case "DataError":
                raise DataError(value)
            case "late":
                # What it would do after half its work.
                task._metadata["half"] = True
                raise OSError(value)
            case _:
                die(self.how)
                return task

    def process_batch(self, tasks: list[Number]) -> list[Any]:
        return [self.process(task) for task in tasks]

    def __repr__(self) -> str:
        return f"Faulty(rest={self.rest}, divisor={self.divisor}, how={self.how!r}, batch={self.works_on_batches})"


def _expected(
    stages: list[Modelled], count: int
) -> tuple[Counter[tuple[str, int]], Counter[tuple[int, str]], list[int]]:
    """Return outputs, who failed in which stage, and how many each stage dropped, by a plain loop."""
    stream = [(f"0_{n}", n) for n in range(count)]
    failed: Counter[tuple[int, str]] = Counter()
    dropped: list[int] = []
    for index, stage in enumerate(stages):
        following: list[tuple[str, int]] = []
        lost = 0
        for identity, value in stream:
            if isinstance(stage, Faulty) and stage.hits(value) and stage.how not in ("drop", "transient"):
                failed[index, identity] += 1
                continue
            children = [
                (f"{identity}_{slot}", child) for slot, child in enumerate(stage.model(value)) if child is not None
            ]
            lost += not children
            following += children
        dropped.append(lost)
        stream = following
    return Counter(stream), failed, dropped


def _check(mode: str, stages: list[Modelled], count: int, workers: int, **options: Any) -> None:
    pipeline = Pipeline("random", stages=list(stages))
    executor = LocalExecutor(mode=mode, num_workers=workers, cpus=workers, on_error="quarantine", **options)
    outputs = pipeline.run(executor, initial_tasks=numbers(count)) or []
    report = pipeline.last_report
    assert report is not None
    expected, failed, dropped = _expected(stages, count)
    assert Counter((task.task_id, task.data) for task in outputs) == expected
    if options.get("preserve_order"):
        assert [task.data for task in outputs] == [value for _, value in expected.elements()]
    names = {stage.name: index for index, stage in enumerate(report.stages)}
    assert Counter((names[failure.stage], failure.task_id) for failure in report.failures) == failed
    assert [stage.counts.dropped for stage in report.stages] == dropped
    assert all(failure.attempts <= 3 for failure in report.failures)
    assert report.imbalances() == []


def faulty(how: list[str]) -> st.SearchStrategy[Faulty]:
    return st.builds(
        Faulty,
        st.integers(0, 2),
        st.integers(5, 17),
        st.sampled_from(how),
        st.one_of(st.none(), st.integers(1, 5)),
    )


@st.composite
def faulty_pipelines(draw: st.DrawFn, how: list[str]) -> list[Modelled]:
    stages: list[Modelled] = list(draw(pipelines()))[:4]
    for _ in range(draw(st.integers(1, 2))):
        stages.insert(draw(st.integers(0, len(stages))), draw(faulty(how)))
    return stages


options = st.fixed_dictionaries(
    {
        "fuse": st.booleans(),
        "preserve_order": st.booleans(),
        "bundle_seconds": st.sampled_from([1e-6, 0.001, 0.1]),
        "edge_bytes": st.sampled_from([1, 5000, 1 << 20]),
    }
)


@given(faulty_pipelines(SOFT), st.integers(1, 30), options)
@settings(max_examples=120)
def test_inline(stages: list[Modelled], count: int, chosen: dict[str, Any]) -> None:
    _check("inline", stages, count, 1, **chosen)


@given(faulty_pipelines(SOFT), st.integers(1, 30), options, st.integers(1, 4))
@settings(max_examples=60)
def test_threads(stages: list[Modelled], count: int, chosen: dict[str, Any], workers: int) -> None:
    _check("threads", stages, count, workers, **chosen)


@pytest.mark.slow
@given(faulty_pipelines([*SOFT, *DEADLY, *DEADLY]), st.integers(1, 20), options, st.integers(1, 3))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_processes(stages: list[Modelled], count: int, chosen: dict[str, Any], workers: int) -> None:
    _check("processes", stages, count, workers, **chosen)
