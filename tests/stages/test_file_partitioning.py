from __future__ import annotations

import logging
import os
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import InputError, OptionError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash


def fill(folder: Path, sizes: dict[str, int]) -> Path:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    return folder


def groups(stage: FilePartitioningStage) -> list[list[str]]:
    return [[os.path.basename(path) for path in task.data] for task in stage.process(EmptyTask())]


SIZES = {"d.jsonl": 1, "a.jsonl": 4, "b.json": 3, "c.JSONL.gz": 2, "x.parquet": 9, "note.txt": 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["a.jsonl"], ["b.json"], ["c.JSONL.gz"], ["d.jsonl"], ["x.parquet"]]),
        ({"files_per_partition": 2}, [["a.jsonl", "b.json"], ["c.JSONL.gz", "d.jsonl"], ["x.parquet"]]),
        ({"files_per_partition": 2, "limit": 1}, [["a.jsonl", "b.json"]]),
        ({"blocksize": 5}, [["d.jsonl", "c.JSONL.gz"], ["b.json"], ["a.jsonl"], ["x.parquet"]]),
        ({"blocksize": "1kB"}, [["d.jsonl", "c.JSONL.gz", "b.json", "a.jsonl", "x.parquet"]]),
        ({"file_extensions": ["JSONL"]}, [["a.jsonl"], ["c.JSONL.gz"], ["d.jsonl"]]),
        ({"file_extensions": [".gz"]}, [["c.JSONL.gz"]]),
        ({"file_extensions": [".txt"]}, [["note.txt"]]),
        ({"file_extensions": [".csv"]}, []),
    ],
)
def test_files_are_grouped(tmp_path: Path, options: dict[str, Any], expected: list[list[str]]) -> None:
    assert groups(FilePartitioningStage(str(fill(tmp_path, SIZES)), **options)) == expected


def test_a_task_says_where_it_comes_from(tmp_path: Path) -> None:
    folder = fill(tmp_path / "My Corpus", SIZES)
    first, second = FilePartitioningStage(str(folder), files_per_partition=2, limit=2).process(EmptyTask())
    paths = [str(folder / "a.jsonl"), str(folder / "b.json")]
    assert (first.dataset_name, first.data, first.reader_config) == ("my corpus", paths, {})
    assert first._metadata == {"partition_index": 0, "total_partitions": 3, "source_files": paths}
    assert second._metadata["partition_index"] == 1
    assert first.get_deterministic_id() == get_deterministic_hash(paths)


def test_folders_are_searched_deeply_and_lists_of_folders_are_not(tmp_path: Path) -> None:
    fill(tmp_path, {"a.jsonl": 1, "sub/b.jsonl": 1, "sub/deep/c.jsonl": 1})
    assert groups(FilePartitioningStage(str(tmp_path))) == [["a.jsonl"], ["b.jsonl"], ["c.jsonl"]]
    both = FilePartitioningStage([str(tmp_path / "sub"), str(tmp_path / "a.jsonl"), str(tmp_path / "sub" / "b.jsonl")])
    assert groups(both) == [["a.jsonl"], ["b.jsonl"]]
    assert groups(FilePartitioningStage(f"{tmp_path}/**/*.jsonl")) == [["a.jsonl"], ["b.jsonl"], ["c.jsonl"]]


def test_relative_paths_mean_the_folder_where_the_stage_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"in/a.jsonl": 1})
    monkeypatch.chdir(tmp_path)
    stage = pickle.loads(pickle.dumps(FilePartitioningStage("in")))
    monkeypatch.chdir("/")
    (task,) = stage.process(EmptyTask())
    assert task.data == [str(tmp_path / "in" / "a.jsonl")]


def test_urls_stay_urls() -> None:
    fs = MemoryFileSystem()
    fs.pipe({"/partition/a.jsonl": b"x", "/partition/b.jsonl": b"x", "/partition/c.txt": b"x"})
    stage = FilePartitioningStage("memory://partition", files_per_partition=2)
    stage.check_before_run()
    (task,) = stage.process(EmptyTask())
    assert task.data == ["memory:///partition/a.jsonl", "memory:///partition/b.jsonl"]


@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=12), block=st.integers(1, 30))
def test_blocks_keep_every_file_and_the_bound(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block: int
) -> None:
    folder = fill(tmp_path_factory.mktemp("blocks"), {f"{index:02}.jsonl": size for index, size in enumerate(sizes)})
    tasks = FilePartitioningStage(str(folder), blocksize=block).process(EmptyTask())
    paths = [path for task in tasks for path in task.data]
    assert sorted(paths) == sorted(str(path) for path in folder.iterdir())
    weights = [[os.path.getsize(path) for path in task.data] for task in tasks]
    assert all(len(weight) == 1 or sum(weight) <= block for weight in weights)
    # A group is closed only when the next file does not fit.
    assert all(sum(weight) + following[0] > block for weight, following in pairwise(weights))


def test_it_is_a_source_of_one_worker() -> None:
    stage = FilePartitioningStage("x")
    assert stage.is_fanout_stage()
    assert (stage.num_workers(), stage.resources.cpus, stage.name) == (1, 0.5, "file_partitioning")
    assert stage.ray_stage_spec() == {"is_fanout_stage": True}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"files_per_partition": 1, "blocksize": 1}, OptionError, "files_per_partition or blocksize, not both"),
        ({"files_per_partition": 0}, OptionError, "files_per_partition must be positive, got 0"),
        ({"blocksize": "0MB"}, OptionError, "blocksize must be positive, got 0"),
        ({"blocksize": "many"}, ValueError, "'many' is not a size in bytes"),
        ({"file_paths": 3}, TypeError, "file_paths must be a path or a list of paths, got int"),
    ],
)
def test_wrong_options_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FilePartitioningStage(**{"file_paths": "x", **arguments})


def refused(stage: FilePartitioningStage) -> str:
    with pytest.raises(InputError) as caught:
        stage.check_before_run()
    return str(caught.value)


def test_a_run_without_input_does_not_start(tmp_path: Path) -> None:
    fill(tmp_path, {"pq/a.parquet": 1, "pq/b.parquet": 1, "pq/c.parquet.gz": 1, "txt/a.txt": 1, "js/a.jsonl": 1})
    (tmp_path / "empty").mkdir()
    json_lines = [".jsonl", ".json"]
    head = f"stage 'file_partitioning': no .jsonl or .json file in {tmp_path}"
    assert refused(FilePartitioningStage(f"{tmp_path}/pq", file_extensions=json_lines)) == (
        f"{head}/pq; it has 3 .parquet files: use ParquetReader"
    )
    assert refused(FilePartitioningStage(f"{tmp_path}/txt", file_extensions=json_lines)) == (
        f"{head}/txt; it has 1 .txt file: if they hold what is wanted, pass file_extensions=['.txt']"
    )
    assert refused(FilePartitioningStage(f"{tmp_path}/js", file_extensions=[".parquet"])).endswith(
        "it has 1 .jsonl file: use JsonlReader"
    )
    assert refused(FilePartitioningStage(f"{tmp_path}/empty", file_extensions=json_lines)) == (
        f"{head}/empty; there is no file at all. Check the path"
    )
    assert refused(FilePartitioningStage(f"{tmp_path}/emtpy/x")) == (
        f"stage 'file_partitioning': {tmp_path}/emtpy/x does not exist; {tmp_path} does, but has no 'emtpy'. Did you mean 'empty'?"
    )
    assert "the pattern" in refused(FilePartitioningStage(f"{tmp_path}/*.csv"))
    assert "memory://nowhere does not exist" in refused(FilePartitioningStage("memory://nowhere"))
    assert "is an empty list" in refused(FilePartitioningStage([]))
    assert "b.jsonl does not exist" in refused(
        FilePartitioningStage([f"{tmp_path}/js/a.jsonl", f"{tmp_path}/js/b.jsonl"])
    )
    FilePartitioningStage([f"{tmp_path}/txt", f"{tmp_path}/js"]).check_before_run()


def test_no_files_at_run_time_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert FilePartitioningStage(str(tmp_path), file_extensions=[".jsonl"]).process(EmptyTask()) == []
    assert f"no .jsonl file in {tmp_path}" in caplog.text


def test_large_files_are_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, {"a.jsonl": 3, "b.jsonl": 30})
    with caplog.at_level(logging.WARNING):
        tasks = FilePartitioningStage(str(tmp_path), blocksize=10).process(EmptyTask())
    assert all(isinstance(task, FileGroupTask) for task in tasks)
    assert f"1 of 2 files are larger than 10 B, {tmp_path}/b.jsonl first" in caplog.text
    os.truncate(tmp_path / "a.jsonl", 600 * 1000**2)  # sparse
    FilePartitioningStage(str(tmp_path)).process(EmptyTask())
    assert "1 of 2 files are larger than 512.0 MB" in caplog.text
    FilePartitioningStage(str(tmp_path), blocksize="1GB")
    assert "a blocksize of 1.0 GB" in caplog.text


def test_groups_in_order_are_of_files_that_follow_one_another(tmp_path: Path) -> None:
    for name, size in (("a", 40), ("b", 10), ("c", 250), ("d", 10), ("e", 95), ("f", 5)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"x" * size)

    def groups(blocksize: int) -> list[tuple[str, tuple[int, int] | None]]:
        stage = FilePartitioningStage(str(tmp_path), blocksize=blocksize, split_files=True, in_order=True)
        found = [
            ("".join(Path(path).stem for path in task.data), task.byte_range) for task in stage.process(EmptyTask())
        ]
        assert "".join(dict.fromkeys("".join(names for names, _ in found))) == "abcdef"
        return found

    parts = [("c", (0, 83)), ("c", (83, 166)), ("c", (166, 250))]
    assert groups(100) == [("ab", None), *parts, ("d", None), ("ef", None)]
    assert groups(1000) == [("abcdef", None)]
