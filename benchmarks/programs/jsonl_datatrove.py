"""The same with datatrove's reader, filter and writer: ``jsonl_datatrove WORKERS INPUT OUTPUT LOGS``. Runs in its own environment.

As many tasks as workers: each takes every n-th file, and as the files are of one size, that divides the work evenly with the
least overhead for datatrove. Compression is off on both sides, and metadata is not given the path of the file, as the other
alternatives do neither.
"""

from __future__ import annotations

import json
import sys

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from benchmarks.programs.documents import SCORE_FIELD, failed_rules, is_kept


class FailedRules(BaseFilter):
    """Calls the Python function for every document."""

    name = "failed rules"

    def filter(self, doc: Document) -> bool:
        """Keep what breaks no rule, and note the score."""
        score = doc.metadata[SCORE_FIELD] = failed_rules(doc.text)
        return is_kept(score)


def main(workers: str, source: str, target: str, logs: str) -> None:
    """Filter a folder."""
    stages = [
        JsonlReader(source, compression=None, glob_pattern="*.jsonl", add_file_path=False),
        FailedRules(),
        JsonlWriter(target, output_filename="${rank}.jsonl", compression=None, expand_metadata=True),
    ]
    executor = LocalPipelineExecutor(stages, tasks=int(workers), workers=int(workers), logging_dir=logs)
    stats = {stage.name: stage for stage in executor.run().stats}
    found = next(stage.stats for name, stage in stats.items() if FailedRules.name in name)
    print(json.dumps({"read": found["total"].total, "kept": found["forwarded"].total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
