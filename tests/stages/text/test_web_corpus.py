"""The example from web archives to a corpus: the same on every backend, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from examples import quality_classifier
from examples.text.web_corpus import COLUMNS, build_pipeline, dropped_rows, pages, write_warcs
from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.stages.text.models import train_linear_model
from nemo_curator.testing import BackendUnderTest
from nemo_curator.utils.output_manifest import check_output

EXTRACT = "iterate_extract_commoncrawlwarciterator_commoncrawlhtmlextractor"


@dataclass(frozen=True)
class Inputs:
    warcs: Path
    model: Path
    pages: int


@dataclass(frozen=True)
class Result:
    kept: list[dict[str, Any]]
    dropped: Counter[tuple[str, str]]
    reasons: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    pytest.importorskip("fastwarc")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("web_corpus")
    sample = [page for number, page in enumerate(pages()) if number % 20 == 0]
    write_warcs(sample, folder / "warcs", files=3)
    training = quality_classifier.split()[0][:500]
    train_linear_model(
        [text for text, _ in training], [label for _, label in training], folder / "quality.npz", buckets=2**12
    )
    return Inputs(folder / "warcs", folder / "quality.npz", len(sample))


def run(inputs: Inputs, executor: BaseExecutor, folder: Path) -> Result:
    corpus, dropped = folder / "corpus", folder / "dropped"
    pipeline = build_pipeline(inputs.warcs, inputs.model, corpus, dropped)
    pipeline.run(executor)
    for output in (corpus, dropped):
        assert check_output(str(output)) == []
    report = pipeline.last_report
    assert report is not None
    table = pq.read_table(corpus)
    assert table.column_names == COLUMNS
    return Result(
        kept=sorted(table.to_pylist(), key=lambda row: row["url"]),
        dropped=Counter((row["url"], row["drop_reason"]) for row in dropped_rows(dropped)),
        reasons={stage.name: stage.counts.items_dropped for stage in report.stages if stage.counts.items_dropped},
    )


@pytest.fixture(scope="module")
def expected(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(inputs, LocalExecutor(mode="inline"), tmp_path_factory.mktemp("expected"))


def test_the_corpus_is_the_same_on_every_backend(
    backend: BackendUnderTest, inputs: Inputs, expected: Result, tmp_path: Path
) -> None:
    assert run(inputs, backend.make(), tmp_path) == expected


def test_every_page_is_kept_or_dropped_for_a_reason(inputs: Inputs, expected: Result) -> None:
    without_text = expected.reasons[EXTRACT]["nothing_extracted"]
    assert len(expected.kept) + expected.dropped.total() + without_text == inputs.pages
    counted: Counter[str] = Counter()
    for stage, reasons in expected.reasons.items():
        if stage != EXTRACT:
            counted.update(reasons)
    assert counted == Counter(reason for _, reason in expected.dropped.elements())
    assert {"lang_id_other", "gopher_words_few", "c4_curly_bracket"} <= counted.keys()


def test_what_is_kept_is_what_was_asked_for(expected: Result) -> None:
    assert len(expected.kept) > 5
    for row in expected.kept:
        assert row["url"].startswith("https://")
        assert "'EN'" in row["language_score"]
        assert row["quality_score"] >= 0.95
        assert all(line.endswith((".", "!", "?", '"', "'", "\u201d", "\u2019")) for line in row["text"].split("\n"))


def test_the_same_pages_give_the_same_archives(tmp_path: Path) -> None:
    pytest.importorskip("fastwarc")
    some = [page for number, page in enumerate(pages()) if number < 3]
    for name in ("one", "two"):
        write_warcs(some, tmp_path / name, files=2)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
