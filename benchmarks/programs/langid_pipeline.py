"""The same with our stages: ``langid_pipeline INPUT``."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import Score
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, default_langid_model
from nemo_curator.stages.text.io.reader import JsonlReader


def main(source: str) -> None:
    """Count the documents of every language."""
    stages = [JsonlReader(source), Score(FastTextLangId(default_langid_model()), score_field="language")]
    languages: Counter[str] = Counter()
    for batch in Pipeline("langid", stages=stages).run(LocalExecutor(mode="inline")) or []:
        languages.update(ast.literal_eval(score)[1] for score in batch.to_pyarrow()["language"].to_pylist())
    print(json.dumps({"read": languages.total(), "languages": len(languages)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
