"""A plain loop over the functions that `tasks_pipeline` runs as stages: ``tasks_loop COUNT WORK [--content]``."""

import json
import sys

from benchmarks.programs.work import WORK, small_texts, sum_of

STAGES = 3

if __name__ == "__main__":
    count, work = int(sys.argv[1]), WORK[sys.argv[2]]
    content = "--content" in sys.argv
    outputs = []
    done = 0
    for text in small_texts(count):
        for _ in range(STAGES):
            text = work(text)
        done += 1
        if content:
            outputs.append(text)
    print(json.dumps({"tasks": done, **({"content": sum_of(outputs)} if content else {})}))
