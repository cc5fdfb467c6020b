"""Segments as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import soundfile, task, tone, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, OptionError, OutputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.io import SegmentExtractionStage
from nemo_curator.stages.audio.io.extract_segments import detect_combo, extract_segments, load_manifests
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.output_manifest import check_output


def _ramp(folder: Path, name: str = "talk.wav") -> str:
    """Four seconds; the value is the second."""
    folder.mkdir(exist_ok=True)
    return write(folder / name, (np.arange(4000) / 4000)[np.newaxis, :], 1000, subtype="PCM_16")


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def _entry(path: str, start: int, end: int, **more: Any) -> AudioTask:
    return task(original_file=path, original_start_ms=start, original_end_ms=end, **more)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("mode", ["inline", "processes"])
def test_segments_are_cut_out(tmp_path: Path, extension: str, mode: str) -> None:
    path, out = _ramp(tmp_path), tmp_path / "out"
    tasks = [
        _entry(path, 3000, 4000),
        _entry(path, 500, 1500, dnsmos_ovrl=3.123456),
        task(audio_filepath=path, start_ms=0, end_ms=250),
    ]
    stage = SegmentExtractionStage(output_dir=str(out), output_format=extension)
    for _ in range(2):
        executor = LocalExecutor(mode=mode, cpus=2, num_workers=2)
        found = (
            Pipeline("cut", stages=[stage]).run(
                executor, initial_tasks=[AudioTask(data=dict(each.data)) for each in tasks]
            )
            or []
        )
    assert sorted(Path(each.data["segment_filepaths"][0]).name for each in found) == [
        f"talk_segment_00{n}.{extension}" for n in range(3)
    ]
    rows = _rows(out)
    assert [(row["filename"][13:16], row["start_sec"], row["end_sec"], row["duration"]) for row in rows] == [
        ("000", "0.0", "0.25", "0.25"), ("001", "0.5", "1.5", "1.0"), ("002", "3.0", "4.0", "1.0"),
    ]  # fmt: skip
    assert [row["dnsmos_ovrl"] for row in rows] == ["", "3.1235", ""]
    samples, rate = soundfile.read(str(out / f"talk_segment_001.{extension}"))
    assert (len(samples), rate) == (1000, 1000)
    if extension != "ogg":
        np.testing.assert_allclose(samples, 0.125 + np.arange(1000) / 4000, atol=1e-4)
    assert check_output(str(out)) == []


def test_speakers_are_in_names(tmp_path: Path) -> None:
    path = _ramp(tmp_path)
    by_intervals = [
        {"audio_filepath": path, "speaker_id": "speaker_0", "diar_segments": [[0, 1], [2, 2.5]]},
        {"audio_filepath": path, "speaker_id": "../x", "diar_segments": [[1, 2]]},
    ]
    result = extract_segments(by_intervals, str(tmp_path / "a"))
    assert [row["filename"] for row in result.rows] == [
        "talk_speaker_0_segment_000.wav",
        "talk_speaker_..-x_segment_000.wav",
        "talk_speaker_0_segment_001.wav",
    ]
    by_times = [{"audio_filepath": path, "speaker_id": 1, "start_ms": 0, "end_ms": 100}]
    assert [row["filename"] for row in extract_segments(by_times, str(tmp_path / "b")).rows] == [
        "talk_speaker_1_segment_000.wav"
    ]
    assert [detect_combo(each) for each in (by_intervals[0], by_times[0], {"start_ms": 0})] == [
        "speaker_intervals",
        "speakers",
        "timestamps",
    ]


def test_recordings_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    entries = [{"original_file": _ramp(tmp_path / folder), "start_ms": 0, "end_ms": 1000} for folder in ("a", "b")]
    result = extract_segments(entries, str(tmp_path / "out"))
    assert [row["filename"] for row in result.rows] == ["talk_segment_000.wav", "talk_segment_001.wav"]


def test_what_cannot_be_cut_is_dropped_with_its_reason(tmp_path: Path) -> None:
    path, out = _ramp(tmp_path), tmp_path / "out"
    tasks = [
        _entry(path, 0, 500),
        _entry("/no/such.wav", 0, 500),
        _entry(path, 9000, 9500),
        _entry(path, 500, 500),
        task(path),
    ]
    pipeline = Pipeline("cut", stages=[SegmentExtractionStage(output_dir=str(out))])
    found = pipeline.run(LocalExecutor(mode="inline"), initial_tasks=tasks)
    assert [each.data["segment_filepaths"] for each in found or []] == [[str(out / "talk_segment_000.wav")]]
    assert pipeline.last_report is not None
    assert pipeline.last_report.stage("segment_extraction").tasks_dropped == {"missing": 1, "empty": 1, "no_range": 2}


def test_a_manifest_is_enough(tmp_path: Path) -> None:
    path, out = _ramp(tmp_path), tmp_path / "out"
    lines = [
        {"original_file": path, "start_ms": 0, "end_ms": 1500},
        {"original_file": "/no/such.wav", "start_ms": 0, "end_ms": 10},
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    summary = SegmentExtractionStage(output_dir=str(out), output_format="flac").extract_from_manifest(str(manifest))
    assert {key: summary[key] for key in ("combo", "entries", "failed_entries", "files", "total_duration_sec")} == {
        "combo": "timestamps", "entries": 2, "failed_entries": 1, "files": 1, "total_duration_sec": 1.5,
    }  # fmt: skip
    assert json.loads((out / "extraction_summary.json").read_text()) == summary
    assert len(load_manifests([str(manifest), str(manifest)])) == 4
    manifest.write_text("[1]")
    with pytest.raises(DataError, match="line 1"):
        load_manifests([str(manifest)])


def test_options_of_extraction(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="output_dir"):
        SegmentExtractionStage()
    with pytest.raises(ValueError, match="'mp3' is not known"):
        SegmentExtractionStage(output_dir="x", output_format="mp3")
    with pytest.raises(ValueError, match="'mp3' is not known"):
        extract_segments([], str(tmp_path), "mp3")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        SegmentExtractionStage(output_dir=str(tmp_path / "file" / "x")).check_before_run()
    with pytest.raises(NotImplementedError):
        SegmentExtractionStage(output_dir="x").process(task(waveform=tone()))
