"""What a fingerprint sees, and what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.fingerprint import changes, digest_of, fingerprints
from nemo_curator.stages.resources import Resources
from nemo_curator.testing.stages import Add, BatchAdd, Count, Repeat

CODE = '''
"""A stage's module."""
from nemo_curator.stages.base import ProcessingStage

FACTOR = 2

def helper(value):
    return deeper(value) * FACTOR

def deeper(value):
    return value + 1

def unrelated(value):
    return value

class Base(ProcessingStage):
    def shared(self, value):
        return value

class Stage(Base):
    name = "stage"
    limit = 5

    def process(self, task):
        keep = lambda value: value > 3
        task.data = helper(self.shared(task.data))
        return task if keep(task.data) else None
'''


def _module(code: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("somebodys_module")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "somebodys_module.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2", "FACTOR = 3"),
        ("value + 1", "value + 2"),
        ("deeper(value) * FACTOR", "deeper(value) + FACTOR"),
        ("return value\n\nclass Stage", "return -value\n\nclass Stage"),
        ("value > 3", "value > 4"),
        ("limit = 5", "limit = 6"),
        ("def deeper(value):", "def deeper(value, more=1):"),
    ],
)
def test_code_that_matters(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old in CODE
    before = digest_of(_module(CODE, monkeypatch).Stage)
    assert digest_of(_module(CODE.replace(old, new), monkeypatch).Stage) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A stage\'s module."""', '"""Another text."""\n\n\n'),
        ("FACTOR = 2", "# twice as much\nFACTOR = 2"),
        ("def unrelated(value):\n    return value", "def unrelated(value):\n    return value * 7"),
        ("", ""),
    ],
)
def test_code_that_does_not(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(_module(CODE, monkeypatch).Stage)
    assert digest_of(_module(CODE.replace(old, new), monkeypatch).Stage) == before


def _adder(amount: int) -> Callable[[int], int]:
    return lambda value: value + amount


def _recursive() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}, {"x", "y"}),
        (1, 1, True),
        ("1", "1", 1),
        (_adder(1), _adder(1), _adder(2)),
        (Path("a"), Path("a"), Path("b")),
        (Resources(cpus=1.0), Resources(cpus=1.0), Resources(cpus=2.0)),
        ([1, [2, 3]], [1, [2, 3]], [[1, 2], 3]),
        (_recursive(), _recursive(), [1, 1]),
        (len, len, sum),
    ],
)
def test_values(one: object, same: object, other: object) -> None:
    assert digest_of(one) == digest_of(same)
    assert digest_of(one) != digest_of(other)


def test_every_process_says_the_same() -> None:
    program = (
        "from nemo_curator.engine.fingerprint import digest_of; from nemo_curator.testing.stages import Add, Journaling;"
        "print(digest_of(Journaling), digest_of({'a', 'b', 'c', ('d', frozenset('ef'))}), digest_of(Add(2)))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_stages_behind_the_source_and_what_they_do() -> None:
    plan = compile_plan([Count(3), Add(1), BatchAdd(1, 4)])
    assert [stage.name for stage in fingerprints(plan)] == ["add", "batch_add"]
    assert fingerprints(compile_plan([Count(9), Add(1), BatchAdd(1, 4)])) == fingerprints(plan)
    tuned = [Count(3), Add(1).with_(resources=Resources(cpus=2.0), num_workers=3), BatchAdd(1, 4)]
    assert fingerprints(compile_plan(tuned)) == fingerprints(plan)


def test_changes_are_told() -> None:
    before = fingerprints(compile_plan([Count(3), Add(1), BatchAdd(1, 4), Repeat(2)]))

    def said(*stages: Any) -> list[str]:
        return changes(before, fingerprints(compile_plan([Count(3), *stages])))

    assert said(Add(1), BatchAdd(1, 4), Repeat(2)) == []
    assert said(Add(2), BatchAdd(1, 4), Repeat(2)) == ["stage 'add' changed: amount"]
    assert said(Add(1), BatchAdd(1, 5), Repeat(2)) == ["stage 'batch_add' changed: batch size"]
    assert said(Add(1), Repeat(2)) == ["stage 'batch_add' is gone"]
    assert said(Add(1), Add(1).with_(name="new"), BatchAdd(1, 4), Repeat(2)) == ["stage 'new' is new"]
    assert said(BatchAdd(1, 4), Add(1), Repeat(2)) == ["stages come in another order: batch_add, add, repeat"]
