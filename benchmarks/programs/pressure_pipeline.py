"""A fast producer and a slow consumer as stages: ``pressure_pipeline COUNT WORKERS EDGE_BYTES [MEMORY_GB]``.

With a budget, EDGE_BYTES is what the executor makes of it.
"""

import json
import sys

from benchmarks.programs.payload_stages import Payloads, Swallow
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline

if __name__ == "__main__":
    count, workers, edge_bytes = map(int, sys.argv[1:4])
    limits = {"memory_gb": float(sys.argv[4])} if len(sys.argv) > 4 else {"edge_bytes": edge_bytes}
    pipeline = Pipeline("pressure", stages=[Payloads(count), Swallow()])
    pipeline.run(LocalExecutor(num_workers=workers, **limits), return_outputs=False)
    report = pipeline.last_report
    print(json.dumps({"tasks": report.tasks_delivered if report else 0}))
