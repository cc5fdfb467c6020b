"""The report of a deduplication: its numbers counted out, and a page that nothing in the data can break out of."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from dedup_inputs import INLINE, local, write_lines, write_parquet

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.deduplication import report
from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow
from nemo_curator.stages.deduplication.report import Chart, largest_groups, sizes_of_groups
from nemo_curator.stages.deduplication.report_html import bar_chart, size_bars, source_bars
from nemo_curator.stages.deduplication.report_workflow import DeduplicationReportWorkflow
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationWorkflow
from nemo_curator.stages.deduplication.semantic.pairwise import score_counts, staying

EVIL = "<script>alert('1')</script>\x00\x1b <img src=http://x onerror=x> &amp; \"quoted\""
TEXTS = ["a", "b", EVIL, "a", "a", "c", EVIL, "d", "a", None]


def _exact(tmp_path: Path, **options: Any) -> ExactDeduplicationWorkflow:
    rows = [{"id": at, "text": text, "site": f"<b>{at % 2}</b>"} for at, text in enumerate(TEXTS)]
    write_lines(tmp_path / "in", rows, 3)
    workflow = ExactDeduplicationWorkflow(
        str(tmp_path / "out"), str(tmp_path / "in"), "jsonl", input_blocksize=None, **options
    )
    workflow.run(executor=local(INLINE))
    return workflow


def _report(tmp_path: Path, workflow: Any, executor: dict[str, Any] = INLINE, **options: Any) -> tuple[Any, str]:
    result = DeduplicationReportWorkflow(workflow, str(tmp_path / "report"), **options).run(local(executor))
    page = Path(result.get_metadata("report_path")).read_text()
    said = json.loads((tmp_path / "report/report.json").read_text())
    assert said == json.loads(json.dumps(result.get_metadata("report")))
    return said, page


@pytest.mark.parametrize("mode", ["inline", "threads"])
@pytest.mark.parametrize("assigned", [True, False])
def test_numbers_of_exact_duplicates(mode: str, assigned: bool, tmp_path: Path) -> None:
    ids: dict[str, Any] = {} if assigned else {"assign_id": False, "id_field": "id"}
    said, page = _report(
        tmp_path, _exact(tmp_path, **ids), {"mode": mode, "num_workers": 2}, source_field="site", largest_groups=5
    )
    assert (said["documents"], said["removed"], said["groups"]) == (10, 4, 2)
    assert said["groups_by_size"] == {"2": 1, "4": 1}
    assert said["sources"] == {
        "<b>0</b>": {"documents": 5, "removed": 3},
        "<b>1</b>": {"documents": 5, "removed": 1},
    }
    assert [(group["kept"], group["size"]) for group in said["largest"]] == [(0, 4), (2, 2)]
    assert [sample["id"] for sample in said["largest"][0]["samples"]] == [0, 3, 4, 8]
    assert said["largest"][1]["samples"][1] == {"id": 6, "text": EVIL, "source": "<b>0</b>"}
    assert "60.0%" in page
    assert not (tmp_path / "report/.nemo_curator_metadata").exists()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_in_the_data_gets_out_of_the_page(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _exact(tmp_path), source_field="site", title="<i>Title</i>")
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    known = "html head meta title style body h1 h2 h3 table tr th td svg text rect div code pre p span"
    assert {tag for tag, _ in tags.tags} <= set(known.split())
    names = {name for _, attributes in tags.tags for name, _ in attributes}
    assert not names & {"src", "href", "onerror", "style"}
    assert "&lt;script&gt;" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", page)
    assert "default-src 'none'" in page
    for drawn in re.findall(r"<svg.*?</svg>", page):
        ElementTree.fromstring(drawn)


def test_texts_are_cut_and_samples_can_be_left_out(tmp_path: Path) -> None:
    workflow = _exact(tmp_path)
    said, _ = _report(tmp_path, workflow, sample_characters=3, samples_per_group=1)
    assert said["largest"][1]["samples"][0]["text"] == "<sc"
    assert [len(group["samples"]) for group in said["largest"]] == [2, 2]
    said, page = _report(tmp_path, workflow, largest_groups=0)
    assert said["largest"] == []
    assert "Largest groups" not in page


@pytest.mark.parametrize("verify", [None, 0.5])
def test_fuzzy_duplicates(verify: float | None, tmp_path: Path) -> None:
    text = " ".join(f"word{at}" for at in range(60))
    texts = [text, "something else altogether, and long enough", f"{text} end", f"{text} and end"]
    write_lines(tmp_path / "in", [{"text": one} for one in texts], 2)
    workflow = FuzzyDeduplicationWorkflow(
        str(tmp_path / "cache"),
        str(tmp_path / "out"),
        str(tmp_path / "in"),
        "jsonl",
        num_bands=10,
        minhashes_per_band=2,
        verify_jaccard=verify,
    )
    workflow.run(executor=local(INLINE))
    said, page = _report(tmp_path, workflow)
    assert said["groups_by_size"] == {"3": 1}
    assert [sample["id"] for sample in said["largest"][0]["samples"]] == [0, 2, 3]
    assert said["sources"] == {}
    assert "per source" not in page


def test_embeddings_of_anything(tmp_path: Path) -> None:
    angles = np.array([0, 0.01, 0.02, 2.0, 2.01])
    vectors = list(np.column_stack([np.cos(angles), np.sin(angles)]))
    table = pa.table({"id": list("abcde"), "embeddings": vectors, "path": [f"{name}.png" for name in "abcde"]})
    write_parquet(tmp_path / "in", table, 2)
    workflow = SemanticDeduplicationWorkflow(str(tmp_path / "in"), str(tmp_path / "out"), 2, eps=0.001)
    workflow.run(local(INLINE))
    said, page = _report(tmp_path, workflow, text_field="path")
    assert said["groups_by_size"] == {"2": 1, "3": 1}
    assert {sample["text"] for sample in said["largest"][1]["samples"]} == {"d.png", "e.png"}
    assert said["Clusters by number of members"] == {"2 to 3": 2}
    assert said["Members by similarity to the most similar that is ranked before"]["0.95 to 1.00"] == 3
    assert "Clusters by number of members" in page
    plain, _ = _report(tmp_path, workflow)
    assert [sample["text"] for sample in plain["largest"][0]["samples"]] == [""] * 3


def test_no_duplicates(tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": text} for text in "abc"], 1)
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), "jsonl")
    workflow.run(executor=local(INLINE))
    said, page = _report(tmp_path, workflow)
    assert (said["documents"], said["removed"], said["groups"], said["largest"]) == (3, 0, 0, [])
    assert "There are none." in page


def test_a_report_on_what_did_not_run(tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": "a"}], 1)
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), "jsonl")
    with pytest.raises(InputError, match="has not come to its end"):
        DeduplicationReportWorkflow(workflow, str(tmp_path / "report")).run(local(INLINE))


def test_too_many_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_MOST_SOURCES", 5)
    with pytest.raises(DataError, match="column 'id' has more than 5 different values"):
        _report(tmp_path, _exact(tmp_path), source_field="id")


@pytest.mark.parametrize("option", ["largest_groups", "samples_per_group", "sample_characters"])
def test_wrong_options_are_refused(option: str, tmp_path: Path) -> None:
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), "jsonl")
    with pytest.raises(OptionError, match=f"{option} must not be negative"):
        DeduplicationReportWorkflow(workflow, str(tmp_path / "report"), **{option: -1})
    with pytest.raises(OptionError, match="which is read"):
        DeduplicationReportWorkflow(workflow, str(tmp_path / "in/report"))


def test_groups_are_counted_and_ordered() -> None:
    found = pa.table({"id": [5, 6, 7, 8, 9], "kept": [1, 1, 2, 2, 3]})
    assert sizes_of_groups(found) == {3: 2, 2: 1}
    assert [(group.kept, group.size, group.members) for group in largest_groups(found, 2, 1)] == [
        (1, 3, [5]),
        (2, 3, [7]),
    ]


def test_bars() -> None:
    assert size_bars({2: 5, 3: 1, 5: 2, 8: 1, 9: 1, 1000: 3}) == [
        ("2", 5),
        ("3", 1),
        ("5 to 8", 3),
        ("9 to 16", 1),
        ("513 to 1024", 3),
    ]
    shares = source_bars({f"s{at:02}": (100 - at, 10) for at in range(40)})
    assert shares[0] == ("s00 (100)", 0.1)
    assert shares[-1][0] == "10 others (655)"
    assert len(shares) == 31
    drawn = ElementTree.fromstring(bar_chart(Chart("x", [("a" * 100, 0.0), ("b", 0.25)], "%")))
    assert [text.text for text in drawn.iter("text")] == ["a" * 39 + "…", "0.0%", "b", "25.0%"]


def test_what_stays_is_at_the_end_of_the_chain() -> None:
    similar = pa.table({"id": list("abcde"), "max_id": list("aabba"), "cosine_sim_score": [0.0, 0.99, 0.98, 0.5, 0.1]})
    assert staying(similar, 0.9).to_pylist() == [{"id": "b", "kept": "a"}, {"id": "c", "kept": "a"}]
    assert score_counts(similar, 10) == [0, 1, 0, 0, 0, 1, 0, 0, 0, 2]
