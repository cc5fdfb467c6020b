"""The same rules with datatrove's filters: ``fineweb_datatrove WORKERS INPUT OUTPUT LOGS``. Runs in its own environment.

As many tasks as workers, no compression and no path of the file in the metadata, as in ``jsonl_datatrove``.
"""

from __future__ import annotations

import json
import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


def main(workers: str, source: str, target: str, logs: str) -> None:
    """Filter a folder."""
    stages = [
        JsonlReader(source, compression=None, glob_pattern="*.jsonl", add_file_path=False),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(char_duplicates_ratio=0.1),
        JsonlWriter(target, output_filename="${rank}.jsonl", compression=None, expand_metadata=True),
    ]
    executor = LocalPipelineExecutor(stages, tasks=int(workers), workers=int(workers), logging_dir=logs)
    first, *_, last = [
        stage.stats for stage in executor.run().stats if "total" in stage.stats and "forwarded" in stage.stats
    ]
    print(json.dumps({"read": first["total"].total, "kept": last["forwarded"].total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
