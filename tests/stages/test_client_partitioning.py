"""Files below a folder, as paths that know where they are."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.client_partitioning import ClientPartitioningStage
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.client_utils import FSPath

FILES = ["b.jsonl", "a.JSONL", "deep/er/c.jsonl.gz", "deep/d.mp4", "z.txt"]


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        for name in FILES:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(name.encode())
        return str(tmp_path)
    root = f"/client/{tmp_path.name}"
    for name in FILES:
        MemoryFileSystem().pipe(f"{root}/{name}", name.encode())
    return f"memory:/{root}"


def run(stage: ClientPartitioningStage) -> list[FileGroupTask]:
    stage.check_before_run()
    stage = pickle.loads(pickle.dumps(stage))
    stage.setup()
    return stage.process(EmptyTask())


def names(tasks: list[FileGroupTask], folder: str) -> list[list[str]]:
    root = folder.replace("memory:/", "")
    return [[str(path).removeprefix(root).lstrip("/") for path in task.data] for task in tasks]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["a.JSONL"], ["b.jsonl"], ["deep/d.mp4"], ["deep/er/c.jsonl.gz"], ["z.txt"]]),
        ({"files_per_partition": 2}, [["a.JSONL", "b.jsonl"], ["deep/d.mp4", "deep/er/c.jsonl.gz"], ["z.txt"]]),
        ({"file_extensions": ["jsonl"]}, [["a.JSONL"], ["b.jsonl"], ["deep/er/c.jsonl.gz"]]),
        ({"limit": 3, "files_per_partition": 2}, [["a.JSONL", "b.jsonl"], ["deep/d.mp4"]]),
        ({"blocksize": "1GB"}, [["a.JSONL"], ["b.jsonl"], ["deep/d.mp4"], ["deep/er/c.jsonl.gz"], ["z.txt"]]),
        ({"file_extensions": [".nothing"]}, []),
    ],
)
def test_files_are_sorted_and_grouped(folder: str, options: dict[str, Any], expected: list[list[str]]) -> None:
    tasks = run(ClientPartitioningStage(folder, **options))
    assert names(tasks, folder) == expected
    for index, task in enumerate(tasks):
        assert task._metadata == {
            "partition_index": index,
            "total_partitions": len(tasks),
            "source_files": task.paths,
            "storage_options": None,
        }
        for path in task.data:
            assert isinstance(path, FSPath)
            assert path.get_bytes_cat_ranges().decode() in FILES


@pytest.mark.parametrize("whole", [True, False])
def test_a_list_names_what_is_taken(folder: str, whole: bool, tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    wanted = ["z.txt", "b.jsonl", "deep/./d.mp4", "z.txt"]
    listed.write_text(json.dumps([f"{folder}/{name}" if whole else name for name in wanted]))
    stage = ClientPartitioningStage(folder, input_list_json_path=str(listed), file_extensions=[".txt", ".mp4"])
    assert names(run(stage), folder) == [["deep/d.mp4"], ["z.txt"]]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ('{"a": 1}', TypeError, r"list\.json must have an array of paths"),
        ('["a", 1]', TypeError, r"list\.json must have an array of paths"),
        ("[", DataError, r"list\.json is not JSON"),
        ('["../other/a.mp4"]', ValueError, r"\.\./other/a\.mp4 of .*list\.json is not below "),
        ('["/elsewhere/a.mp4"]', ValueError, r"/elsewhere/a\.mp4 of .*list\.json is not below "),
    ],
)
def test_a_list_that_is_wrong_is_told(
    folder: str, content: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text(content)
    stage = ClientPartitioningStage(folder, input_list_json_path=str(tmp_path / "list.json"))
    with pytest.raises(error, match=f"stage 'client_partitioning': .*{message}"):
        run(stage)


def test_what_is_missing_is_told(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        run(ClientPartitioningStage(f"{folder}/nowhere"))
    with pytest.raises(InputError, match=r"the list .*no\.json is not there"):
        run(ClientPartitioningStage(folder, input_list_json_path=f"{folder}/no.json"))
    with pytest.raises(RuntimeError, match=r"setup\(\) must be called before process\(\)"):
        ClientPartitioningStage(folder).process(EmptyTask())
    with caplog.at_level(logging.WARNING):
        assert run(ClientPartitioningStage(folder, file_extensions=[".nothing"])) == []
    assert f"no .nothing file in {folder}" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"file_paths": ["a", "b"]}, TypeError),
        ({"file_paths": "a", "files_per_partition": 0}, OptionError),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="stage 'client_partitioning'"):
        ClientPartitioningStage(**arguments)


def test_readers_take_such_paths_and_a_checkpoint_sees_what_changed(tmp_path: Path) -> None:
    """`dir` is a filesystem that cannot be reached without options."""
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
    options = {"path": str(tmp_path / "in"), "target_protocol": "file"}
    listing = ClientPartitioningStage("dir://", storage_options=options)
    pipeline = Pipeline("p", stages=[listing, JsonlReaderStage(read_kwargs={"storage_options": options})])

    def texts() -> list[str]:
        outputs = pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "c"))
        return sorted(text for output in outputs or [] for text in output.to_pandas()["text"])

    assert (listing.name, listing.num_workers(), listing.resources.cpus) == ("client_partitioning", 1, 0.5)
    assert texts() == ["a", "b"]
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "changed"}\n')
    assert texts() == ["changed"]
