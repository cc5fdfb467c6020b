"""The four functions of `hello_plain` as stages of a pipeline: ``hello_pipeline MODE``. Written as users write: in `__main__`."""

import json
import sys
from dataclasses import dataclass

from benchmarks.programs import hello_plain
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, Task


@dataclass
class Greeting(Task[str]):
    """A greeting."""

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any text is fine."""
        return True


class Greet(ProcessingStage[EmptyTask, Greeting]):
    """The source."""

    name = "greet"

    def process(self, task: EmptyTask) -> Greeting:
        """Return a greeting."""
        return Greeting("hello", hello_plain.greet())


class Capitalise(ProcessingStage[Greeting, Greeting]):
    """The second stage."""

    name = "capitalise"

    def process(self, task: Greeting) -> Greeting:
        """Change the greeting."""
        task.data = hello_plain.capitalise(task.data)
        return task


class Address(ProcessingStage[Greeting, Greeting]):
    """The third stage."""

    name = "address"

    def process(self, task: Greeting) -> Greeting:
        """Change the greeting."""
        task.data = hello_plain.address(task.data)
        return task


class Exclaim(ProcessingStage[Greeting, Greeting]):
    """The last stage."""

    name = "exclaim"

    def process(self, task: Greeting) -> Greeting:
        """Change the greeting."""
        task.data = hello_plain.exclaim(task.data)
        return task


if __name__ == "__main__":
    pipeline = Pipeline("hello", stages=[Greet(), Capitalise(), Address(), Exclaim()])
    outputs = pipeline.run(LocalExecutor(mode=sys.argv[1])) or []
    print(json.dumps({"greetings": [task.data for task in outputs]}))
