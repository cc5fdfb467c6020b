"""Curate a real multilingual corpus: raw HTML in, clean Parquet out.

The corpus is 2,747 pages that people wrote: Electron's documentation as volunteers translated it, and the Universal
Declaration of Human Rights in 152 languages (see `examples/data/multilingual_html/README.md` for origin and licences). Run it
with ``make demo``, or ``python -m examples.demo --help``.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.exact import ExactDuplicatesRemovalStage
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, default_langid_model
from nemo_curator.stages.text.filters.heuristic import (
    NonAlphaNumericFilter,
    RepeatedLinesFilter,
    UrlsFilter,
    WordCountFilter,
)
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.stages.text.modifiers import Modify, NewlineNormalizer
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

CORPUS = Path(__file__).parent / "data" / "multilingual_html"


def extract_text(html: str) -> str:
    """Return the text of a page, without navigation and markup."""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, main_content=True, alt_texts=False)


def build_pipeline(corpus: Path, output: Path) -> Pipeline:
    """Return the pipeline: read, extract, repair, identify the language, filter, drop exact duplicates, write."""
    return (
        Pipeline("multilingual_demo", "Raw HTML in 150 languages to clean, deduplicated Parquet")
        .add_stage(JsonlReader(str(corpus), fields=["id", "url", "declared_language", "html"]))
        .add_stage(Modify(extract_text, input_fields="html", output_fields="text"))
        .add_stage(Modify([UnicodeReformatter(), NewlineNormalizer()], name="repair"))
        .add_stage(ScoreFilter(FastTextLangId(default_langid_model(), min_langid_score=0.5), score_field="language"))
        .add_stage(ScoreFilter(WordCountFilter(min_words=30), score_field="words"))
        .add_stage(ScoreFilter(NonAlphaNumericFilter(max_non_alpha_numeric_to_text_ratio=1.0), score_field="symbols"))
        .add_stage(ScoreFilter(UrlsFilter(max_url_to_text_ratio=0.2)))
        .add_stage(ScoreFilter(RepeatedLinesFilter(max_repeated_line_fraction=0.7)))
        .add_stage(ExactDuplicatesRemovalStage(normalize_text=True))
        .add_stage(ParquetWriter(str(output), fields=["id", "url", "declared_language", "language", "words", "text"]))
    )


def main() -> None:
    """Run the demo and show what became of the corpus."""
    from rich.console import Console

    from nemo_curator.observe import ProgressBars, summary_table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for the result (replaced)")
    parser.add_argument("--mode", default="processes", choices=["processes", "threads", "inline"])
    parser.add_argument("--workers", type=int, default=None, help="worker processes; default: one a CPU")
    arguments = parser.parse_args()

    console = Console()
    if arguments.output.exists():
        shutil.rmtree(arguments.output)
    start = time.perf_counter()
    pipeline = build_pipeline(CORPUS, arguments.output)
    executor = LocalExecutor(mode=arguments.mode, num_workers=arguments.workers)
    with ProgressBars(console) as progress:
        written = pipeline.run(executor, observers=[progress]) or []
    report = pipeline.last_report
    assert report is not None
    console.print(summary_table(report, items="documents"))
    console.print(f"\n{len(written)} Parquet files in {arguments.output}/ after {time.perf_counter() - start:.1f} s.")
    _show_languages(console, arguments.output)


def _show_languages(console: object, output: Path) -> None:
    """Print which languages the result is in."""
    import ast
    from collections import Counter

    import pyarrow.parquet as pq

    scores = pq.read_table(output, columns=["language"])["language"].to_pylist()
    languages = Counter(ast.literal_eval(score)[1] for score in scores)
    named = ", ".join(f"{code} {count}" for code, count in languages.most_common(14))
    console.print(f"{sum(languages.values()):,} documents in {len(languages)} languages: {named}, ...")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
