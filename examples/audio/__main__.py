"""Find speech in a recording that gets noisier, judge it, and write down what is said, for the sentences that are clean enough.

    python -m examples.audio [output folder] [--picture FILE.svg]

The recording is made of the five sentences in `examples/data/librivox`, two seconds apart, under white noise that grows from sentence to
sentence. Another file is no audio at all. Written are ``all.jsonl``, every segment with its scores, ``curated.jsonl``, what is left of them,
and with ``--picture`` the waveform with the segments on it. Needs the extra ``audio``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from examples.audio.picture import draw
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.observe import summary_table
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio import (
    ASRStage,
    DNSMOSFilterStage,
    ManifestReader,
    ManifestWriterStage,
    MonoConversionStage,
    PreserveByValueStage,
    SpeechRateStage,
    TimestampMapperStage,
    VADSegmentationStage,
)

DATA = Path(__file__).parents[1] / "data" / "librivox"
RATE = 16000
NOISE = (0.0, 0.003, 0.008, 0.02, 0.06)
"""Root mean square of the noise under each sentence; that of the voice is about 0.07."""
ENOUGH = 2.5
KEPT = ["pred_text", "words_per_second", *(f"dnsmos_{part}" for part in ("ovrl", "sig", "bak", "p808"))]


def make_recording(folder: Path) -> Path:
    """Write the recording and a manifest that names it, and a file that is none; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(7)
    parts: list[Any] = []
    for path, level in zip(sorted(DATA.glob("*.wav")), NOISE, strict=True):
        speech, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        quiet = np.concatenate([np.zeros(RATE), speech, np.zeros(RATE)])
        parts.append(quiet + level * chance.standard_normal(len(quiet)))
    soundfile.write(folder / "reading.wav", np.clip(np.concatenate(parts), -1, 1), RATE, subtype="PCM_16")
    (folder / "broken.wav").write_text("This is no audio.\n")
    manifest = folder / "recordings.jsonl"
    manifest.write_text("".join(json.dumps({"audio_filepath": name}) + "\n" for name in ("reading.wav", "broken.wav")))
    return manifest


def build_pipeline(manifest: Path, output: Path, recogniser: str = "faster_whisper") -> Pipeline:
    """From recordings to a manifest of clean, transcribed sentences."""
    return Pipeline(
        "speech",
        stages=[
            ManifestReader(str(manifest), relative_to_manifest=True),
            MonoConversionStage(RATE, strict_sample_rate=False),
            VADSegmentationStage(min_duration_sec=1.0, threshold=0.3),
            DNSMOSFilterStage(),
            ASRStage(recogniser),
            SpeechRateStage(text_key="pred_text"),
            TimestampMapperStage(passthrough_keys=KEPT),
            ManifestWriterStage(str(output / "all.jsonl"), name="all_segments"),
            PreserveByValueStage("dnsmos_ovrl", ENOUGH, "ge"),
            ManifestWriterStage(str(output / "curated.jsonl"), name="curated"),
        ],
    )


def main() -> None:
    """Run the example and print what it did."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path, nargs="?", default=Path("audio_output"))
    parser.add_argument("--picture", type=Path, help="where to draw the waveform, an .svg file")
    arguments = parser.parse_args()
    manifest = make_recording(arguments.output / "recordings")
    pipeline = build_pipeline(manifest, arguments.output)
    pipeline.run(LocalExecutor(return_outputs=False))
    from rich.console import Console

    assert pipeline.last_report is not None
    Console().print(summary_table(pipeline.last_report, items="recordings"))
    segments = [json.loads(line) for line in (arguments.output / "all.jsonl").read_text().splitlines()]
    for segment in segments:
        kept = "kept   " if segment["dnsmos_ovrl"] >= ENOUGH else "dropped"
        times = f"{segment['original_start_ms'] / 1000:6.2f} to {segment['original_end_ms'] / 1000:6.2f} s"
        print(f"{kept} {times}  DNSMOS {segment['dnsmos_ovrl']:.2f}  {segment['pred_text']}")
    if arguments.picture is not None:
        samples, _ = soundfile.read(manifest.parent / "reading.wav", dtype="float32")
        arguments.picture.write_text(draw(samples, RATE, segments, ENOUGH), encoding="utf-8")


if __name__ == "__main__":
    main()
