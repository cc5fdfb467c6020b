"""The same with our stages: ``extract_pipeline INPUT``."""

from __future__ import annotations

import json
import sys

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.modifiers import Modify


def extract(html: str) -> str:
    """Return the text of a page."""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, main_content=True)


def main(source: str) -> None:
    """Count pages and the characters of their texts."""
    stages = [JsonlReader(source, fields=["html"]), Modify(extract, input_fields="html", output_fields="text")]
    pages = characters = 0
    for batch in Pipeline("extract", stages=stages).run(LocalExecutor(mode="inline")) or []:
        texts = batch.to_pyarrow()["text"].to_pylist()
        pages += len(texts)
        characters += sum(map(len, texts))
    print(json.dumps({"pages": pages, "characters": characters}))


if __name__ == "__main__":
    main(*sys.argv[1:])
