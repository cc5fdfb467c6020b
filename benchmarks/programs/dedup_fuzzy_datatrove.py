"""The same with datatrove's four steps: ``dedup_fuzzy_datatrove WORDS WORKERS BANDS ROWS INPUT OUTPUT``. Runs in its own environment.

N-grams are of five words, as it is made for: it has none of characters. WORDS says who cuts them: ``spacy``, as it comes, or ``split``, which is
`str.split`.
"""

from __future__ import annotations

import json
import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.hashing import HashConfig


class SplitAtSpaces:
    """Words as `str.split` has them."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()


def main(words: str, workers: str, bands: str, rows: str, source: str, target: str) -> None:
    """Find the duplicates of a folder."""
    tasks = int(workers)
    config = MinhashConfig(
        hash_config=HashConfig(precision=64), num_buckets=int(bands), hashes_per_bucket=int(rows), n_grams=5
    )
    reader = JsonlReader(source, compression=None, glob_pattern="*.jsonl", add_file_path=False)
    signing = MinhashDedupSignature(output_folder=f"{target}/signatures", config=config)
    if words == "split":
        signing.word_tokenizer = SplitAtSpaces()
    steps = [
        ([reader, signing], tasks),
        (
            [
                MinhashDedupBuckets(
                    input_folder=f"{target}/signatures", output_folder=f"{target}/buckets", config=config
                )
            ],
            int(bands),
        ),
        (
            [MinhashDedupCluster(input_folder=f"{target}/buckets", output_folder=f"{target}/remove", config=config)],
            1,
        ),
        ([reader, MinhashDedupFilter(input_folder=f"{target}/remove")], tasks),
    ]
    for number, (stages, wanted) in enumerate(steps):
        executor = LocalPipelineExecutor(
            stages, tasks=wanted, workers=min(tasks, wanted), logging_dir=f"{target}/logs{number}"
        )
        stats = executor.run()
    counts = stats.stats[-1].stats
    print(json.dumps({"duplicates": counts["total"].total - counts["forwarded"].total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
