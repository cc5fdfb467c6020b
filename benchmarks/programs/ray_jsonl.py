"""Read JSON Lines, score and filter the documents, write: ``ray_jsonl ENGINE INPUT OUTPUT [--cpus CPUS]``. A file is a task."""

from __future__ import annotations

from benchmarks.programs.documents import SCORE_FIELD, failed_rules, is_kept
from benchmarks.programs.ray_engines import executor_of, parser, tell, with_cpus
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


def main() -> None:
    """Filter a folder."""
    arguments = parser()
    arguments.add_argument("source")
    arguments.add_argument("target")
    given = arguments.parse_args()
    stages = [
        *JsonlReader(given.source, files_per_partition=1).decompose(),
        ScoreFilter(FailedRules(), score_field=SCORE_FIELD),
        JsonlWriter(given.target),
    ]
    pipeline = Pipeline(name="filter", stages=[with_cpus(stage, given.cpus) for stage in stages])
    outputs = pipeline.run(executor_of(given.engine)) or []
    tell(files=len(outputs))


if __name__ == "__main__":
    main()
