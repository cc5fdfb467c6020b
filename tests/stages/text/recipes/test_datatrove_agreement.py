"""Our decisions beside datatrove's on real pages. ``python -m benchmarks.agreement --fixture FILE`` makes the file of its decisions."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from benchmarks.agreement import documents, rule_sets
from nemo_curator.stages.text.recipes import ApplyRules

DECISIONS = json.loads((Path(__file__).parent / "datatrove_decisions.json").read_text())

# Lowest share of equal decisions, and what datatrove alone may keep. The how-to about text says what makes the differences.
EXPECTED = {
    "c4": (0.64, 82),
    "c4_lines_first": (0.99, 0),
    "fineweb": (0.92, 2),
    "fineweb_quality": (0.97, 3),
    "gopher_quality": (0.68, 2),
    "gopher_repetition": (0.7, 7),
}


@cache
def sample() -> dict[str, str]:
    wanted = set(DECISIONS["documents"])
    return {key: text for key, text in documents() if key in wanted}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_decisions_differ_only_as_documented(name: str) -> None:
    stage = ApplyRules(rule_sets()[name])
    ours = {key for key, text in sample().items() if not stage.judge(text)}
    theirs = set(DECISIONS["kept"][name])
    alike = 1 - len(ours ^ theirs) / len(sample())
    share, only_theirs = EXPECTED[name]
    assert alike >= share
    assert len(theirs - ours) <= only_theirs


def test_every_rule_set_is_compared() -> None:
    assert rule_sets().keys() == DECISIONS["kept"].keys() == EXPECTED.keys()
    assert len(DECISIONS["documents"]) >= 200
