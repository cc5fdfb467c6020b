"""Task types and their records."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import StageContractError
from nemo_curator.pipeline import WorkflowRunResult
from nemo_curator.tasks import (
    AudioTask,
    DocumentBatch,
    EmptyTask,
    FileGroupTask,
    ImageBatch,
    ImageObject,
    LanceReadTask,
    NoneTask,
    Task,
)
from nemo_curator.tasks.ocr import OCRData, OCRSampleTask, OCRWord
from nemo_curator.tasks.utils import TaskPerfUtils
from nemo_curator.tasks.video import Clip, ClipStats, Video, VideoMetadata, VideoTask, _Window
from nemo_curator.testing import Number
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.performance_utils import StagePerfStats, StageTimer
from nemo_curator.utils.sizing import estimate_nbytes


def test_ids_belong_to_the_framework() -> None:
    with pytest.raises(TypeError):
        Number("n", 1, task_id="x")  # type: ignore[call-arg]
    task = Number("n", 1)
    assert task.task_id == ""
    task._set_task_id("0_a", 3)
    assert (task.task_id, task.get_source_id()) == ("0_a_3", "3")
    task._set_task_id("", 3)
    assert task.task_id == "3"
    assert repr(task) == "Number(task_id='3', dataset_name='n')"


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [1, 2]}), pa.table({"a": [1, 2]})])
def test_documents_as_frame_and_table(data: object) -> None:
    batch = DocumentBatch("d", data)  # type: ignore[arg-type]
    assert (batch.num_items, batch.get_columns(), batch.validate()) == (2, ["a"], True)
    assert batch.to_pandas()["a"].tolist() == batch.to_pyarrow()["a"].to_pylist() == [1, 2]
    same = batch.to_pandas() if isinstance(data, pd.DataFrame) else batch.to_pyarrow()
    assert same is data


def test_documents_of_something_else_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a pandas DataFrame or a pyarrow Table, got list"):
        DocumentBatch("d", [1]).to_pandas()  # type: ignore[arg-type]


def test_file_groups_are_named_by_content() -> None:
    one, other = FileGroupTask("d", ["b", "a"]), FileGroupTask("d", ["a", "b"])
    assert one.get_deterministic_id() == other.get_deterministic_id() == get_deterministic_hash(["a", "b"])
    assert "_" not in (one.get_deterministic_id() or "")
    assert one.num_items == 2
    with pytest.raises(TypeError, match="must be a list of paths"):
        FileGroupTask("d", "ab")  # type: ignore[arg-type]


def test_hashes_of_strings() -> None:
    assert get_deterministic_hash(["b", "a"], "s") == hashlib.sha256(b"a|b|s").hexdigest()[:12]


def test_lance_fragments() -> None:
    task = LanceReadTask("d", [1, 2], path="p", version=3)
    assert task.num_items == 2
    assert task.get_deterministic_id() != LanceReadTask("d", [1, 2], path="p", version=4).get_deterministic_id()


def test_images() -> None:
    batch = ImageBatch("d", [ImageObject(image_id="x")])
    assert (batch.num_items, batch.validate()) == (1, True)
    ocr = OCRSampleTask(dataset_name="d", data=OCRData(image_id="x", words=[OCRWord("hi", [(0, 0)])]))
    assert ocr.data.words[0].text == "hi"


def test_audio_entries_are_attributes_too(tmp_path: Path) -> None:
    task = AudioTask(data={"text": "hello"}, task_id="given", filepath_key="path")
    assert (task.data.text, task.task_id) == ("hello", "given")  # type: ignore[attr-defined]
    task.data.more = 1  # type: ignore[attr-defined]
    del task.data.text  # type: ignore[attr-defined]
    assert task.data == {"more": 1}
    with pytest.raises(AttributeError, match="no key 'text'"):
        _ = task.data.text  # type: ignore[attr-defined]
    assert task.validate()
    task.data["path"] = str(tmp_path / "no.wav")
    assert not task.validate()
    assert pickle.loads(pickle.dumps(task)).data.more == 1


def test_videos(tmp_path: Path) -> None:
    video = Video(tmp_path / "v.mp4", source_bytes=b"x" * 1000)
    assert not VideoTask("d", video).validate()
    assert (video.fraction, video.weight, video.has_metadata()) == (1.0, 0.0, False)
    video.metadata = VideoMetadata(size=1000, duration=600.0, pixel_format="yuv420p10le")
    assert (video.weight, video.is_10_bit_color()) == (2.0, True)
    video.clips = [Clip(uuid4(), "v", (1.0, 3.5), buffer=b"y" * 500, windows=[_Window(0, 5, mp4_bytes=b"z" * 100)])]
    video.num_total_clips = 4
    assert (video.fraction, video.clips[0].duration) == (0.25, 2.5)
    assert video.get_major_size() >= 1600
    video.metadata.duration = None
    with pytest.raises(ValueError, match="duration of video"):
        _ = video.weight


def test_clip_counters_add_up() -> None:
    stats = ClipStats(num_passed=1, total_clip_duration=2.0, max_clip_duration=2.0)
    stats.combine(ClipStats(num_passed=2, total_clip_duration=1.0, max_clip_duration=1.0))
    assert (stats.num_passed, stats.total_clip_duration, stats.max_clip_duration) == (3, 3.0, 2.0)


def test_sentinels_carry_nothing() -> None:
    assert (EmptyTask().task_id, EmptyTask().num_items, NoneTask().reason) == ("0", 0, "none")
    with pytest.raises(StageContractError, match="carries no data"):
        NoneTask(data=1)  # type: ignore[arg-type]


def test_records_add_up() -> None:
    one = StagePerfStats("s", process_time=1.0, num_items_processed=2, custom_metrics={"a": 1.0})
    other = StagePerfStats("t", process_time=2.0, num_items_processed=3, custom_metrics={"a": 2.0, "b": 1.0})
    total = sum([one, other])
    assert isinstance(total, StagePerfStats)
    assert (total.stage_name, total.process_time, total.num_items_processed) == ("s", 3.0, 5)
    assert total.custom_metrics == {"a": 3.0, "b": 1.0}
    assert ("custom.a", 3.0) in total.items()
    assert "call_id" not in total.to_dict()
    with pytest.raises(TypeError):
        _ = "x" + one  # type: ignore[operator]
    total.reset()
    assert total.process_time == 0.0


def test_a_timer_measures_a_stage() -> None:
    from nemo_curator.testing.stages import Add

    timer = StageTimer(Add(1))
    timer.reinit(3)
    with timer.time_process(2):
        pass
    name, stats = timer.log_stats()
    assert (name, stats.num_items_processed, stats.actor_idle_time) == ("add", 2, 0.0)
    timer.reinit()
    assert timer.log_stats()[1].actor_idle_time > 0


def _measured(*seconds: float) -> list[Task]:  # type: ignore[type-arg]
    tasks: list[Task] = []  # type: ignore[type-arg]
    for second in seconds:
        task = Number("n", 1)
        task.add_stage_perf(StagePerfStats("read_a", process_time=second))
        tasks.append(task)
    return tasks


def test_metrics_are_gathered_from_whatever_holds_tasks() -> None:
    tasks = _measured(1.0, 3.0)
    tasks[1]._stage_perf.append(tasks[0]._stage_perf[0])  # a shared record counts once
    assert TaskPerfUtils.collect_stage_metrics(tasks)["read_a"]["process_time"].tolist() == [1.0, 3.0]
    flat = TaskPerfUtils.aggregate_task_metrics(tasks, prefix="x")
    assert (flat["x_read_a_process_time_sum"], flat["x_read_a_process_time_mean"]) == (4.0, 2.0)
    result = WorkflowRunResult("w")
    result.add_pipeline_tasks("first", tasks)
    result.add_pipeline_tasks("second", None)
    assert TaskPerfUtils.aggregate_task_metrics(result)["first_read_a_process_time_std"] == 1.0
    assert TaskPerfUtils.get_aggregated_stage_stat(result, "read", "process_time") == 4.0
    assert TaskPerfUtils.get_aggregated_stage_stat(None, "read", "process_time") == 0.0
    with pytest.raises(TypeError, match="expected tasks"):
        TaskPerfUtils.collect_stage_metrics(3)


def test_records_that_came_apart_in_transit_count_once() -> None:
    stats = StagePerfStats("s", call_id=("w.0", 1))
    tasks = [Number("n", 1), Number("n", 2)]
    for task in tasks:
        task.add_stage_perf(pickle.loads(pickle.dumps(stats)))
    assert len(TaskPerfUtils.collect_stage_metrics(tasks)["s"]["process_time"]) == 1


@pytest.mark.parametrize(
    ("payload", "least"),
    [
        (b"x" * 10_000, 10_000),
        ("x" * 10_000, 10_000),
        (np.zeros(10_000, dtype=np.uint8), 10_000),
        (pa.table({"a": ["x" * 10_000]}), 10_000),
        (pd.DataFrame({"a": ["x" * 100] * 100}), 10_000),
        (pd.DataFrame({"a": pd.Series(["x" * 100] * 100, dtype=object)}), 10_000),
        ([b"x" * 100] * 100, 10_000),
        ({"a": {"b": [b"x" * 10_000]}}, 10_000),
        (Video("v", source_bytes=b"x" * 10_000), 10_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sizes_of_payloads(payload: object, least: int) -> None:
    assert least <= estimate_nbytes(payload) <= 3 * least


@dataclass
class Loop:
    """Refers to itself."""

    me: object = None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_sizes_are_positive_whatever_comes(payload: object) -> None:
    assert estimate_nbytes(payload) > 0


def test_the_size_of_a_loop_is_finite() -> None:
    loop = Loop()
    loop.me = loop
    assert estimate_nbytes(loop) > 0
