"""A stage's runtime environment is that of its workers, and of nobody else's."""

from __future__ import annotations

import os

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import BackendUnderTest, Number, numbers
from nemo_curator.testing.stages import Add

VARIABLE = "CURATOR_TEST_VARIABLE"


class Found(ProcessingStage[Number, Number]):
    """Writes what a variable is set to into the metadata."""

    name = "found"

    def process(self, task: Number) -> Number:
        task._metadata.setdefault("found", []).append(os.environ.get(VARIABLE))
        return task


def test_variables_are_set_where_they_were_asked_for(ray_backend: BackendUnderTest) -> None:
    there = Found().with_(runtime_env={"env_vars": {VARIABLE: "x"}})
    outputs = ray_backend.run(Add(0), there, Found().with_(name="elsewhere"), tasks=numbers(3)).outputs
    assert [task._metadata["found"] for task in outputs] == [["x", None]] * 3
    assert VARIABLE not in os.environ
