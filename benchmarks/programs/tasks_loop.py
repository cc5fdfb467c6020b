"""A plain loop over the functions that `tasks_pipeline` runs as stages: ``tasks_loop COUNT WORK``."""

import json
import sys

from benchmarks.programs.work import WORK, small_texts

STAGES = 3

if __name__ == "__main__":
    count, work = int(sys.argv[1]), WORK[sys.argv[2]]
    done = 0
    for text in small_texts(count):
        for _ in range(STAGES):
            text = work(text)
        done += 1
    print(json.dumps({"tasks": done}))
