"""Reading, choosing and writing manifest entries."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import LIBRIVOX, SPEECH, task, tone, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError, OutputError, StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.common import (
    GetAudioDurationStage,
    ManifestReader,
    ManifestReaderStage,
    ManifestWriterStage,
    PreserveByValueStage,
    UnreadableAudio,
    ensure_mono,
    ensure_waveform_2d,
    resolve_model_path,
    resolve_waveform_from_item,
)
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, FailedTask, FileGroupTask, NoneTask
from nemo_curator.utils.output_manifest import check_output

INLINE = LocalExecutor(mode="inline")


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_is_an_entry(tmp_path: Path) -> None:
    text = '\ufeff{"audio_filepath": "a.wav", "text": "h\u00e4\u2028llo"}\r\n\n  \n{"n": 1}\n'
    (tmp_path / "m.jsonl").write_text(text)
    (tmp_path / "m.json.gz").write_bytes(gzip.compress(b'{"n": 2}'))
    files = FileGroupTask(dataset_name="d", data=[str(tmp_path / "m.jsonl"), str(tmp_path / "m.json.gz")])
    entries = ManifestReaderStage().process(files)
    assert [entry.data for entry in entries] == [{"audio_filepath": "a.wav", "text": "hä\u2028llo"}, {"n": 1}, {"n": 2}]
    assert {entry.dataset_name for entry in entries} == {"d"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a": ', "is not JSON"),
        (b"[1, 2]", "is list"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"null", "is NoneType"),
    ],
    ids=["cut-off", "list", "bytes", "deep", "null"],
)
def test_a_bad_line_fails_alone(tmp_path: Path, line: bytes, words: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"n": 1}\n' + line + b'\n{"n": 3}\n')
    first, bad, last = ManifestReaderStage().process(FileGroupTask(dataset_name="d", data=[str(path)]))
    assert (first.data, last.data) == ({"n": 1}, {"n": 3})
    assert isinstance(bad, FailedTask)
    assert f"line 2 of {path} {words}" in bad.reason
    pipeline = Pipeline("read", stages=[ManifestReader(str(path))])
    found = pipeline.run(LocalExecutor(mode="inline", on_error="quarantine"))
    assert [each.data["n"] for each in found or []] == [1, 3]
    with pytest.raises(StageFailed, match="line 2"):
        Pipeline("read", stages=[ManifestReader(str(path))]).run(INLINE)


def test_manifests_are_looked_for_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="manifest_path"):
        ManifestReader("")
    with pytest.raises(InputError, match="does not exist"):
        Pipeline("read", stages=[ManifestReader(str(tmp_path / "no.jsonl"))]).run(INLINE)
    with pytest.raises(InputError, match="cannot be read"):
        ManifestReaderStage().process(FileGroupTask(dataset_name="d", data=[str(tmp_path / "no.jsonl")]))
    (tmp_path / "bad.jsonl.gz").write_bytes(b"{}")
    with pytest.raises(DataError, match="gzip"):
        ManifestReaderStage().process(FileGroupTask(dataset_name="d", data=[str(tmp_path / "bad.jsonl.gz")]))
    assert ManifestReader(str(tmp_path), blocksize="1MB").decompose()[0].blocksize == "1MB"  # pyright: ignore[reportAttributeAccessIssue]


def test_paths_can_count_from_the_manifest() -> None:
    reader = ManifestReader(str(LIBRIVOX), relative_to_manifest=True)
    found = Pipeline("read", stages=[reader, GetAudioDurationStage()]).run(INLINE) or []
    assert sorted(each.data["audio_filepath"] for each in found) == SPEECH
    assert sum(each.data["duration"] for each in found) == pytest.approx(24.73, abs=0.01)


def test_duration_of_what_cannot_be_read_is_minus_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.wav", tone(1.5))
    stage = GetAudioDurationStage(duration_key="length")
    assert stage.process(task(path)).data["length"] == 1.5
    with caplog.at_level(logging.WARNING):
        assert stage.process(task(tmp_path / "b.wav")).data["length"] == -1.0
    assert "b.wav does not exist" in caplog.text


@pytest.mark.parametrize(
    ("operator", "kept"), [("lt", [1]), ("le", [1, 2]), ("eq", [2]), ("ne", [1, 3]), ("ge", [2, 3]), ("gt", [3])]
)
def test_entries_are_kept_by_value(operator: str, kept: list[int]) -> None:
    stage = PreserveByValueStage("n", 2, operator)
    results = stage.process_batch([task(n=n) for n in (1, 2, 3)])
    assert [each.data["n"] for each in results if isinstance(each, AudioTask)] == kept
    assert {each.reason for each in results if isinstance(each, NoneTask)} == {f"n_not_{operator}"}
    assert len(results) == 3


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(OptionError, match="operator 'between'"):
        PreserveByValueStage("n", 2, "between")
    with pytest.raises(NotImplementedError):
        PreserveByValueStage("n", 2).process(task(n=1))
    with pytest.raises(ValueError, match="no column 'n'"):
        PreserveByValueStage("n", 2).process_batch([task(m=1)])
    with pytest.raises(DataError, match="'many'"):
        PreserveByValueStage("n", 2, "lt").process_batch([task(n="many")])


def test_a_manifest_holds_what_json_holds(tmp_path: Path) -> None:
    out = tmp_path / "new" / "m.jsonl"
    entry = task(
        "ä.wav",
        waveform=tone(),
        score=np.float32(0.5),
        count=np.int64(3),
        bad=float("nan"),
        path=Path("x"),
        parts=[{"waveform": tone(), "start_ms": 1}, {"values": (1, np.inf)}],
        feature=np.zeros((2, 2)),
    )
    Pipeline("write", stages=[ManifestWriterStage(str(out))]).run(INLINE, initial_tasks=[entry])
    expected = {
        "audio_filepath": "ä.wav",
        "score": 0.5,
        "count": 3,
        "bad": None,
        "path": "x",
        "parts": [{"start_ms": 1}, {"values": [1, None]}],
    }
    assert _lines(out) == [expected]
    assert "ä" in out.read_text()
    with pytest.raises(DataError, match="set is not a value"):
        ManifestWriterStage(str(out)).process(task(odd={1}))


@given(
    st.lists(
        st.dictionaries(
            st.text(min_size=1).filter(lambda key: key not in {"waveform", "audio", "audio_data", "audio_array"}),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers(-(2**53), 2**53)
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(st.characters(codec="utf-8")),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=5,
            ),
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_again(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    out = tmp_path / "m.jsonl"
    writer = ManifestWriterStage(str(out))
    writer.setup()
    out.unlink(missing_ok=True)
    for entry in entries:
        writer.process(AudioTask(data=dict(entry)))
    read = ManifestReaderStage().process(FileGroupTask(dataset_name="d", data=[str(out)])) if entries else []
    assert [each.data for each in read] == entries


def test_without_an_engine_lines_are_appended_to_a_file_that_setup_empties(tmp_path: Path) -> None:
    out = tmp_path / "m.jsonl"
    out.write_text("old\n")
    writer = ManifestWriterStage(str(out))
    writer.setup()
    for n in (1, 2):
        assert writer.process(task(n=n)).data == {"n": n}
    assert _lines(out) == [{"n": 1}, {"n": 2}]


def test_places_that_cannot_be_written_are_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="output_path must be given"):
        ManifestWriterStage("")
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "m.jsonl"):
        with pytest.raises(OutputError, match="folder"):
            ManifestWriterStage(str(bad)).check_before_run()


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_the_manifest_is_in_order_and_replaces_an_older_one_when_the_run_is_complete(tmp_path: Path, mode: str) -> None:
    out = tmp_path / "m.jsonl"
    out.write_text("yesterday\n")
    executor = LocalExecutor(mode=mode, cpus=2, num_workers=2)
    write = Pipeline("write", stages=[ManifestWriterStage(str(out))])
    write.run(executor, initial_tasks=[task(n=n) for n in range(25)])
    assert _lines(out) == [{"n": n} for n in range(25)]
    assert check_output(f"{out}.parts") == []
    by_four = Pipeline("write", stages=[ManifestWriterStage(str(out)).with_(batch_size=4)])
    by_four.run(executor, initial_tasks=[task(n=n) for n in range(10)])
    assert sorted(each["n"] for each in _lines(out)) == list(range(10))


class FailsWhile(ProcessingStage[AudioTask, AudioTask]):
    """Raises for one entry as long as a file is there."""

    name = "fails_while"

    def __init__(self, flag: Path) -> None:
        self.flag = str(flag)

    def process(self, task: AudioTask) -> AudioTask:
        if task.data["n"] == 5 and Path(self.flag).exists():
            message = "not yet"
            raise ValueError(message)
        return task


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_a_run_that_goes_on_has_every_line_once(tmp_path: Path, mode: str) -> None:
    for part in range(4):
        lines = "".join(json.dumps({"n": 3 * part + k}) + "\n" for k in range(3))
        (tmp_path / f"in-{part}.jsonl").write_text(lines)
    flag, out = tmp_path / "flag", tmp_path / "out" / "m.jsonl"
    flag.touch()

    def run() -> None:
        stages = [ManifestReader(str(tmp_path / "in-*.jsonl")), FailsWhile(flag), ManifestWriterStage(str(out))]
        Pipeline("go on", stages=stages).run(
            LocalExecutor(mode=mode, cpus=2, num_workers=2), checkpoint_path=str(tmp_path / "checkpoint")
        )

    with pytest.raises(StageFailed):
        run()
    assert not out.exists()
    flag.unlink()
    for _ in range(2):  # a run that has nothing left to do changes nothing
        run()
        assert sorted(each["n"] for each in _lines(out)) == list(range(12))


def test_waveforms_in_memory_take_many_forms() -> None:
    assert ensure_waveform_2d([0.0, 0.5]).shape == (1, 2)
    np.testing.assert_allclose(ensure_waveform_2d(np.array([[-32768, 16384]], dtype=np.int16)), [[-1.0, 0.5]])
    np.testing.assert_allclose(ensure_waveform_2d(np.array([0, 128, 192], dtype=np.uint8)), [[-1.0, 0.0, 0.5]])
    np.testing.assert_allclose(ensure_mono(np.array([[1.0, 0.0], [0.0, 0.0]])), [[0.5, 0.0]])
    for bad in (np.zeros((1, 2, 3)), np.array(["a"]), np.array([1j])):
        with pytest.raises(UnreadableAudio, match="shape"):
            ensure_waveform_2d(bad)


def test_an_entry_brings_its_waveform_or_its_file(tmp_path: Path) -> None:
    item: dict[str, Any] = {"audio_filepath": write(tmp_path / "a.wav", tone(channels=2))}
    found = resolve_waveform_from_item(item, "t", mono=False)
    assert found is not None
    assert (found[0].shape, found[1]) == ((2, 16000), 16000)
    assert item["waveform"] is found[0]
    assert resolve_waveform_from_item({"waveform": tone()[0], "sample_rate": 8000.0}, "t") is not None


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"audio_filepath": "/no/such.wav"},
        {"audio_filepath": 7},
        {"waveform": np.zeros((1, 0)), "sample_rate": 16000},
        {"waveform": np.zeros((1, 5))},
        {"waveform": np.zeros((1, 5)), "sample_rate": "fast"},
        {"waveform": np.zeros((1, 5)), "sample_rate": float("nan")},
        {"waveform": np.full((1, 5), np.inf), "sample_rate": 16000},
        {"waveform": "noise", "sample_rate": 16000},
    ],
    ids=["nothing", "gone", "number", "empty", "no-rate", "word-rate", "nan-rate", "infinite", "text"],
)
def test_an_entry_without_usable_sound_gives_none(item: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert resolve_waveform_from_item(item, "0_1") is None
    assert caplog.text


def test_models_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert resolve_model_path("model.onnx", str(tmp_path)) == str(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="no model at"):
        resolve_model_path("other.onnx", str(tmp_path / "model.onnx"))
