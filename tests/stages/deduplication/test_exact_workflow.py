"""Exact deduplication against a dictionary of texts, on every backend, and on input that is not as it should be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_inputs import INLINE, LOCAL, column, contents, local, read_folder, write_lines, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, IdGeneratorBase
from nemo_curator.stages.deduplication.parts import PartFolder
from nemo_curator.tasks import FileGroupTask
from nemo_curator.testing import BackendUnderTest


def _rows(number: int = 300, seed: int = 7) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    texts = [None if chance.random() < 0.02 else f"text {chance.randrange(number // 2)}" for _ in range(number)]
    return [{"id": f"d{at:04}", "text": text} for at, text in enumerate(texts)]


def _oracle(keys: list[Any], texts: list[str | None]) -> dict[Any, Any]:
    """Return what is to be removed, and what stays instead."""
    kept: dict[str, Any] = {}
    removed = {}
    for key, text in sorted(zip(keys, texts, strict=True), key=lambda pair: pair[0]):
        if text is not None and kept.setdefault(text, key) != key:
            removed[key] = kept[text]
    return removed


def _found(output: Path, key: str = CURATOR_DEDUP_ID_STR) -> dict[Any, Any]:
    table = read_folder(output / "ExactDuplicateOf")
    found = dict(zip(table[key].to_pylist(), table["_duplicate_of"].to_pylist(), strict=True)) if len(table) else {}
    assert sorted(found) == column(output / "ExactDuplicateIds", key)
    return found


def _run(tmp_path: Path, executor: dict[str, Any] = INLINE, **options: Any) -> Any:
    options = {"input_path": str(tmp_path / "in"), "input_filetype": "jsonl", "input_blocksize": 1600, **options}
    return ExactDeduplicationWorkflow(str(tmp_path / "out"), **options).run(executor=local(executor))


@pytest.mark.parametrize("executor", LOCAL)
def test_the_same_is_found_wherever_it_runs(executor: dict[str, Any], tmp_path: Path) -> None:
    rows = _rows()
    write_lines(tmp_path / "in", rows, 7)
    result = _run(tmp_path, executor, perform_removal=True, total_nparts=4)
    wanted = _oracle(list(range(len(rows))), [row["text"] for row in rows])
    assert _found(tmp_path / "out") == wanted
    assert result.get_metadata("num_duplicates") == len(wanted)
    stays = [row for at, row in enumerate(rows) if at not in wanted]
    lines = [line for path in (tmp_path / "out/deduplicated").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted((json.loads(line) for line in lines), key=lambda row: row["id"]) == stays
    assert set(result.pipeline_tasks) == {"input_filegroups", "identification", "removal"}
    generator = IdGeneratorBase.from_disk(result.get_metadata("id_generator_path"))
    assert (generator.next_id, len(generator.batch_registry)) == (len(rows), 7)


@pytest.mark.slow
def test_100000_documents_against_an_oracle(tmp_path: Path) -> None:
    rows = _rows(100_000)
    write_lines(tmp_path / "in", rows, 8)
    result = _run(tmp_path, {"mode": "threads", "num_workers": 2}, input_blocksize=1 << 20, total_nparts=5)
    wanted = _oracle(list(range(len(rows))), [row["text"] for row in rows])
    assert len(wanted) > 50_000
    assert _found(tmp_path / "out") == wanted
    assert result.get_metadata("num_duplicates") == len(wanted)


def test_two_threads_write_the_bytes_that_one_does(tmp_path: Path) -> None:
    for name, executor in (("inline", INLINE), ("threads", {"mode": "threads", "num_workers": 2})):
        write_lines(tmp_path / name / "in", _rows(), 7)
        _run(tmp_path / name, executor, perform_removal=True, total_nparts=4)
    assert contents(tmp_path / "threads/out") == contents(tmp_path / "inline/out")


def test_a_backend_on_ray_finds_the_same(ray_backend: BackendUnderTest, tmp_path: Path) -> None:
    rows = _rows()
    write_lines(tmp_path / "in", rows, 3)
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), str(tmp_path / "in"), "jsonl", total_nparts=2)
    workflow.run(executor=ray_backend.make())
    assert _found(tmp_path / "out") == _oracle(list(range(len(rows))), [row["text"] for row in rows])


@settings(max_examples=15)
@given(
    texts=st.lists(
        st.one_of(st.none(), st.sampled_from(["", "a", "A", " a ", "a\n a", "\u1e9e", "\ud7ff"])), max_size=30
    ),
    files=st.integers(1, 4),
    parts=st.integers(1, 5),
    normalize=st.booleans(),
)
def test_any_texts(texts: list[str | None], files: int, parts: int, normalize: bool, tmp_path_factory: Any) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    write_parquet(tmp_path / "in", pa.table({"text": pa.array(texts, pa.string())}), files)
    _run(tmp_path, input_filetype="parquet", total_nparts=parts, normalize_text=normalize)
    seen = [None if text is None else " ".join(text.lower().split()) for text in texts] if normalize else texts
    assert _found(tmp_path / "out") == _oracle(list(range(len(texts))), seen)


@pytest.mark.parametrize("key", ["id", "number"])
def test_ids_that_documents_have(key: str, tmp_path: Path) -> None:
    rows = [{"number": (7919 * at) % 100_000, **row} for at, row in enumerate(_rows())]
    write_lines(tmp_path / "in", rows, 3)
    _run(tmp_path, assign_id=False, id_field=key, perform_removal=True)
    wanted = _oracle([row[key] for row in rows], [row["text"] for row in rows])
    assert _found(tmp_path / "out", key) == wanted
    lines = [line for path in (tmp_path / "out/deduplicated").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert {json.loads(line)[key] for line in lines} == {row[key] for row in rows} - set(wanted)
    assert not (tmp_path / "out/exact_id_generator.json").exists()


def test_what_is_found_does_not_depend_on_files_parts_and_blocks(tmp_path: Path) -> None:
    rows = _rows()
    for name, files, options in [("a", 1, {"input_blocksize": 1500}), ("b", 5, {"total_nparts": 9}), ("c", 2, {})]:
        write_lines(tmp_path / name / "in", rows, files)
        _run(tmp_path / name, **options)
    assert _found(tmp_path / "a/out") == _found(tmp_path / "b/out") == _found(tmp_path / "c/out")
    ids = read_folder(tmp_path / "b/out/ExactDuplicateIds")
    assert ids.schema.names == [CURATOR_DEDUP_ID_STR]
    assert pa.types.is_int64(ids.schema.types[0])


@pytest.mark.parametrize("text", [None, "same"])
def test_no_duplicates_and_nothing_else(text: str | None, tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": text or f"text {at}"} for at in range(50)], 3)
    result = _run(tmp_path, perform_removal=True)
    assert result.get_metadata("num_duplicates") == (49 if text else 0)
    assert len(_found(tmp_path / "out")) == (49 if text else 0)
    kept = "".join(path.read_text() for path in (tmp_path / "out/deduplicated").glob("*.jsonl"))
    assert len(kept.splitlines()) == (1 if text else 50)


def test_an_executor_that_brings_nothing_back(tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": "a"}, {"text": "a"}], 1)
    assert _run(tmp_path, {**INLINE, "return_outputs": False}).get_metadata("num_duplicates") == 1


def test_groups_of_files_are_given(tmp_path: Path) -> None:
    folder = write_lines(tmp_path / "in", [{"text": "a"}, {"text": "b"}, {"text": "a"}, {"text": "c"}], 4)
    tasks = [FileGroupTask("d", [f"{folder}/{at:03}.jsonl"]) for at in (2, 0)]
    workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), input_filetype="jsonl")
    workflow.run(initial_tasks=tasks, executor=local(INLINE))
    assert _found(tmp_path / "out") == {1: 0}
    with pytest.raises(OptionError, match="there is nothing to read: give input_path"):
        workflow.run(executor=local(INLINE))


def test_a_run_that_was_broken_off_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    rows = _rows()
    for name in ("whole", "broken"):
        write_lines(tmp_path / name / "in", rows, 6)
    _run(tmp_path / "whole", perform_removal=True)
    bad = tmp_path / "broken/in/004.jsonl"
    good = bad.read_text()
    bad.write_text('{"text": 7}\n' * good.count("\n"))
    workflow = ExactDeduplicationWorkflow(
        str(tmp_path / "broken/out"), str(tmp_path / "broken/in"), "jsonl", 1600, perform_removal=True
    )
    checkpoint = str(tmp_path / "checkpoint")
    with pytest.raises(DataError, match="is of type int64, but text is wanted"):
        workflow.run(executor=local(INLINE), checkpoint_path=checkpoint)
    bad.write_text(good)
    results = [workflow.run(executor=local(INLINE), checkpoint_path=checkpoint) for _ in range(2)]
    assert _found(tmp_path / "broken/out") == _found(tmp_path / "whole/out")
    assert results[0].get_metadata("num_duplicates") == results[1].get_metadata("num_duplicates")
    # The second time everything was finished.
    assert results[1].pipeline_tasks["identification"] == []
    ids = "ExactDuplicateIds"
    assert contents(tmp_path / "broken/out" / ids) == contents(tmp_path / "whole/out" / ids)


def test_a_smaller_second_run_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    folder = write_lines(tmp_path / "in", _rows(), 6)
    _run(tmp_path, total_nparts=5, perform_removal=True)
    for at in range(1, 6):
        Path(folder, f"{at:03}.jsonl").unlink()
    rows = _rows()[:50]
    _run(tmp_path, total_nparts=2, perform_removal=True, input_blocksize=None)
    assert _found(tmp_path / "out") == _oracle(list(range(50)), [row["text"] for row in rows])
    assert len(list((tmp_path / "out/deduplicated").glob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"text": 5}],
            {},
            "column 'text' of task .* is of type int64, but text is wanted. Name the column with text_field",
        ),
        ([{"words": "a"}], {}, "has no column 'text'; it has: words"),
        ([{"id": None, "text": "a"}, {"id": "x", "text": "b"}], {"id_field": "id"}, "has no id for 1 of 2 documents"),
        ([{"id": 1, "text": "a"}] * 2, {"id_field": "id"}, "has the id 1 more than once"),
        ([{"id": 1.5, "text": "a"}], {"id_field": "id"}, "is of type double, but ids are whole numbers or text"),
    ],
)
def test_bad_documents(rows: list[Any], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "in", rows, 1)
    with pytest.raises(DataError, match=message):
        _run(tmp_path, assign_id="id_field" not in options, **options)


def test_ids_of_several_files(tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"id": 1, "text": "a"}, {"id": "x", "text": "a"}], 2)
    with pytest.raises(DataError, match=r"is of different kinds.*int64 and large_string"):
        _run(tmp_path, assign_id=False, id_field="id", input_blocksize=None)
    write_lines(tmp_path / "in", [{"id": "x", "text": "a"}] * 2, 2)
    with pytest.raises(DataError, match="two documents with the same text have the same id, 'x'"):
        _run(tmp_path, assign_id=False, id_field="id", input_blocksize=None)


def test_an_id_that_another_document_has_is_told_when_it_is_removed(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "one"},
        {"id": "b", "text": "one"},
        {"id": "b", "text": "two"},
        {"id": "c", "text": "x"},
    ]
    write_lines(tmp_path / "in", rows, 2)
    with pytest.raises(DataError, match=r"2 documents have one of the 1 ids in .* not unique"):
        _run(tmp_path, assign_id=False, id_field="id", perform_removal=True, input_blocksize=None)


def test_wrong_options_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"assign_id": True, "id_field": "id"}, {"assign_id": False}):
        with pytest.raises(ValueError, match="one of both"):
            ExactDeduplicationWorkflow("out", "in", **options)
    with pytest.raises(OptionError, match=r"must be one of 'parquet', 'jsonl'; got 'json'. Did you mean 'jsonl'?"):
        ExactDeduplicationWorkflow("out", "in", "json")
    with pytest.raises(OptionError, match="total_nparts must be at least 1"):
        ExactDeduplicationWorkflow("out", "in", total_nparts=0)
    with pytest.raises(
        OptionError, match=r"in/out is in .*in, which is read: the next run would read what this one writes"
    ):
        ExactDeduplicationWorkflow("in/out", ["other", "in"])
    with pytest.raises(InputError, match="gone"):
        ExactDeduplicationWorkflow(str(tmp_path / "o"), str(tmp_path / "gone")).run(executor=local(INLINE))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
    with pytest.raises(OptionError, match=r"task 1 of an array of 4: .* miss duplicates"):
        ExactDeduplicationWorkflow(str(tmp_path / "o"), str(tmp_path / "gone")).run(executor=local(INLINE))


def test_a_step_whose_input_is_not_complete_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no manifest: the step that writes to it has not come to its end"):
        PartFolder.at(str(tmp_path)).names()
