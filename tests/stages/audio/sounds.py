"""Sounds for tests: real speech, and files made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nemo_curator.tasks import AudioTask

soundfile = pytest.importorskip("soundfile")

LIBRIVOX = Path(__file__).parents[3] / "examples" / "data" / "librivox"


def transcripts() -> dict[str, str]:
    """Path of every recording, and what is said in it."""
    entries = map(json.loads, (LIBRIVOX / "manifest.jsonl").read_text().splitlines())
    return {str(LIBRIVOX / entry["audio_filepath"]): entry["text"] for entry in entries}


SPEECH = sorted(transcripts())


def speech(number: int = 0) -> tuple[Any, int]:
    """One recording, shape (1, samples), and its sample rate."""
    samples, rate = soundfile.read(SPEECH[number], dtype="float32")
    return samples[np.newaxis, :], rate


def tone(seconds: float = 1.0, rate: int = 16000, *, hertz: float = 440.0, channels: int = 1) -> Any:
    """A sine, shape (channels, samples); the second channel is silent, the third sounds again, and so on."""
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    return np.stack([wave * (channel % 2 == 0) for channel in range(channels)]).astype(np.float32)


def write(path: Path, waveform: Any, rate: int = 16000, *, subtype: str | None = None, kind: str | None = None) -> str:
    soundfile.write(str(path), waveform.T, rate, subtype=subtype, format=kind)
    return str(path)


def task(path: str | Path | None = None, /, **data: Any) -> AudioTask:
    entry = {**({"audio_filepath": str(path)} if path is not None else {}), **data}
    return AudioTask(dataset_name="sounds", data=entry)
