"""Files that are read in parts: every row is in exactly one of them, wherever they are cut."""

from __future__ import annotations

import gzip
import json
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import JsonlReader, JsonlReaderStage, ParquetReader, ParquetReaderStage
from nemo_curator.stages.text.io.reader.base import BaseReader, FileReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask


def _parts(path: Path | str, cuts: list[int]) -> list[FileGroupTask]:
    return [FileGroupTask("d", [str(path)], reader_config={"byte_range": list(bounds)}) for bounds in pairwise(cuts)]


def _rows(reader: BaseReader, tasks: list[FileGroupTask]) -> list[dict[str, Any]]:
    batches = [batch for task in tasks if (batch := reader.process(task)) is not None]
    return [row for batch in batches for row in batch.to_pandas().to_dict("records")]


LINES = st.lists(st.one_of(st.just("blank"), st.text(max_size=12)), max_size=12)


@given(LINES, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 500), max_size=6))
def test_every_line_is_in_one_part(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], ended: bool, end: str, cuts: list[int]
) -> None:
    rows = [{"n": n, "text": text} for n, text in enumerate(texts) if text != "blank"]
    lines = ["" if text == "blank" else json.dumps({"n": n, "text": text}) for n, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("parts") / "a.jsonl"
    path.write_bytes((end.join(lines) + (end if ended else "")).encode())
    size = path.stat().st_size
    bounds = sorted({0, size, *(cut % (size + 1) for cut in cuts)})
    assert _rows(JsonlReaderStage(), _parts(path, bounds)) == rows


def test_a_line_longer_than_many_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n' + json.dumps({"a": "x" * 300_000}) + '\n{"a":3}\n')
    rows = _rows(JsonlReaderStage(), _parts(path, [*range(0, path.stat().st_size, 1000), path.stat().st_size]))
    assert [len(str(row["a"])) for row in rows] == [1, 300_000, 1]


@given(st.integers(0, 40), st.integers(1, 9), st.lists(st.integers(0, 5000), max_size=6))
def test_every_row_group_is_in_one_part(
    tmp_path_factory: pytest.TempPathFactory, rows: int, size: int, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("groups") / "a.parquet"
    table = pa.table({"n": list(range(rows)), "text": [f"text {n % 3}" for n in range(rows)]})
    pq.write_table(table, path, row_group_size=size)
    end = path.stat().st_size
    bounds = sorted({0, end, *(cut % (end + 1) for cut in cuts)})
    assert [row["n"] for row in _rows(ParquetReaderStage(), _parts(path, bounds))] == list(range(rows))


def test_a_part_has_the_types_and_columns_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame({"key": ["x", "y"], "n": [1, None], "tags": [["a"], []]}).set_index("key")
    frame.to_parquet(path, row_group_size=1)
    (part,) = _parts(path, [0, path.stat().st_size])
    for fields in (None, ["n", "key"]):
        reader = ParquetReaderStage(fields=fields)
        batch = reader.process(part)
        assert batch is not None
        pd.testing.assert_frame_equal(batch.to_pandas(), reader.read_file(str(path)))
    with pytest.raises(DataError, match="has no column 'nope'; it has: n, tags, key"):
        ParquetReaderStage(fields=["nope"]).process(part)


def test_a_damaged_line_is_told_with_its_part(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n{"a":2}\n{"a":\n')
    with pytest.raises(DataError, match=r"a.jsonl \(of the lines that begin at bytes 8 to 22\): line 2 "):
        JsonlReaderStage().process(_parts(path, [8, 22])[0])
    path.unlink()
    with pytest.raises(InputError, match=r"a\.jsonl"):
        JsonlReaderStage().process(_parts(path, [8, 22])[0])


def test_a_reader_that_cannot_says_so() -> None:
    class Other(JsonlReaderStage):
        read_part = BaseReader.read_part

    with pytest.raises(NotImplementedError, match="does not read parts of files"):
        Other().process(_parts("/x", [0, 1])[0])


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (JsonlReaderStage(), True),
        (JsonlReaderStage(read_kwargs={"compression": "gzip"}), False),
        (JsonlReaderStage(read_kwargs={"encoding": "utf-16"}), False),
        (ParquetReaderStage(), True),
        (ParquetReaderStage(read_kwargs={"columns": ["a"], "use_threads": True}), True),
        (ParquetReaderStage(read_kwargs={"filters": [("a", "=", 1)]}), False),
        (ParquetReaderStage(read_kwargs={"dtype_backend": "numpy_nullable"}), False),
    ],
)
def test_who_reads_parts(stage: BaseReader, expected: bool) -> None:
    assert stage.can_split() is expected


def _partition(folder: Path | str, **options: Any) -> list[tuple[list[str], tuple[int, int] | None]]:
    tasks = FilePartitioningStage(str(folder), split_files=True, **options).process(EmptyTask())
    return [([Path(path).name for path in task.data], task.byte_range) for task in tasks]


def test_large_files_become_parts(tmp_path: Path) -> None:
    for name, size in {"a.jsonl": 25, "b.jsonl": 10, "c.jsonl.gz": 50, "d.jsonl": 3}.items():
        (tmp_path / name).write_bytes(b"x" * size)
    whole = [(["d.jsonl"], None), (["b.jsonl"], None), (["c.jsonl.gz"], None)]
    parts = [(["a.jsonl"], bounds) for bounds in [(0, 8), (8, 16), (16, 25)]]
    assert _partition(tmp_path, blocksize=10) == whole + parts
    assert _partition(tmp_path, blocksize=10, limit=4) == [*whole, parts[0]]
    assert _partition(tmp_path, files_per_partition=9) == [(["a.jsonl", "b.jsonl", "c.jsonl.gz", "d.jsonl"], None)]
    (tmp_path / "b.jsonl").unlink()
    with (tmp_path / "b.jsonl").open("wb") as file:
        file.truncate(600_000_000)  # sparse
    assert _partition(tmp_path) == [
        (["a.jsonl"], None),
        *[
            (["b.jsonl"], bounds)
            for bounds in [(0, 200_000_000), (200_000_000, 400_000_000), (400_000_000, 600_000_000)]
        ],
        (["c.jsonl.gz"], None),
        (["d.jsonl"], None),
    ]


def test_parts_are_sources_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n')
    one, two = _parts(path, [0, 4, 8])
    whole = FileGroupTask("d", [str(path)])
    assert len({task.get_deterministic_id() for task in (one, two, whole)}) == 3
    assert one.content_state() == two.content_state() == whole.content_state()


@pytest.mark.parametrize(("reader", "extension"), [(JsonlReader, "jsonl"), (ParquetReader, "parquet")])
def test_a_pipeline_over_parts(tmp_path: Path, reader: type[FileReader], extension: str) -> None:
    frame = pd.DataFrame({"n": range(500), "text": [f"text {n}" for n in range(500)]})
    path, out = tmp_path / f"a.{extension}", tmp_path / "out"
    if extension == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, row_group_size=50)
    build: Any = reader
    pipeline = Pipeline("parts", stages=[build(str(path), blocksize="1kB"), JsonlWriter(str(out))])
    executor = LocalExecutor(mode="threads", num_workers=2)
    pipeline.run(executor, checkpoint_path=str(tmp_path / "c"))
    assert pipeline.last_report is not None
    sources = pipeline.last_report.sources_completed
    assert sources == -(-path.stat().st_size // 1000) > 3
    written = [json.loads(line)["n"] for file in out.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert sorted(written) == list(range(500))
    # One part of a file that was cut in many is what a killed run does again.
    pipeline.run(executor, checkpoint_path=str(tmp_path / "c"))
    assert pipeline.last_report.sources_left_out == sources


def test_a_remote_file_in_parts() -> None:
    name = uuid.uuid4().hex
    data = b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(100))
    MemoryFileSystem().pipe({f"/{name}/a.jsonl": data, f"/{name}/b.jsonl.gz": gzip.compress(data)})
    outputs = Pipeline("remote", stages=[JsonlReader(f"memory://{name}", blocksize=100)]).run(
        LocalExecutor(mode="inline")
    )
    batches = [task for task in outputs or [] if isinstance(task, DocumentBatch)]
    assert len(batches) > 10
    assert sorted(n for batch in batches for n in batch.to_pandas()["n"]) == sorted([*range(100)] * 2)
