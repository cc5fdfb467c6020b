from __future__ import annotations

import gzip
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import JsonlReader, JsonlReaderStage
from nemo_curator.stages.text.io.reader.jsonl_arrow import iter_lines, read_exactly
from nemo_curator.tasks import DocumentBatch, FileGroupTask


def read(*files: Path | str, **options: Any) -> DocumentBatch:
    task = FileGroupTask(dataset_name="corpus", data=[str(path) for path in files])
    return JsonlReaderStage(**options).process(task)


def rows(batch: DocumentBatch) -> list[dict[str, Any]]:
    """Return the rows with `None` for what is missing."""
    frame = batch.to_pandas()
    return [
        {key: None if isinstance(value, float) and value != value else value for key, value in record.items()}
        for record in frame.to_dict("records")
    ]


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


EXACT = {
    "plain": ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    "no newline at the end": ('{"a":1}', [{"a": 1}]),
    "blank lines": ('\n{"a":1}\n\n \n{"a":2}\n\n', [{"a": 1}, {"a": 2}]),
    "windows": ('{"a":1}\r\n{"a":2}\r\n', [{"a": 1}, {"a": 2}]),
    "byte order mark": ('\ufeff{"a":1}\n', [{"a": 1}]),
    "unicode": ('{"a":"\\ud83d\\ude00 é \u2028 \x85"}\n', [{"a": "😀 é \u2028 \x85"}]),
    "dates stay text": ('{"a":"2023-01-01","b":"007"}\n', [{"a": "2023-01-01", "b": "007"}]),
    "late dates": (
        '{"b":1}\n' * 9 + '{"b":1,"a":"2023-01-01"}\n',
        [*[{"b": 1, "a": None}] * 9, {"b": 1, "a": "2023-01-01"}],
    ),
    "dates inside": ('{"m":{"d":"2023-01-01"}}\n', [{"m": {"d": "2023-01-01"}}]),
    "missing": (
        '{"a":1.5}\n{"b":"x"}\n{"a":null}\n',
        [{"a": 1.5, "b": None}, {"a": None, "b": "x"}, {"a": None, "b": None}],
    ),
    "big integers": ('{"a":9223372036854775813}\n', [{"a": 9223372036854775813}]),
    "mixed": ('{"a":1}\n{"a":"x"}\n', [{"a": 1}, {"a": "x"}]),
    "numbers": ('{"a":1}\n{"a":0.1}\n', [{"a": 1.0}, {"a": 0.1}]),
    "true or number": ('{"a":true}\n{"a":1}\n', [{"a": True}, {"a": 1}]),
    "repeated key": ('{"a":1,"a":2}\n', [{"a": 2}]),
    "objects keep their keys": ('{"m":{"a":1}}\n{"m":{"b":"x"}}\n', [{"m": {"a": 1}}, {"m": {"b": "x"}}]),
    "objects keep integers": ('{"m":{"a":1}}\n{"m":null}\n', [{"m": {"a": 1}}, {"m": None}]),
    "lists": ('{"a":["x"],"b":[1]}\n{"a":[],"b":[2,null]}\n', [{"a": ["x"], "b": [1]}, {"a": [], "b": [2, None]}]),
    "lists of objects": ('{"a":[{"x":1}]}\n{"a":[]}\n', [{"a": [{"x": 1}]}, {"a": []}]),
    "only lists": ('{"a":[1]}\n', [{"a": [1]}]),
    "empty objects": ("{}\n{}\n", [{}, {}]),
    "not a number": ('{"a":NaN}\n{"a":1}\n', [{"a": None}, {"a": 1.0}]),
}


@pytest.mark.parametrize("case", EXACT)
@pytest.mark.parametrize("engine", ["auto", "json"])
def test_values_arrive_as_they_are_written(tmp_path: Path, engine: str, case: str) -> None:
    content, expected = EXACT[case]
    batch = read(write(tmp_path / "a.jsonl", content), read_kwargs={"engine": engine})
    assert rows(batch) == expected
    assert [[type(value) for value in row.values()] for row in rows(batch)] == [
        [type(value) for value in row.values()] for row in expected
    ]
    assert batch.dataset_name == "corpus"
    assert batch._stage_perf == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_infinity=False)
    | texts
    | st.just("2023-01-01")
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
columns = st.sampled_from(["a", "b", "c"])


def canonical(value: Any) -> Any:
    """Return a form whose equality tells true from 1 and takes NaN for NaN."""
    if isinstance(value, dict):
        return {key: canonical(child) for key, child in value.items()}
    if isinstance(value, list):
        return [canonical(child) for child in value]
    return "nan" if value != value else (isinstance(value, bool), value)


@given(st.lists(st.dictionaries(columns, values, max_size=3), min_size=1, max_size=12))
def test_arrow_never_disagrees_with_python(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("agree") / "a.jsonl"
    write(path, "".join(json.dumps(record) + "\n" for record in records))
    fast, slow = (read(path, read_kwargs={"engine": engine}).to_pandas() for engine in ("auto", "json"))
    pd.testing.assert_frame_equal(fast, slow, check_column_type=False)
    assert canonical(fast.to_dict("records")) == canonical(slow.to_dict("records"))


@given(
    st.lists(
        st.fixed_dictionaries({"id": st.integers(0, 2**60), "text": texts, "day": st.just("2023-01-01")}), min_size=1
    )
)
def test_flat_documents_take_the_fast_path(records: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    table = read_exactly(content, None, threads=False)
    assert isinstance(table, pa.Table)
    assert table.to_pylist() == records
    projected = read_exactly(content, ["text"], threads=False)
    assert isinstance(projected, pa.Table)
    assert projected.column_names == ["text"]


def test_a_long_line_makes_blocks_grow(tmp_path: Path) -> None:
    long = "x" * (20 * 1024**2)
    batch = read(write(tmp_path / "a.jsonl", json.dumps({"a": long}) + '\n{"a":"y"}\n'))
    assert isinstance(batch.data, pa.Table)
    assert [len(text) for text in batch.to_pandas()["a"]] == [len(long), 1]


def test_lines_are_numbered_as_editors_do() -> None:
    assert list(iter_lines(b"a\n\nb\r\n \nc")) == [(1, 0, b"a"), (3, 3, b"b\r"), (5, 8, b"c")]


def test_files_of_a_group_are_put_below_one_another(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", '{"a":1,"b":"x"}\n')
    two = write(tmp_path / "2.jsonl", '{"a":2}\n')
    three = write(tmp_path / "3.jsonl", '{"a":"z","c":[1]}\n')
    empty = write(tmp_path / "4.jsonl", "\n")
    same = read(one, two, empty)
    assert isinstance(same.data, pa.Table)
    assert rows(same) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    different = read(one, empty, three)
    assert rows(different) == [{"a": 1, "b": "x", "c": None}, {"a": "z", "b": None, "c": [1]}]
    assert list(different.to_pandas().index) == [0, 1]


@pytest.mark.parametrize("content", ['{"a":1,"b":"x","c":[1]}\n', '{"a":1,"b":"x","c":{}}\n{"a":"mixed"}\n'])
def test_fields_choose_columns_in_order(tmp_path: Path, content: str) -> None:
    assert read(write(tmp_path / "a.jsonl", content), fields=["b", "a"]).get_columns() == ["b", "a"]


@pytest.mark.parametrize("engine", ["auto", "json", "pandas", "pyarrow_direct"])
def test_a_missing_field_is_named(tmp_path: Path, engine: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.jsonl", '{"a":1,"b":"x"}\n')
    batch = read(path, fields=["b", "nope"], read_kwargs={"engine": engine})
    assert batch.get_columns() == ["b"]
    assert caplog.messages == [f"stage 'jsonl_reader': {path} has no column 'nope'; it has: a, b"]
    with pytest.raises(DataError, match=re.escape(f"{path} has no column 'nope'; it has: a, b")):
        read(path, fields=["nope"], read_kwargs={"engine": engine})


def test_files_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", " \n")
    with pytest.raises(
        DataError, match=r"task corpus has no rows; its 1 file\(s\) are empty: .*a\.jsonl\. Pass allow_empty=True"
    ):
        read(path)
    assert read(path, allow_empty=True).num_items == 0
    assert read(path, allow_empty=True, fields=["text"]).get_columns() == ["text"]


def test_pandas_reads_when_asked_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"a":"007"}\n')
    assert rows(read(path, read_kwargs={"engine": "pandas"})) == [{"a": 7}]
    assert rows(read(path, read_kwargs={"dtype": False})) == [{"a": "007"}]
    assert rows(read(path, read_kwargs={"engine": "ujson", "nrows": 1})) == [{"a": 7}]
    latin = write(tmp_path / "b.jsonl", '{"a":"é"}\n'.encode("latin-1"))
    assert rows(read(latin, read_kwargs={"encoding": "latin-1"})) == [{"a": "é"}]


def test_arrow_reads_when_asked_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"a":{"b":"2023-01-01"}}\n')
    options = {"engine": "pyarrow_direct", "pyarrow_block_size": 16, "pyarrow_max_block_size": 64}
    table = read(path, read_kwargs=options).data
    assert isinstance(table, pa.Table)
    assert table.schema.field("a").type == pa.struct([("b", pa.timestamp("s"))])
    write(path, '{"a":1}\n{"a":"x"}\n')
    with pytest.raises(DataError, match=r"engine 'pyarrow_direct' cannot read it: .* Leave out 'engine'"):
        read(path, read_kwargs={"engine": "pyarrow_direct"})


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst", ".lz4"])
def test_compressed_files_are_read_by_their_name(tmp_path: Path, suffix: str) -> None:
    from nemo_curator.utils.compression import COMPRESSION_SUFFIXES, compressed_writer

    path = tmp_path / f"a.jsonl{suffix}"
    with open(path, "wb") as raw, compressed_writer(raw, COMPRESSION_SUFFIXES[suffix]) as handle:
        handle.write(b'{"a":1}\n')
    assert rows(read(path)) == [{"a": 1}]
    plain = path.rename(tmp_path / "plain.jsonl")
    assert rows(read(plain, read_kwargs={"compression": COMPRESSION_SUFFIXES[suffix]})) == [{"a": 1}]


def test_urls_are_read() -> None:
    MemoryFileSystem().pipe({"/jsonl/a.jsonl": b'{"a":1}\n', "/jsonl/b.jsonl.gz": gzip.compress(b'{"a":2}\n')})
    partitioning, reader = JsonlReader("memory://jsonl", files_per_partition=2).decompose()
    partitioning.check_before_run()
    (task,) = partitioning.process(None)
    assert rows(reader.process(task)) == [{"a": 1}, {"a": 2}]
    with pytest.raises(InputError, match=r"memory://jsonl/gone.jsonl is not there any more"):
        read("memory://jsonl/gone.jsonl")


CUT = "; the file ends inside this line, so it was probably cut off while it was written"
BAD = {
    "cut off": (
        b'{"a":1}\n{"a":"xy',
        f"line 2 (byte 8) is not valid JSON: Unterminated string starting at character 6{CUT}",
    ),
    "cut at a value": (b'{"a":1}\n{"a":', f"line 2 (byte 8) is not valid JSON: Expecting value at character 6{CUT}"),
    "no comma": (b'{"a":1 "b":2}\n', "line 1 (byte 0) is not valid JSON: Expecting ',' delimiter at character 8"),
    "two on a line": (b'{"a":1}{"a":2}\n', "line 1 (byte 0) is not valid JSON: Extra data at character 8"),
    "over two lines": (b'{"a":\n1}\n', "line 1 (byte 0) is not valid JSON: Expecting value at character 6"),
    "not utf-8": (b'{"a":1}\n{"a":"\xff"}\n', "line 2 (byte 8) has the byte 0xff at position 7, which is not UTF-8"),
    "half a pair": (b'{"a":1}\n{"a":"\\ud800"}\n', "line 2 (byte 8) has half of a surrogate pair (\\ud800 to \\udfff)"),
    "no object": (b'{"a":1}\n\n[2]\n', "line 3 (byte 9) is an array, but every line must be an object"),
    "null": (b'{"a":1}\nnull\n', "line 2 (byte 8) is null, but every line must be an object"),
    "late null": (b'{"a":1}\n' * 9 + b"null", "line 10 (byte 72) is null, but every line must be an object"),
    "too deep": (b'{"a":' + b"[" * 100_000 + b"\n", "line 1 (byte 0) is nested too deeply"),
}


@pytest.mark.parametrize("engine", ["auto", "json", "pyarrow_direct"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named(tmp_path: Path, case: str, engine: str) -> None:
    content, message = BAD[case]
    if engine == "pyarrow_direct" and case in {"two on a line", "over two lines", "null", "late null"}:
        pytest.skip("Arrow takes these")
    path = write(tmp_path / "a.jsonl", content)
    with pytest.raises(DataError) as caught:
        read(path, read_kwargs={"engine": engine})
    assert str(caught.value).startswith(f"stage 'jsonl_reader': {path}: {message}")
    assert "It starts with: " in str(caught.value)
    assert "Repair or remove that line" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....PAR1", "is not JSON Lines but looks like a Parquet file: read it with ParquetReader"),
        (
            gzip.compress(b"{}", mtime=0),
            "looks like a gzip file: let its name end in .gz, or pass read_kwargs={'compression': 'gzip'}",
        ),
        (b'[\n{"a":1}\n]\n', "looks like a JSON array: write one object on each line: jq -c '.[]' FILE"),
        ('{"a":1}'.encode("utf-16"), "looks like UTF-16 text: convert it: iconv -f UTF-16 -t UTF-8 FILE"),
        (b"<html></html>\n", "looks like HTML or XML: check what wrote it"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "pandas"])
def test_another_kind_of_file_is_recognised(tmp_path: Path, content: bytes, message: str, engine: str) -> None:
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "a.jsonl", content), read_kwargs={"engine": engine})
    assert str(caught.value).endswith(message)


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    data = gzip.compress(json.dumps({"a": list(range(1000))}).encode())
    path = write(tmp_path / "a.jsonl.gz", data[:100])
    with pytest.raises(
        DataError, match=r"a\.jsonl\.gz should be compressed with gzip, but it ends in the middle .* after 100 bytes"
    ):
        read(path)
    with pytest.raises(DataError, match="It looks like JSON Lines: correct its name"):
        read(write(path, '{"a":1}\n'))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"{tmp_path}/gone is not there any more, though it was when files were listed"
    ):
        read(tmp_path / "gone")
    with pytest.raises(InputError, match=f"{tmp_path} is a folder, not a file"):
        read(tmp_path)
    path = write(tmp_path / "secret.jsonl", "{}\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="may not be read by this user"):
        read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_kwargs": {"engine": "pyarow"}}, "engine 'pyarow' is not known; known: .* Did you mean 'pyarrow'?"),
        ({"read_kwargs": {"engine": "json", "nrows": 1}}, "engine 'json' does not read nrows; engine='pandas' does"),
        ({"read_kwargs": {"lines": False}}, "reads one object a line; lines=False is not possible"),
        ({"read_kwargs": {"compression": "rar"}}, "compression 'rar' is not known"),
        ({"fields": "text"}, "fields must be a list of column names or None for all, got 'text'"),
        ({"fields": []}, "fields must be a list"),
        ({"_generate_ids": True, "_assign_ids": True}, "not both"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        JsonlReader("in", **options)


def test_the_composite_lists_and_reads() -> None:
    mine = {"storage_options": {"x": 1}}
    reader = JsonlReader("in", files_per_partition=3, fields=["text"], read_kwargs=mine)
    partitioning, stage = reader.decompose()
    assert isinstance(partitioning, FilePartitioningStage)
    assert (partitioning.file_extensions, partitioning.storage_options) == ([".jsonl", ".json"], {"x": 1})
    assert isinstance(stage, JsonlReaderStage)
    assert (stage.outputs(), stage.outputs_are_complete, stage.resources.cpus) == ((["data"], ["text"]), True, 1.0)
    assert stage.ray_stage_spec() == {"is_actor_stage": False}
    assert not JsonlReaderStage().outputs_are_complete
    assert reader.get_description() == "Read in: 3 files a task, columns text"
    assert JsonlReader("in", blocksize="1MB").get_description() == "Read in: 1MB a task, all columns"
    assert JsonlReader("in").get_description() == "Read in: one file a task, large ones in parts, all columns"
    assert reader.with_({"jsonl_reader": {"batch_size": 4}}).decompose_and_apply_with()[1].batch_size == 4
    assert mine == {"storage_options": {"x": 1}}
    with pytest.raises(NotImplementedError, match="task_type='image' does not exist"):
        JsonlReader("in", task_type="image").decompose()


def test_logging_is_quiet_when_all_is_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(write(tmp_path / "a.jsonl", '{"a":1}\n'), fields=["a"])
    assert caplog.messages == []


BAD_LINES = b'{"a": 1}\n[1]\n{"a": 2\n\n{"a": "\\ud800"}\n{"a": "\xff"}\n{"a": 3}\n'


@pytest.mark.parametrize("engine", ["auto", "json"])
def test_bad_lines_are_left_out_if_that_is_wanted(
    tmp_path: Path, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(BAD_LINES)
    stage = JsonlReaderStage(read_kwargs={"on_bad_lines": "drop", "engine": engine})
    batch = stage.process(FileGroupTask(dataset_name="d", data=[str(path)]))
    assert batch is not None
    assert batch.to_pandas()["a"].tolist() == [1, 3]
    assert stage._consume_drops() == {"bad_line": 4}
    assert "a.jsonl: line 2 (byte 9) is an array, but every line must be an object" in caplog.text
    assert stage.count_file(str(path)) == 2
    assert stage.count_part(str(path), 0, len(BAD_LINES)) == 2


def test_ids_are_given_to_the_lines_that_are_left(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(BAD_LINES)
    (tmp_path / "b.jsonl").write_bytes(b'{"a": 4}\n')
    reader = JsonlReader(str(tmp_path), read_kwargs={"on_bad_lines": "drop"}, _generate_ids=True)
    pipeline = Pipeline("ids", stages=[reader])
    batches = pipeline.run(LocalExecutor(mode="inline", preserve_order=True)) or []
    rows = [row for batch in batches for row in batch.to_pandas()[["_curator_dedup_id", "a"]].values.tolist()]
    assert rows == [[0, 1], [1, 3], [2, 4]]
    assert pipeline.last_report is not None
    assert pipeline.last_report.stage("jsonl_reader").items_dropped == {"bad_line": 4}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_bad_lines": "skip"}, "must be 'fail' or 'drop'"),
        ({"on_bad_lines": "drop", "engine": "pandas"}, "'pandas' cannot leave bad lines out"),
        ({"on_bad_lines": "drop", "engine": "pyarrow_direct"}, "cannot leave bad lines out"),
    ],
    ids=str,
)
def test_what_to_do_about_bad_lines_is_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        JsonlReader("x", read_kwargs=options)
