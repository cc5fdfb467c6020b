"""Many small tasks through a source and three stages: ``tasks_pipeline COUNT WORK [--no-fuse] [--writer] [--mode MODE]``."""

import argparse
import json

from benchmarks.programs.text_stages import PretendToWrite, Texts, Work
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("work")
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--writer", action="store_true")
    parser.add_argument("--mode", default="processes")
    given = parser.parse_args()
    last = PretendToWrite() if given.writer else Work(given.work)
    pipeline = Pipeline("tasks", stages=[Texts(given.count), Work(given.work), Work(given.work), last])
    pipeline.run(LocalExecutor(mode=given.mode, fuse=not given.no_fuse), return_outputs=False)
    report = pipeline.last_report
    print(json.dumps({"tasks": report.tasks_delivered if report else 0}))
