"""Bandwidth, estimates of quality, and texts as one writes them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import SPEECH, speech, task, tone, write

from nemo_curator.errors import MissingExtra, OptionError
from nemo_curator.stages.audio.common import resample
from nemo_curator.stages.audio.filtering import SpeechScorer
from nemo_curator.stages.audio.metrics import BandwidthEstimationStage, TorchSquimQualityMetricsStage, bandwidth_of
from nemo_curator.stages.audio.tagging import ChineseConversionStage, InverseTextNormalizationStage
from nemo_curator.tasks import NoneTask


@pytest.mark.parametrize("cut", [4000, 8000, 11025, 22050])
def test_bandwidth_is_where_the_noise_ends(cut: int) -> None:
    noise = np.random.default_rng(0).standard_normal((1, 4 * cut)).astype(np.float32)
    # What was at a lower rate once has nothing above half of it, whatever rate it is stored at; resampling lets nine tenths pass.
    stored = resample(noise, 2 * cut, 48000)[0]
    assert 0.9 * cut <= bandwidth_of(stored, 48000) <= 1.1 * cut


@pytest.mark.parametrize("hertz", [300, 1000, 5000])
def test_a_tone_is_as_wide_as_its_line(hertz: float) -> None:
    # A line of the window is six lines wide at -60 dB.
    assert bandwidth_of(tone(1.0, 16000, hertz=hertz)[0], 16000) == pytest.approx(hertz, abs=6 * 16000 / 512)


def test_bandwidth_is_written_of_segments_or_of_the_whole(tmp_path: Path) -> None:
    clear, rate = speech(0)
    dull = resample(resample(clear, rate, 8000), 8000, rate)
    path = write(tmp_path / "both.wav", np.concatenate([clear, dull], axis=1), rate)
    half = clear.shape[1] / rate
    segments = [
        {"start": 0, "end": half},
        {"start": half, "end": 2 * half, "metrics": {"snr": 3}},
        {"start": 1000, "end": 1001},
    ]
    stage = BandwidthEstimationStage()
    found: Any = stage.process(task(path, segments=segments)).data["segments"]  # pyright: ignore[reportOptionalMemberAccess]
    assert found[0]["metrics"]["bandwidth"] > 6000 > 4400 > found[1]["metrics"]["bandwidth"] > 3000
    assert (found[1]["metrics"]["snr"], found[2]["metrics"]["bandwidth"]) == (3, 0)
    whole: Any = stage.process(task(SPEECH[0])).data  # pyright: ignore[reportOptionalMemberAccess]
    assert whole["metrics"] == found[0]["metrics"]
    assert "waveform" not in whole
    silent = task(waveform=np.zeros((1, 100), dtype=np.float32), sample_rate=8000)
    assert stage.process(silent).data["metrics"] == {"bandwidth": 0}  # pyright: ignore[reportOptionalMemberAccess]
    assert stage.process(task("/no/such.wav")) == NoneTask(reason="missing")
    assert stage.process(task()) == NoneTask(reason="missing")
    for options in ({"threshold_db": 0}, {"n_fft": 2}):
        with pytest.raises(OptionError, match="stage 'bandwidth_estimation'"):
            BandwidthEstimationStage(**options)


class Loudness(SpeechScorer):
    """Gives the greatest value of a clip as all three scores."""

    sample_rate = 8000

    def load(self) -> None:
        """There is no model."""

    def scores(self, samples: Any) -> dict[str, float]:
        return dict.fromkeys(("pesq", "stoi", "sisdr"), float(np.abs(samples).max()))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, ""),
        ({"stoi_threshold": 0.4}, ""),
        ({"sisdr_threshold": 0.6}, "low_sisdr"),
        ({"pesq_threshold": 3}, "low_pesq"),
    ],
)
def test_estimates_are_written_and_judged(options: dict[str, float], reason: str) -> None:
    entry = task(waveform=tone(1.0, 8000), sample_rate=8000)
    found = TorchSquimQualityMetricsStage(model=Loudness(), **options).process(entry)
    assert found == NoneTask(reason=reason) if reason else found is entry
    assert [entry.data[f"{name}_squim"] for name in ("pesq", "stoi", "sisdr")] == pytest.approx([0.5] * 3, abs=0.01)


@pytest.mark.parametrize(
    ("stage", "package", "words"),
    [
        (TorchSquimQualityMetricsStage(), "torchaudio", "pip install torchaudio; or bring a SpeechScorer"),
        (InverseTextNormalizationStage(), "nemo_text_processing", "pip install nemo_text_processing"),
        (ChineseConversionStage(), "opencc", "pip install OpenCC"),
    ],
)
def test_what_no_extra_brings_is_said_before_the_run(stage: Any, package: str, words: str) -> None:
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(MissingExtra, match=words):
        stage.check_before_run()


def test_chinese_is_converted_where_there_is_some() -> None:
    pytest.importorskip("opencc")
    stage = ChineseConversionStage()
    stage.setup()
    data = stage.process(task(text="漢字", segments=[{"text": "語言"}, {"text": " "}, {}])).data
    assert data == {"text": "汉字", "segments": [{"text": "语言"}, {"text": " "}, {}]}
    kept = ChineseConversionStage("s2t", output_key="traditional").process(task(text="汉字")).data
    assert kept == {"text": "汉字", "traditional": "漢字"}
    stage.teardown()


def test_options_of_texts_are_checked() -> None:
    with pytest.raises(OptionError, match="convert_type"):
        ChineseConversionStage("../t2s")
    with pytest.raises(OptionError, match="input_case"):
        InverseTextNormalizationStage(input_case="upper")
