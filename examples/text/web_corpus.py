"""From web archives to a corpus in English: WARC in, Parquet out, and every dropped document kept with the reason.

    python -m examples.text.web_corpus corpus

The steps are those of most web corpora: extract the text of pages, repair what was decoded wrongly, keep one language, apply the rules of
Gopher, C4 and FineWeb, score the quality, keep the better part, redact personal data, write. The pages are the example corpus's, put into
WARC files as a crawler writes them. The folder then has ``warcs/``, ``quality.npz`` (the model), ``corpus/`` and ``dropped/``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from examples import quality_classifier
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.classifiers import ClassifierStage
from nemo_curator.stages.text.download import DocumentIterateExtractStage
from nemo_curator.stages.text.download.common_crawl import CommonCrawlHTMLExtractor, CommonCrawlWarcIterator
from nemo_curator.stages.text.filters import Filter, ScoreFilter
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, default_langid_model
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.stages.text.models import train_linear_model
from nemo_curator.stages.text.modifiers import Modify, NewlineNormalizer, UnicodeReformatter
from nemo_curator.stages.text.pii import PiiStage
from nemo_curator.stages.text.recipes import ApplyRules, FineWebQuality, c4_rules, gopher_rules

DATA = Path(__file__).parents[1] / "data" / "multilingual_html"
COLUMNS = ["url", "language_score", "quality", "quality_score", "text"]


def pages() -> Iterator[dict[str, Any]]:
    """Yield the pages of the example corpus: ``id``, ``url``, ``declared_language``, ``html``."""
    for shard in sorted(DATA.glob("part-*.jsonl.gz")):
        with gzip.open(shard, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def write_warcs(wanted: Iterable[dict[str, Any]], folder: Path, files: int) -> None:
    """Write the pages into WARC files, compressed record by record, one after the other in turn. The same pages give the same files."""
    from fastwarc.warc import WarcRecord, WarcRecordType

    folder.mkdir(parents=True)
    with ExitStack() as opened:
        archives = [opened.enter_context((folder / f"{number:03}.warc.gz").open("wb")) for number in range(files)]
        for number, page in enumerate(wanted):
            url = f"https://{page['url']}"
            body = page["html"].encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
            record = WarcRecord()
            record.init_headers(WarcRecordType.response, f"uuid:{uuid5(NAMESPACE_URL, url)}".encode())
            record.headers["WARC-Date"] = "2024-01-01T00:00:00Z"
            record.headers["WARC-Target-URI"] = url
            record.headers["Content-Type"] = "application/http; msgtype=response"
            record.set_bytes_content(head.encode() + body)
            plain = BytesIO()
            record.write(plain)
            archives[number % files].write(gzip.compress(plain.getvalue(), mtime=0))


def train_quality_model(path: Path) -> None:
    """Train the classifier of `examples.quality_classifier`: is a text like prose, or like code, lists and headings?"""
    training, _ = quality_classifier.split()
    train_linear_model([text for text, _ in training], [label for _, label in training], path)


def prose_quality(quality_score: float) -> bool:
    """Say whether a document is kept, by its probability of being prose: after so many rules, most are nearly certain."""
    return quality_score >= 0.95


def build_pipeline(warcs: Path, quality_model: Path, corpus: Path, dropped: Path) -> Pipeline:
    """Return the pipeline. What a stage drops goes to `dropped`, with the reason."""
    sink = str(dropped)
    return (
        Pipeline("web_corpus", "WARC files to clean English text")
        .add_stage(FilePartitioningStage(str(warcs), file_extensions=[".warc"]))
        .add_stage(DocumentIterateExtractStage(CommonCrawlWarcIterator(), CommonCrawlHTMLExtractor("resiliparse")))
        .add_stage(Modify([UnicodeReformatter(), NewlineNormalizer()], name="repair"))
        .add_stage(
            ScoreFilter(
                FastTextLangId(default_langid_model(), 0.65, lang="en"),
                score_field="language_score",
                exclusions=sink,
            )
        )
        .add_stage(ApplyRules(gopher_rules(), name="gopher", exclusions=sink))
        .add_stage(ApplyRules(c4_rules(), name="c4", exclusions=sink))
        .add_stage(ApplyRules([FineWebQuality()], name="fineweb", exclusions=sink))
        .add_stage(ClassifierStage(quality_model, "quality", "quality_score", score_label="high", name="quality"))
        .add_stage(Filter(prose_quality, "quality_score", name="prose_quality", exclusions=sink))
        .add_stage(PiiStage("redact"))
        .add_stage(ParquetWriter(str(corpus), fields=COLUMNS))
    )


def main() -> None:
    """Make the archives and the model, run the pipeline, and say what became of the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for everything (replaced)")
    parser.add_argument("--files", type=int, default=8, help="WARC files")
    parser.add_argument("--workers", type=int, default=None, help="worker processes; default: one a CPU")
    arguments = parser.parse_args()

    folder: Path = arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    write_warcs(pages(), folder / "warcs", arguments.files)
    train_quality_model(folder / "quality.npz")
    pipeline = build_pipeline(folder / "warcs", folder / "quality.npz", folder / "corpus", folder / "dropped")
    pipeline.run(LocalExecutor(num_workers=arguments.workers))

    report = pipeline.last_report
    assert report is not None
    for stage in report.stages:
        print(f"{stage.name:75} {stage.counts.items_in:5} -> {stage.counts.items_out:5}")
        for reason, count in sorted(stage.counts.items_dropped.items(), key=lambda pair: -pair[1]):
            print(f"    {count:5} {reason}")
    reasons = Counter(row["drop_reason"] for row in dropped_rows(folder / "dropped"))
    print(f"{sum(reasons.values())} documents are in {folder / 'dropped'}, by {len(reasons)} reasons")


def dropped_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the documents that were dropped, with ``drop_reason``."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


if __name__ == "__main__":
    main()
