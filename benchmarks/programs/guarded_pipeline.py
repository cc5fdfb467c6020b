"""Small tasks with the guards as a user has them, all of them, or none: ``guarded_pipeline COUNT WORK GUARDS MODE``.

GUARDS is ``none`` (nobody writes into a beacon, no stall is watched for), ``default``, or ``all`` (time limits on every stage, which
note every call by task; memory per stage and run; a quarantine).
"""

import json
import sys
import tempfile
from typing import Any

from benchmarks.programs.text_stages import Texts, Work
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.resources import Resources


def main() -> None:
    """Run the pipeline."""
    count, work, guards, mode = int(sys.argv[1]), *sys.argv[2:5]
    source = Texts(count)
    options: dict[str, Any] = {}
    if guards == "none":
        from benchmarks.programs.dark import DarkTexts

        source = DarkTexts(count)
        options = {"stall_timeout_s": None}
    stages: list[Any] = [source, Work(work), Work(work), Work(work)]
    if guards == "all":
        stages = [stage.with_(timeout_s=60.0, resources=Resources(memory_gb=1)) for stage in stages]
        options = {"quarantine_path": tempfile.mkdtemp(), "setup_timeout_s": 60.0, "memory_gb": 8}
    pipeline = Pipeline("guarded", stages=stages)
    pipeline.run(LocalExecutor(mode=mode, num_workers=2, **options), return_outputs=False)
    report = pipeline.last_report
    print(json.dumps({"tasks": report.tasks_delivered if report else 0}))


if __name__ == "__main__":
    main()
