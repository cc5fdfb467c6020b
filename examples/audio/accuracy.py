"""Measure both recognisers and the speech detector on labelled recordings.

    python -m examples.audio.accuracy [--asterisk FOLDER --every 4]

Without more, the five sentences in `examples/data/librivox`. ``--asterisk`` names the folder that Debian's packages asterisk-core-sounds-en-wav
and asterisk-core-sounds-en were unpacked to (``apt-get download``, ``dpkg-deb -x``): prompts of a telephone system at 8 kHz with their texts.
Every n-th of those with at least four words is heard. Needs the extra ``audio``.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio import ASRStage, ComputeWERStage, GetAudioDurationStage, VADSegmentationStage
from nemo_curator.stages.audio.common import read_audio
from nemo_curator.tasks import AudioTask

DATA = Path(__file__).parents[1] / "data" / "librivox"
ENGINES = ("faster_whisper", "pocketsphinx")
PAUSE = 2.0


def librivox() -> Iterator[dict[str, Any]]:
    """Yield the sentences."""
    for line in (DATA / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        yield {**entry, "audio_filepath": str(DATA / entry["audio_filepath"])}


def asterisk(folder: Path, every: int) -> Iterator[dict[str, Any]]:
    """Yield every n-th prompt that is speech and has four words or more."""
    texts = gzip.decompress(next(folder.rglob("core-sounds-en.txt.gz")).read_bytes()).decode()
    sounds = next(folder.rglob("en_US_f_Allison"))
    found: list[dict[str, Any]] = []
    for line in texts.splitlines():
        name, _, text = line.partition(":")
        path = sounds / f"{name.strip()}.wav"
        if not line.startswith(";") and "[" not in text and len(text.split()) >= 4 and path.is_file():
            found.append({"audio_filepath": str(path), "text": text.strip()})
    yield from found[::every]


def recognition(engine: str, entries: list[dict[str, Any]]) -> str:
    """Return a row of the table: recordings, seconds, errors in words and characters over all of them."""
    pipeline = Pipeline("accuracy", stages=[GetAudioDurationStage(), ASRStage(engine, batch_size=4), ComputeWERStage()])
    tasks = [AudioTask(dataset_name="accuracy", data=dict(entry)) for entry in entries]
    found = [task.data for task in pipeline.run(LocalExecutor(num_workers=1), initial_tasks=tasks) or []]
    totals = {
        key: sum(each[key] for each in found)
        for key in ("wer_errors", "wer_length", "cer_errors", "cer_length", "duration")
    }
    wer, cer = (totals[f"{kind}_errors"] / totals[f"{kind}_length"] for kind in ("wer", "cer"))
    return f"{len(found)} | {totals['duration']:.0f} s | {totals['wer_length']} | {wer:.1%} | {cer:.1%}"


def voice(samples: Any, rate: int) -> tuple[float, float]:
    """Return where a clean recording of one sentence is first and last within 35 dB of its loudest 20 ms, in seconds."""
    frames = samples[: len(samples) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)
    power = (frames**2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() / 10**3.5)
    return loud[0] / 50, (loud[-1] + 1) / 50


def boundaries(noise: float, pad_ms: int) -> str:
    """Return a row: sentences two seconds apart, how many segments are found, and how far their ends are from where the voice is."""
    chance = np.random.default_rng(7)
    silence = np.zeros((1, int(PAUSE * 16000)), dtype=np.float32)
    parts, truth, at = [silence], [], PAUSE
    for entry in librivox():
        waveform, rate = read_audio(entry["audio_filepath"])
        parts += [waveform, silence]
        truth += [at + edge for edge in voice(waveform[0], rate)]
        at += waveform.shape[1] / rate + PAUSE
    sound = np.concatenate(parts, axis=1)
    sound = (sound + noise * chance.standard_normal(sound.shape)).astype(np.float32)
    stage = VADSegmentationStage(min_duration_sec=0.5, speech_pad_ms=pad_ms, min_interval_ms=700)
    stage.setup()
    segments = stage.process(AudioTask(data={"waveform": sound, "sample_rate": 16000}))
    found = [segment.data[key] / 1000 for segment in segments or [] for key in ("start_ms", "end_ms")]  # pyright: ignore[reportGeneralTypeIssues]
    if len(found) != len(truth):
        return f"{noise:g} | {pad_ms} ms | {len(found) // 2} of 5 | - | -"
    off = np.abs(np.array(found) - np.array(truth))
    return f"{noise:g} | {pad_ms} ms | 5 of 5 | {1000 * off.mean():.0f} ms | {1000 * off.max():.0f} ms"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--asterisk", type=Path)
    parser.add_argument("--every", type=int, default=4)
    arguments = parser.parse_args()
    sets = {"LibriVox": list(librivox())}
    if arguments.asterisk is not None:
        sets["Asterisk prompts, 8 kHz"] = list(asterisk(arguments.asterisk, arguments.every))
    print("| recogniser | recordings | number | length | words | WER | CER |\n|---|---|---:|---:|---:|---:|---:|")
    for name, entries in sets.items():
        for engine in ENGINES:
            print(f"| {engine} | {name} | {recognition(engine, entries)} |", flush=True)
    print("\n| noise (RMS) | padding | sentences | boundaries off by, mean | at most |\n|---:|---:|---:|---:|---:|")
    for pad_ms in (0, 300):
        for noise in (0.0, 0.01, 0.03):
            print(f"| {boundaries(noise, pad_ms)} |", flush=True)


if __name__ == "__main__":
    main()
