"""Random pipelines give the same answer in every mode, and that of a plain loop."""

from __future__ import annotations

from collections import Counter

import pytest
from engine_strategies import pipelines
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import interpret, numbers
from nemo_curator.testing.stages import Modelled

options = st.fixed_dictionaries(
    {
        "fuse": st.booleans(),
        "preserve_order": st.booleans(),
        "bundle_seconds": st.sampled_from([1e-6, 0.001, 0.1]),
        "bundle_bytes": st.sampled_from([1, 2000, 1 << 20]),
        "edge_bytes": st.sampled_from([1, 5000, 1 << 20]),
    }
)


def _check(mode: str, stages: list[Modelled], count: int, chosen: dict[str, object], workers: int) -> None:
    pipeline = Pipeline("random", stages=list(stages))
    executor = LocalExecutor(mode=mode, num_workers=workers, cpus=workers, **chosen)
    outputs = pipeline.run(executor, initial_tasks=numbers(count)) or []
    found = [(task.task_id, task.data) for task in outputs]
    expected = interpret(stages, range(count))
    if chosen["preserve_order"]:
        assert found == expected
    assert Counter(found) == Counter(expected)
    assert pipeline.last_report is not None
    assert pipeline.last_report.imbalances() == []


@given(pipelines(), st.integers(1, 40), options, st.booleans())
@settings(max_examples=150)
def test_inline(stages: list[Modelled], count: int, chosen: dict[str, object], strict: bool) -> None:
    _check("inline", stages, count, {**chosen, "strict": strict}, 1)


@given(pipelines(), st.integers(1, 40), options, st.integers(1, 5))
@settings(max_examples=60)
def test_threads(stages: list[Modelled], count: int, chosen: dict[str, object], workers: int) -> None:
    _check("threads", stages, count, chosen, workers)


@pytest.mark.slow
@given(pipelines(), st.integers(1, 40), options, st.integers(1, 3))
@settings(max_examples=12)
def test_processes(stages: list[Modelled], count: int, chosen: dict[str, object], workers: int) -> None:
    _check("processes", stages, count, chosen, workers)
