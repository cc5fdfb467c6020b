"""The same with our stages: ``jsonl_pipeline WORKERS INPUT OUTPUT``."""

from __future__ import annotations

import json
import sys

from benchmarks.programs.documents import SCORE_FIELD, failed_rules, is_kept
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter


class FailedRules(DocumentFilter):
    """Calls the Python function for every document."""

    def score_document(self, text: str) -> int:
        """Return how many rules a text breaks."""
        return failed_rules(text)

    def keep_document(self, scores: int) -> bool:
        """Keep what breaks none."""
        return is_kept(scores)


def main(workers: str, source: str, target: str) -> None:
    """Filter a folder."""
    stages = [JsonlReader(source), ScoreFilter(FailedRules(), score_field=SCORE_FIELD), JsonlWriter(target)]
    pipeline = Pipeline("filter", stages=stages)
    pipeline.run(LocalExecutor(num_workers=int(workers)))
    counts = {stage.name: stage.counts for stage in pipeline.last_report.stages} if pipeline.last_report else {}
    filtered = counts[stages[1].name]
    print(json.dumps({"read": filtered.items_in, "kept": filtered.items_out}))


if __name__ == "__main__":
    main(*sys.argv[1:])
