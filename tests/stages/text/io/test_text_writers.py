from __future__ import annotations

import datetime
import decimal
import errno
import json
import os
import pickle
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import DataError, OptionError, OutputError
from nemo_curator.stages.text.io.reader import JsonlReaderStage, ParquetReaderStage
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.stages.text.modifiers import Modify, UnicodeReformatter
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash

WRITERS = [JsonlWriter, ParquetWriter]
READERS = {JsonlWriter: JsonlReaderStage, ParquetWriter: ParquetReaderStage}


def batch(data: Any, task_id: str = "0_abc_0", sources: list[str] | None = None) -> DocumentBatch:
    task = DocumentBatch(dataset_name="corpus", data=data, _metadata={"source_files": sources} if sources else {})
    task._set_task_id("", task_id)
    return task


def lines(result: FileGroupTask) -> list[Any]:
    return [json.loads(line) for line in Path(result.data[0]).read_text().splitlines()]


FRAME = pd.DataFrame({"id": [1, 2], "text": ['é "x" \\ \n\t\x01 %s', None], "score": [0.1, 1e300]})
ROWS = [{"id": 1, "text": 'é "x" \\ \n\t\x01 %s', "score": 0.1}, {"id": 2, "text": None, "score": 1e300}]


@pytest.mark.parametrize("data", [FRAME, pa.Table.from_pandas(FRAME), FRAME.convert_dtypes(dtype_backend="pyarrow")])
def test_json_lines_hold_every_value(tmp_path: Path, data: Any) -> None:
    result = JsonlWriter(str(tmp_path)).process(batch(data))
    assert lines(result) == ROWS
    assert b"\xc3\xa9" in Path(result.data[0]).read_bytes()


@pytest.mark.parametrize("data", [FRAME, pa.Table.from_pandas(FRAME)])
def test_parquet_holds_every_value(tmp_path: Path, data: Any) -> None:
    result = ParquetWriter(str(tmp_path)).process(batch(data))
    assert pq.read_table(result.data[0]).to_pylist() == ROWS


@pytest.mark.parametrize("writer", WRITERS)
def test_the_name_comes_from_sources_and_task(tmp_path: Path, writer: type[BaseWriter]) -> None:
    extension = writer("x").get_file_extension()
    result = writer(str(tmp_path / "new" / "out")).process(batch(FRAME, "0_h_0", ["/b", "/a"]))
    assert result.data == [f"{tmp_path}/new/out/{get_deterministic_hash(['/a', '/b'], '0_h_0')}.{extension}"]
    assert (result.dataset_name, result._metadata) == ("corpus", {"format": extension})
    without = writer(str(tmp_path)).process(batch(FRAME, "0_h_0"))
    assert without.data == [f"{tmp_path}/{get_deterministic_hash([], '0_h_0')}.{extension}"]


@pytest.mark.parametrize("writer", WRITERS)
def test_writing_again_replaces_the_file_by_the_same(tmp_path: Path, writer: type[BaseWriter]) -> None:
    stage = pickle.loads(pickle.dumps(writer(str(tmp_path))))
    first = Path(stage.process(batch(FRAME)).data[0]).read_bytes()
    assert Path(stage.process(batch(FRAME)).data[0]).read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("writer", WRITERS)
def test_batches_without_an_id_do_not_share_a_name(tmp_path: Path, writer: type[BaseWriter]) -> None:
    stage = writer(str(tmp_path))
    for data in (FRAME, FRAME[:1], FRAME):
        stage.process(batch(data, ""))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("mode", ["ignore", "error", "overwrite"])
@pytest.mark.parametrize("writer", WRITERS)
def test_building_a_stage_touches_nothing(tmp_path: Path, writer: type[BaseWriter], mode: str) -> None:
    (tmp_path / "old").write_text("old")
    writer(str(tmp_path), mode=mode)
    writer(str(tmp_path / "new"), mode=mode).check_before_run()
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_modes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    JsonlWriter(str(tmp_path), mode="error").check_before_run()
    (tmp_path / ".hidden.tmp").write_text("left by a killed run")
    JsonlWriter(str(tmp_path), mode="error").check_before_run()
    (tmp_path / "old.jsonl").write_text("old")
    with pytest.raises(
        OutputError, match=f"{tmp_path} already has 1 files, old.jsonl among them. Choose another folder"
    ):
        JsonlWriter(str(tmp_path), mode="error").check_before_run()
    JsonlWriter(str(tmp_path), mode="ignore").check_before_run()
    assert caplog.messages == []
    JsonlWriter(str(tmp_path), mode="overwrite").check_before_run()
    assert "already has 1 files; data files among them that are not written again are removed at the end" in caplog.text
    with pytest.raises(NotImplementedError, match="cannot append to files; mode='ignore'"):
        JsonlWriter(str(tmp_path), mode="append")
    JsonlWriter(str(tmp_path), mode="append", append_mode_implemented=True)
    with pytest.raises(OptionError, match=r"mode 'overwrit' is not known; known: .* Did you mean 'overwrite'?"):
        JsonlWriter(str(tmp_path), mode="overwrit")


def test_a_folder_that_cannot_be_written_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OutputError, match=f"cannot write to {path}: {tmp_path}/file is not a folder"):
            JsonlWriter(str(path)).check_before_run()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match=f"{closed} is not writable for this user"):
        JsonlWriter(str(closed / "new")).check_before_run()


def test_a_relative_path_means_the_folder_where_the_stage_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = JsonlWriter("out")
    monkeypatch.chdir("/")
    assert stage.process(batch(FRAME)).data[0].startswith(f"{tmp_path}/out/")


@pytest.mark.parametrize("writer", WRITERS)
def test_urls_are_written(writer: type[BaseWriter]) -> None:
    fs = MemoryFileSystem()
    fs.store.clear()
    stage = writer("memory://out/deep", mode="error")
    stage.check_before_run()
    result = stage.process(batch(FRAME))
    assert result.data[0].startswith("memory:///out/deep/")
    assert len(fs.find("/out")) == 1
    assert READERS[writer]().process(result).num_items == 2
    with pytest.raises(OutputError, match="memory://out/deep already has 1 files"):
        stage.check_before_run()


@pytest.mark.parametrize(
    ("compression", "suffix"), [("gzip", ".gz"), ("bz2", ".bz2"), ("xz", ".xz"), ("zstd", ".zst"), ("lz4", ".lz4")]
)
def test_compressed_json_lines_are_named_so(tmp_path: Path, compression: str, suffix: str) -> None:
    stage = JsonlWriter(str(tmp_path), write_kwargs={"compression": compression})
    result = stage.process(batch(FRAME))
    assert result.data[0].endswith(f".jsonl{suffix}")
    assert JsonlReaderStage().process(result).to_pandas()["score"].tolist() == [0.1, 1e300]
    already = JsonlWriter(str(tmp_path), f"jsonl{suffix}", {"compression": compression}).process(batch(FRAME))
    assert already.data == result.data


def test_options_are_passed_on(tmp_path: Path) -> None:
    assert (
        '"\\u00e9'
        in Path(
            JsonlWriter(str(tmp_path), write_kwargs={"force_ascii": True}).process(batch(FRAME)).data[0]
        ).read_text()
    )
    result = ParquetWriter(str(tmp_path), write_kwargs={"compression": "zstd", "row_group_size": 1}).process(
        batch(FRAME)
    )
    metadata = pq.read_metadata(result.data[0])
    assert (metadata.num_row_groups, metadata.row_group(0).column(0).compression) == (2, "ZSTD")
    schema = pa.schema([("id", pa.int32())])
    for data in (FRAME[["id"]], pa.Table.from_pandas(FRAME[["id"]])):
        typed = ParquetWriter(str(tmp_path), write_kwargs={"schema": schema}).process(batch(data))
        assert pq.read_schema(typed.data[0]).field("id").type == pa.int32()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: JsonlWriter("x", write_kwargs={"compression": "rar"}), "compression 'rar' is not known"),
        (lambda: JsonlWriter("x", fields="text"), "fields must be a list"),
        (
            lambda: ParquetWriter("x", write_kwargs={"partition_cols": ["lang"]}),
            "partition_cols would make several files",
        ),
        (lambda: ParquetWriter("x", write_kwargs={"engine": "fastparquet"}), "writes with pyarrow"),
    ],
)
def test_wrong_options_are_refused(build: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build()


@pytest.mark.parametrize("data", [FRAME, pa.Table.from_pandas(FRAME)])
@pytest.mark.parametrize("writer", WRITERS)
def test_fields_choose_columns_in_order(tmp_path: Path, writer: type[BaseWriter], data: Any) -> None:
    stage = writer(str(tmp_path), fields=["score", "id"])
    result = READERS[writer]().process(stage.process(batch(data)))
    assert result.get_columns() == ["score", "id"]
    assert stage.inputs() == (["data"], ["score", "id"])
    with pytest.raises(DataError, match="task 0_abc_0 has no column 'nope'; it has: id, text, score"):
        writer(str(tmp_path), fields=["nope"]).process(batch(data))


@pytest.mark.parametrize("writer", WRITERS)
def test_a_batch_without_rows_is_a_file_without_rows(tmp_path: Path, writer: type[BaseWriter]) -> None:
    stage = writer(str(tmp_path), fields=["text"])
    for data in (FRAME[:0], pa.table({})):
        assert stage.validate_input(batch(data))
        result = stage.process(batch(data))
        assert READERS[writer](allow_empty=True).process(result).num_items == 0


def test_an_index_is_written_if_it_has_a_name(tmp_path: Path) -> None:
    write = ParquetWriter(str(tmp_path)).process
    assert pq.read_schema(write(batch(FRAME[FRAME["id"] > 1])).data[0]).names == ["id", "text", "score"]
    assert pq.read_schema(write(batch(FRAME.set_index("id"))).data[0]).names == ["text", "score", "id"]
    forced = ParquetWriter(str(tmp_path), write_kwargs={"index": True}).process(batch(FRAME))
    assert "__index_level_0__" in pq.read_schema(forced.data[0]).names


def test_what_json_can_say_somehow_is_said(tmp_path: Path) -> None:
    columns = {
        "when": [pd.Timestamp("2020-01-02 03:04:05.678901"), pd.NaT],
        "day": [datetime.date(2020, 1, 2), None],
        "inside": [{"n": float("nan"), "t": (1, float("inf"))}, [np.int64(3), np.array([1.5, np.nan])]],
        "exact": [decimal.Decimal("0.10"), uuid.UUID(int=1)],
        "big": [2**70, True],
        "text": ["half \ud800", None],
    }
    data = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    data["when"] = data["when"].astype("datetime64[us]")
    assert lines(JsonlWriter(str(tmp_path)).process(batch(data))) == [
        {
            "when": "2020-01-02T03:04:05.678901",
            "day": "2020-01-02",
            "inside": {"n": None, "t": [1, None]},
            "exact": 0.1,
            "big": 2**70,
            "text": "half \ud800",
        },
        {
            "when": None,
            "day": None,
            "inside": [3, [1.5, None]],
            "exact": str(uuid.UUID(int=1)),
            "big": True,
            "text": None,
        },
    ]
    assert lines(JsonlWriter(str(tmp_path)).process(batch(pd.DataFrame([{}, {}])))) == [{}, {}]


@pytest.mark.parametrize("value", [b"bytes", object(), {"x": {1, 2}}])
def test_what_json_cannot_say_is_refused_and_leaves_nothing(tmp_path: Path, value: object) -> None:
    data = pd.DataFrame({"ok": [1], "odd": pd.Series([value], dtype=object)})
    with pytest.raises(
        DataError, match=r"task 0_abc_0 cannot be written as JSON: column 'odd' has a value of type .* or write Parquet"
    ):
        JsonlWriter(str(tmp_path)).process(batch(data))
    assert list(tmp_path.iterdir()) == []


def test_what_parquet_cannot_say_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Conversion failed for column odd .* Make every column of one type"):
        ParquetWriter(str(tmp_path)).process(batch(pd.DataFrame({"odd": pd.Series([1, "x"], dtype=object)})))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_columns_of_the_same_name_are_refused(tmp_path: Path, writer: type[BaseWriter]) -> None:
    with pytest.raises(DataError, match="has several columns named a"):
        writer(str(tmp_path)).process(batch(pd.DataFrame([[1, 2]], columns=["a", "a"])))


class FullDisk(BaseWriter):
    """Writes until the disk is full."""

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        with self.open_output(file_path) as handle:
            handle.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, where: str) -> None:
    MemoryFileSystem().store.clear()
    folder = str(tmp_path) if where == "disk" else "memory://full"
    with pytest.raises(
        OutputError, match=r"stage 'writer': cannot write .*/full/.*|.* No space left on device. No part of it was left"
    ):
        FullDisk(folder, "bin").process(batch(FRAME))
    assert list(tmp_path.iterdir()) == []
    assert MemoryFileSystem().find("/full") == []


LIMITED = """
import resource, sys
from nemo_curator.errors import OutputError
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks import DocumentBatch
import pandas as pd
frame = pd.DataFrame({"text": [str(i) * 50 for i in range(20000)]})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for writer in (JsonlWriter, ParquetWriter):
    try:
        writer(sys.argv[1]).process(DocumentBatch(dataset_name="x", data=frame))
    except OutputError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_a_real_refusal_by_the_system_leaves_nothing(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (
        len(re.findall(r"^OutputError stage '\w+': cannot write .* File too large. No part", result.stdout, re.M)) == 2
    ), result
    assert list(tmp_path.iterdir()) == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
records = st.lists(
    st.fixed_dictionaries(
        {
            "id": numbers,
            "text": texts,
            "maybe": st.none() | texts,
            "score": st.floats(allow_nan=False, allow_infinity=False),
            "flag": st.booleans(),
        }
    ),
    min_size=1,
    max_size=10,
)


@given(records)
@pytest.mark.parametrize("payload", ["frame", "table"])
@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, writer: type[BaseWriter], payload: str, records: list[dict[str, Any]]
) -> None:
    table = pa.Table.from_pylist(records)
    result = writer(str(tmp_path_factory.mktemp("trip"))).process(
        batch(table if payload == "table" else table.to_pandas())
    )
    back = READERS[writer]().process(result).to_pandas()
    assert [
        {key: None if value is pd.NA or value != value else value for key, value in row.items()}
        for row in back.to_dict("records")
    ] == records


nested = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x, max_size=3),
    max_leaves=8,
)


@given(st.lists(nested, min_size=1, max_size=5))
def test_nested_json_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    frame = pd.DataFrame({"n": range(len(values)), "value": pd.Series([[value] for value in values], dtype=object)})
    result = JsonlWriter(str(tmp_path_factory.mktemp("nested"))).process(batch(frame))
    back = JsonlReaderStage().process(result).to_pandas()
    assert [value for (value,) in back["value"]] == values


@pytest.mark.parametrize("package", ["reader", "writer"])
def test_the_driver_imports_no_pandas(package: str) -> None:
    code = (
        f"import sys, nemo_curator.stages.text.io.{package} as p; names = [getattr(p, name) for name in p.__all__];"
        "names[0]('x'); print(*{'pandas', 'pyarrow', 'numpy', 'fsspec'} & set(sys.modules))"
    )
    if package == "reader":
        code = code.replace("names[0]('x')", "p.JsonlReader('x').decompose()")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
    module = __import__(f"nemo_curator.stages.text.io.{package}", fromlist=["x"])
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'Nope'"):
        _ = module.Nope


def test_parquet_says_what_to_do_about_half_a_surrogate_pair(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": pd.Series(["good", "a \ud800"], dtype=object)})
    batch = DocumentBatch(dataset_name="d", data=frame)
    with pytest.raises(DataError, match=r"half of a surrogate pair.*Modify\(UnicodeReformatter\(\)\)"):
        ParquetWriter(str(tmp_path)).process(batch)
    assert ParquetWriter(str(tmp_path)).process(Modify(UnicodeReformatter()).process(batch)).data
