"""The tasks of an array take all sources between them, and know which shards are complete."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.slurm_array import (
    SlurmArrayConfig,
    SlurmArrayRetryPlan,
    build_slurm_array_completion_manifest,
    configure_slurm_array_source_filtering,
    filter_slurm_array_source_tasks,
    find_slurm_array_retries,
    is_slurm_array_driver_process,
    read_slurm_array_run,
    resolve_slurm_array_config,
    slurm_array_shard_for_task,
)
from nemo_curator.engine.sources import Sources
from nemo_curator.errors import CheckpointError, DataError, OptionError
from nemo_curator.tasks import FileGroupTask

FOLDER = Path(".nemo_curator_metadata", ".slurm_array_completion")
OURS = "NEMO_CURATOR_SLURM_ARRAY_"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """What the code under test sets is gone after each test."""
    for name in ("ENABLED", "SHARD_INDEX", "TOTAL_SHARDS", "MINIMUM_SHARD_INDEX"):
        monkeypatch.setenv(OURS + name, "")


def _task(task_id: str) -> FileGroupTask:
    task = FileGroupTask("d", [f"{task_id}.jsonl"])
    task.task_id = task_id
    return task


def _mark(path: Path, *shards: int, total: int = 4, minimum: int = 0) -> None:
    for shard in shards:
        build_slurm_array_completion_manifest(path, SlurmArrayConfig(shard, total, minimum)).mark_completed()


def test_the_environment_is_read_for_source_stages(caplog: pytest.LogCaptureFixture) -> None:
    assert resolve_slurm_array_config(is_source_stage=True) is None
    config = configure_slurm_array_source_filtering(3, 4, 1)
    assert config == SlurmArrayConfig(3, 4, 1)
    assert resolve_slurm_array_config(is_source_stage=True) == config
    assert resolve_slurm_array_config(is_source_stage=False) is None
    assert caplog.records == []


def test_processes_that_are_started_know_the_shard() -> None:
    configure_slurm_array_source_filtering(3, 4)
    code = "from nemo_curator.backends.slurm_array import SlurmArrayConfig; print(SlurmArrayConfig.from_env())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "SlurmArrayConfig(shard_index=3, total_shards=4, minimum_shard_index=0)\n"


def test_a_shard_that_cannot_be_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OURS + "ENABLED", "0")
    with pytest.raises(OptionError, match="total_shards"):
        configure_slurm_array_source_filtering(3, 0)
    assert resolve_slurm_array_config(is_source_stage=True) is None


@pytest.mark.parametrize("enabled", ["", "1"])
def test_an_array_that_may_be_about_something_else_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, enabled: str
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "4")
    monkeypatch.setenv(OURS + "ENABLED", enabled)
    assert resolve_slurm_array_config(is_source_stage=True) == SlurmArrayConfig(2, 4)
    assert [record.levelno for record in caplog.records] == ([] if enabled else [logging.WARNING])
    assert enabled or "takes shard 2 of the 4 from 0" in caplog.text


@given(
    ids=st.sets(st.from_regex(r"0_[0-9a-f]{1,12}", fullmatch=True), max_size=30),
    total=st.integers(1, 9),
    minimum=st.integers(0, 5),
)
def test_the_shards_are_the_whole(ids: set[str], total: int, minimum: int) -> None:
    tasks = [_task(task_id) for task_id in sorted(ids)]
    configs = [SlurmArrayConfig(shard, total, minimum) for shard in range(minimum, minimum + total)]
    parts = [filter_slurm_array_source_tasks(tasks, config, "files") for config in configs]
    assert sorted(task.task_id for part in parts for task in part) == sorted(ids)
    for config, part in zip(configs, parts, strict=True):
        assert part == [task for task in tasks if task in part]
        # The engine, which does the same in a pipeline, agrees.
        sources = Sources(shard=config.shard)
        assert part == [task for task in tasks if not sources.is_of_another_shard(task.task_id)]


def test_the_assignment_is_the_contracts() -> None:
    for task_id in ("0_3", "0_ab12", "0"):
        expected = int(hashlib.sha256(task_id.encode()).hexdigest()[:16], 16) % 7 + 2
        assert slurm_array_shard_for_task(task_id, 7, 2) == expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("r12ab", 4), "task id 'r12ab' is random"),
        (("", 4), "task id '' is empty"),
        (("0_1", 0), "total_shards .* got 0"),
        (("0_1", 4, -1), "minimum_shard_index .* got -1"),
    ],
)
def test_a_task_without_a_shard_is_told(arguments: Any, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        slurm_array_shard_for_task(*arguments)


def test_without_a_shard_all_tasks_pass() -> None:
    tasks = [_task("0_1"), _task("r5"), _task("0_2")]
    assert filter_slurm_array_source_tasks(iter(tasks), None, "files") == tasks


def test_the_stage_is_told() -> None:
    with pytest.raises(OptionError, match="stage 'files': task id 'r1' is random"):
        filter_slurm_array_source_tasks([_task("r1")], SlurmArrayConfig(0, 2), "files")


@pytest.mark.parametrize("config", [SlurmArrayConfig(4, 4), SlurmArrayConfig(0, 4, 1)])
def test_a_shard_outside_of_the_range_gets_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, config: SlurmArrayConfig
) -> None:
    tasks = [_task(f"0_{number}") for number in range(50)]
    assert filter_slurm_array_source_tasks(tasks, config, "files") == []
    (record,) = caplog.records
    last = config.minimum_shard_index + 3
    told = f"gets no sources: there is no shard {config.shard_index}, only {config.minimum_shard_index} to {last}"
    assert record.getMessage() == f"stage 'files' {told}"
    assert all(Sources(shard=config.shard).is_of_another_shard(task.task_id) for task in tasks)
    monkeypatch.setenv(OURS + "SHARD_INDEX", str(config.shard_index))
    monkeypatch.setenv(OURS + "TOTAL_SHARDS", "4")
    monkeypatch.setenv(OURS + "MINIMUM_SHARD_INDEX", str(config.minimum_shard_index))
    assert resolve_slurm_array_config(is_source_stage=True) == config
    assert caplog.messages[1:] == [f"the source stage {told}"]


@pytest.mark.parametrize(("node", "is_driver"), [(None, True), ("", True), ("0", True), ("1", False), ("12", False)])
def test_the_first_node_drives(monkeypatch: pytest.MonkeyPatch, node: str | None, is_driver: bool) -> None:
    if node is not None:
        monkeypatch.setenv("SLURM_NODEID", node)
    assert is_slurm_array_driver_process() is is_driver


def test_what_is_complete_is_not_tried_again(tmp_path: Path) -> None:
    assert find_slurm_array_retries(tmp_path / "nowhere") is None
    _mark(tmp_path, 1, 4, minimum=1)
    assert json.loads((tmp_path / FOLDER / "run.json").read_text()) == {"total_shards": 4, "minimum_shard_index": 1}
    assert read_slurm_array_run(tmp_path) == (4, 1)
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((2, 3), 4, 1)
    _mark(tmp_path, 3, 2, 1, minimum=1)
    assert find_slurm_array_retries(tmp_path) is None
    assert len(list((tmp_path / FOLDER).iterdir())) == 5
    build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(2, 4, 1)).withdraw()
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((2,), 4, 1)


def test_a_shard_that_has_only_begun_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(0, 2)):
        raise KeyboardInterrupt
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((0, 1), 2, 0)
    with build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(0, 2)):
        pass
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((1,), 2, 0)


def test_a_manifest_says_which_shard(tmp_path: Path) -> None:
    _mark(tmp_path, 2)
    (file,) = (tmp_path / FOLDER).glob("completed_slurm_array_*.json")
    expected = {"shard_index": 2, "total_shards": 4, "minimum_shard_index": 0, "status": "completed"}
    assert json.loads(file.read_text()) == expected


def test_other_nodes_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NODEID", "1")
    _mark(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_is_none_is_never_complete(tmp_path: Path) -> None:
    _mark(tmp_path, 4, 9)
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((0, 1, 2, 3), 4, 0)
    assert [file.name for file in (tmp_path / FOLDER).iterdir()] == ["run.json"]


@pytest.mark.parametrize(("total", "minimum"), [(5, 0), (4, 1)])
def test_an_array_that_is_divided_differently_is_refused(tmp_path: Path, total: int, minimum: int) -> None:
    _mark(tmp_path, 0)
    told = (
        rf"divides its sources into 4 shards from 0 \(.*run\.json\), and this run into {total} from {minimum}: .* Set {OURS}TOTAL_SHARDS=4 "
        rf"and {OURS}MINIMUM_SHARD_INDEX=0 .*, or choose another checkpoint path"
    )
    with pytest.raises(OptionError, match=told):
        build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(1, total, minimum))
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((1, 2, 3), 4, 0)


def test_manifests_of_other_arrays_count_for_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _mark(tmp_path, 0)
    for name, shard, total in (("a", 1, 5), ("b", "1", 4), ("c", True, 4), ("d", 7, 4)):
        payload = {"status": "completed", "shard_index": shard, "total_shards": total, "minimum_shard_index": 0}
        (tmp_path / FOLDER / f"completed_slurm_array_{name}.json").write_text(json.dumps(payload))
    assert find_slurm_array_retries(tmp_path) == SlurmArrayRetryPlan((1, 2, 3), 4, 0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "completed_slurm_array_a.json belongs to another array" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "4",
        "{}",
        '{"total_shards": 4}',
        '{"total_shards": 0, "minimum_shard_index": 0}',
        '{"total_shards": "4", "minimum_shard_index": 0}',
        '{"total_shards": true, "minimum_shard_index": 0}',
        "[" * 100_000,
    ],
)
def test_a_damaged_run_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "run.json").write_text(content)
    for look in (find_slurm_array_retries, read_slurm_array_run, _mark_first):
        with pytest.raises(DataError, match=r"run\.json cannot be read: .*or choose another checkpoint path"):
            look(tmp_path)


def _mark_first(path: Path) -> None:
    _mark(path, 0)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FOLDER.parent).write_text("in the way")
    with pytest.raises(CheckpointError, match=r"run\.json cannot be written"):
        _mark(tmp_path, 0)


def test_a_store_is_refused() -> None:
    for use in (find_slurm_array_retries, _mark_first):
        with pytest.raises(OptionError, match="checkpoint s3://x is not on a disk"):
            use("s3://x")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("attempt", range(5))
def test_of_threads_that_begin_at_once_one_divides(tmp_path: Path, attempt: int) -> None:
    barrier = threading.Barrier(8)

    def begin(number: int) -> int | None:
        barrier.wait()
        try:
            build_slurm_array_completion_manifest(tmp_path, SlurmArrayConfig(0, 2 + number))
        except OptionError:
            return None
        return 2 + number

    with ThreadPoolExecutor(8) as pool:
        begun = [total for total in pool.map(begin, range(8)) if total is not None]
    assert [(total, 0) for total in begun] == [read_slurm_array_run(tmp_path)]
    assert [file.name for file in (tmp_path / FOLDER).iterdir()] == ["run.json"]


BEGIN = """
import sys
from nemo_curator.backends.slurm_array import SlurmArrayConfig, build_slurm_array_completion_manifest
from nemo_curator.errors import OptionError
path, total = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    build_slurm_array_completion_manifest(path, SlurmArrayConfig(0, total))
    print("divided")
except OptionError as error:
    print("refused" if "choose another checkpoint path" in str(error) else error)
"""


def test_of_processes_that_begin_at_once_one_divides(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path), str(total)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for total in (2, 3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(said) == ["divided", "refused"]
    assert read_slurm_array_run(tmp_path) == (2 + said.index("divided"), 0)
