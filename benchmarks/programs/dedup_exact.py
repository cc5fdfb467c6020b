"""Equal texts found with our workflow: ``dedup_exact WORKERS INPUT OUTPUT``."""

from __future__ import annotations

import json
import sys

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow

if __name__ == "__main__":
    workers, source, target = sys.argv[1:]
    workflow = ExactDeduplicationWorkflow(
        target, source, "jsonl", assign_id=False, id_field="id", input_blocksize="8MB"
    )
    result = workflow.run(executor=LocalExecutor(num_workers=int(workers)))
    print(json.dumps({"duplicates": result.get_metadata("num_duplicates")}))
