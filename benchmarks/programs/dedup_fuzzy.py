"""Nearly equal texts found with our workflow: ``dedup_fuzzy WORKERS BANDS ROWS INPUT OUTPUT [MEMORY_GB PARTS]``."""

from __future__ import annotations

import json
import sys
from typing import Any

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow

if __name__ == "__main__":
    workers, bands, rows, source, target, *limits = sys.argv[1:]
    memory: dict[str, Any] = {"memory_gb": float(limits[0])} if limits else {}
    workflow = FuzzyDeduplicationWorkflow(
        f"{target}/cache",
        f"{target}/found",
        source,
        "jsonl",
        input_blocksize="8MB",
        num_bands=int(bands),
        minhashes_per_band=int(rows),
        # All at a time where memory is not looked at: so do the others.
        bands_per_iteration=min(5, int(bands)) if limits else int(bands),
        lsh_num_output_partitions=int(limits[1]) if limits else None,
    )
    result = workflow.run(executor=LocalExecutor(num_workers=int(workers), **memory))
    print(json.dumps({"duplicates": result.get_metadata("num_duplicates")}))
