"""The same with our stages: ``extract_pipeline INPUT``."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
from resiliparse.extract.html2text import extract_plain_text

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.tasks import DocumentBatch


def extract(html: str) -> str:
    """Return the text of a page."""
    return extract_plain_text(html, main_content=True)


@processing_stage(name="characters")
def characters(batch: DocumentBatch) -> DocumentBatch:
    """Return how many characters each text has, instead of the texts: the loop keeps none either."""
    lengths = pc.utf8_length(batch.to_pyarrow()["text"])
    return DocumentBatch(dataset_name=batch.dataset_name, data=pa.table({"characters": lengths}))


def main(source: str) -> None:
    """Count pages and the characters of their texts."""
    extraction = Modify(extract, input_fields="html", output_fields="text")
    pipeline = Pipeline("extract", stages=[JsonlReader(source, fields=["html"]), extraction, characters])
    pages = total = 0
    for batch in pipeline.run(LocalExecutor(mode="inline")) or []:
        pages += batch.num_items
        total += pc.sum(batch.to_pyarrow()["characters"]).as_py()
    print(json.dumps({"pages": pages, "characters": total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
