"""From a manifest with good and bad recordings to a manifest of speech."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sounds import SPEECH, speech, write

from nemo_curator.stages.audio import (
    BandFilterStage,
    GetAudioDurationStage,
    ManifestReader,
    ManifestWriterStage,
    MonoConversionStage,
    PreserveByValueStage,
    TimestampMapperStage,
    VADSegmentationStage,
)
from nemo_curator.testing import BackendUnderTest

BAD = ("missing", "text", "cut off", "silence", "broken line")


def _manifest(folder: Path) -> str:
    """Five recordings, two of them in one file with silence between, and what can go wrong between them."""
    silence = np.zeros((1, 24000), dtype=np.float32)
    together = write(folder / "two.wav", np.concatenate([speech(1)[0], silence, speech(4)[0]], axis=1))
    (folder / "text.wav").write_text("no sound")
    (folder / "cut.wav").write_bytes(Path(SPEECH[0]).read_bytes()[:44])
    quiet = write(folder / "quiet.wav", silence)
    paths = [
        SPEECH[0],
        folder / "gone.wav",
        SPEECH[2],
        folder / "text.wav",
        together,
        folder / "cut.wav",
        SPEECH[3],
        quiet,
    ]
    lines = [json.dumps({"audio_filepath": str(path), "topic": "austen"}) for path in paths]
    (folder / "in.jsonl").write_text("\n".join([*lines[:3], "{broken", *lines[3:]]))
    return str(folder / "in.jsonl")


def test_speech_is_found_among_bad_recordings(tmp_path: Path, backend: BackendUnderTest) -> None:
    pytest.importorskip("faster_whisper")
    out = tmp_path / "out.jsonl"
    result = backend.run(
        ManifestReader(_manifest(tmp_path)),
        GetAudioDurationStage(),
        PreserveByValueStage("duration", 0, "gt"),
        MonoConversionStage(16000),
        VADSegmentationStage(min_duration_sec=0.5),
        BandFilterStage(),
        TimestampMapperStage(passthrough_keys=["topic", "band_prediction"]),
        ManifestWriterStage(str(out)),
        on_error="quarantine",
    )
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [Path(each["original_file"]).name[-8:] for each in found] == [
        "0870.wav",
        "0890.wav",
        "two.wav",
        "two.wav",
        "0920.wav",
    ]
    assert {(each["topic"], each["band_prediction"]) for each in found} == {("austen", "full_band")}
    assert [each["original_start_ms"] for each in found][3] == pytest.approx(2990 + 1500, abs=350)
    dropped = {
        stage.name: dict(stage.counts.tasks_dropped) for stage in result.report.stages if stage.counts.tasks_dropped
    }
    assert dropped == {"preserve_by_value": {"duration_not_gt": 3}, "VADSegmentation": {"no_speech": 1}}
    assert result.report.stage("manifest_reader_stage").tasks_in == 1
    assert len(result.report.failures) == 1
