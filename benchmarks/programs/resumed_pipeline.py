"""Small tasks, each a source, with a checkpoint or without: ``resumed_pipeline COUNT WORK CHECKPOINT MODE [FINISHED]``.

CHECKPOINT is ``yes`` or ``no``. With FINISHED so many of the sources were finished by a run before, which is not measured: the program says
after how many seconds of the run that is the first of the others was worked on.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.programs.text_stages import Texts, TextTask, Work
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage


class Noting(ProcessingStage[TextTask, TextTask]):
    """Writes the time of its first task into a file."""

    name = "noting"

    def __init__(self, path: str) -> None:
        self.path = path
        self.noted = False

    def process(self, task: TextTask) -> TextTask:
        """Return the task."""
        if not self.noted:
            self.noted = True
            Path(self.path).write_text(str(time.time()))
        return task


def main() -> None:
    """Run the pipeline."""
    count, work, checkpoint, mode = int(sys.argv[1]), *sys.argv[2:5]
    finished = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"return_outputs": False}
        if checkpoint == "yes":
            options["checkpoint_path"] = folder
        executor = LocalExecutor(mode=mode, num_workers=2)
        clock = f"{folder}/clock"

        def run(number: int) -> int:
            pipeline = Pipeline("resumed", stages=[Texts(number), *[Work(work) for _ in range(3)], Noting(clock)])
            pipeline.run(executor, **options)
            report = pipeline.last_report
            return report.tasks_delivered if report else 0

        said: dict[str, float] = {}
        if finished:
            run(finished)
            start = time.time()
            said["tasks"] = run(count)
            said["first_s"] = float(Path(clock).read_text()) - start
        else:
            said["tasks"] = run(count)
        print(json.dumps(said))


if __name__ == "__main__":
    main()
