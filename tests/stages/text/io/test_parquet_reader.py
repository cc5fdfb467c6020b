from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.io.reader import ParquetReader, ParquetReaderStage
from nemo_curator.tasks import EmptyTask, FileGroupTask


def read(*files: Path | str, **options: Any) -> pd.DataFrame:
    task = FileGroupTask(dataset_name="corpus", data=[str(path) for path in files])
    return ParquetReaderStage(**options).process(task).to_pandas()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = pa.table({"id": pa.array([2**60 + 1, None]), "text": ["x", None], "tags": [["a"], []], "n": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_columns_keep_their_types(path: Path) -> None:
    frame = read(path)
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
    assert frame["id"].tolist() == [2**60 + 1, pd.NA]
    assert [list(tags) for tags in frame["tags"]] == [["a"], []]


def test_fields_choose_columns_in_order(path: Path) -> None:
    assert list(read(path, fields=["n", "id"]).columns) == ["n", "id"]
    assert list(read(path, read_kwargs={"columns": ["n"]}).columns) == ["n"]
    with pytest.raises(DataError, match=re.escape(f"{path} has no column 'nope'; it has: id, text, tags, n")):
        read(path, fields=["id", "nope"])


def test_user_values_win(path: Path) -> None:
    mine = {"dtype_backend": "numpy_nullable", "filters": [("n", ">", 1)]}
    frame = read(path, read_kwargs=mine)
    assert frame["n"].tolist() == [2]
    assert str(frame["n"].dtype) == "Int64"
    assert mine == {"dtype_backend": "numpy_nullable", "filters": [("n", ">", 1)]}


def test_files_of_a_group_are_put_below_one_another(path: Path, tmp_path: Path) -> None:
    pd.DataFrame({"n": [3]}, index=[7]).to_parquet(tmp_path / "b.parquet")
    frame = read(path, tmp_path / "b.parquet")
    assert frame["n"].tolist() == [1, 2, 3]
    assert frame.index.tolist() == [0, 1, 2]
    assert "__index_level_0__" not in frame.columns


def test_a_named_index_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"key": ["x"], "n": [1]}).set_index("key").to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").to_dict("records") == [{"key": "x", "n": 1}]
    assert list(read(tmp_path / "a.parquet", fields=["n", "key"]).columns) == ["n", "key"]


def test_a_folder_name_with_an_equals_sign_adds_no_column(path: Path, tmp_path: Path) -> None:
    (tmp_path / "lang=en").mkdir()
    moved = path.rename(tmp_path / "lang=en" / "a.parquet")
    assert "lang" not in read(moved).columns


def test_urls_and_compressed_files_are_read(path: Path, tmp_path: Path) -> None:
    import gzip

    MemoryFileSystem().pipe_file("/parquet/a.parquet", path.read_bytes())
    partitioning, reader = ParquetReader("memory://parquet", fields=["n"]).decompose()
    (task,) = partitioning.process(None)
    assert reader.process(task).to_pandas()["n"].tolist() == [1, 2]
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read(tmp_path / "a.parquet.gz")["n"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: not a Parquet file. Delete it or write it again"),
        (b'{"a":1}\n', "is not a Parquet file but looks like JSON Lines: read it with JsonlReader"),
        (b"PAR1xxxxxxxxxxxxxxx", "starts like a Parquet file but has no footer: it was cut off while it was written"),
        (b"text of no kind", "is not a Parquet file: check what wrote it"),
    ],
)
def test_another_kind_of_file_is_recognised(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.parquet")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"stage 'parquet_reader': {tmp_path}/a.parquet ")


def test_damaged_content_is_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    with pytest.raises(DataError, match="has a Parquet footer, but its content is damaged"):
        read(path)


def test_unreadable_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone is not there any more"):
        read(tmp_path / "gone")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="has no rows"):
        read(tmp_path / "empty.parquet")
    assert list(read(tmp_path / "empty.parquet", allow_empty=True).columns) == ["a"]


def test_the_composite_lists_and_reads() -> None:
    partitioning, stage = ParquetReader("in", 2, None, ["a"], None, [".pq"]).decompose()
    assert isinstance(partitioning, FilePartitioningStage)
    assert (partitioning.files_per_partition, partitioning.file_extensions) == (2, [".pq"])
    assert isinstance(stage, ParquetReaderStage)
    assert (stage.fields, stage.name, stage.resources.cpus) == (["a"], "parquet_reader", 1.0)
    with pytest.raises(OptionError, match="not both"):
        ParquetReader("in", _assign_ids=True, _generate_ids=True)
    with pytest.raises(NotImplementedError):
        ParquetReader("in", task_type="video").decompose()


def test_a_data_set_in_the_layout_of_the_hub(tmp_path: Path) -> None:
    # As `datasets` writes it: shards of a split named by number, its own notes in the schema, a README and a cache beside them.
    notes = {b"huggingface": b'{"info": {"features": {"text": {"dtype": "string", "_type": "Value"}}}}'}
    (tmp_path / "data").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n")
    (tmp_path / ".cache" / "train-00000-of-00002.parquet.metadata").write_text("x")
    for split, shards in (("train", 2), ("test", 1)):
        for shard in range(shards):
            rows = {"text": [f"{split} {shard} {row}" for row in range(2)], "meta": [{"url": "u", "tags": ["a"]}] * 2}
            table = pa.table(rows).replace_schema_metadata(notes)
            pq.write_table(table, tmp_path / "data" / f"{split}-{shard:05}-of-{shards:05}.parquet", row_group_size=1)

    def texts(path: Path) -> list[str]:
        listing, reading = ParquetReader(str(path), fields=["text", "meta"]).decompose()
        groups = listing.process(EmptyTask())
        return [text for group in groups for text in reading.process(group).to_pandas()["text"]]

    train = [f"train {shard} {row}" for shard in range(2) for row in range(2)]
    assert texts(tmp_path / "data" / "train-*.parquet") == train
    assert texts(tmp_path) == ["test 0 0", "test 0 1", *train]
    read_back = read(tmp_path / "data" / "train-00000-of-00002.parquet")
    assert read_back["meta"].tolist()[0] == {"url": "u", "tags": ["a"]}
