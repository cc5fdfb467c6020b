"""Recognisers that fail on cue."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from nemo_curator.stages.audio.inference.asr import AsrAdapter, AsrClip, AsrResult


class Counting(AsrAdapter):
    """Says how many samples it got, in the journal `model_id` what it was asked to do, and raises for clips of length 13."""

    sample_rate = 8000
    languages = frozenset({"en", "de"})

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id)
        self.loaded = False

    def _note(self, word: str) -> None:
        with Path(self.model_id).open("a") as journal:
            journal.write(word + "\n")

    def download_weights_on_node(self) -> None:
        self._note("download")

    def load_model(self, *, num_gpus: float) -> None:
        self._note("load")
        self.loaded = True

    def unload_model(self) -> None:
        self._note("unload")
        self.loaded = False

    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        assert self.loaded
        self._note(f"transcribe {len(clips)}")
        if any(len(clip.samples) == 13 for clip in clips):
            message = "thirteen samples"
            raise RuntimeError(message)
        return [AsrResult(str(len(clip.samples)), clip.language or "en", {"seen": True}) for clip in clips]


class TooFew(Counting):
    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        return []


class Deadly(Counting):
    """Crashes its process for clips of 13 samples, inside native code, and never comes back for clips of 17."""

    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        for clip in clips:
            if len(clip.samples) == 13:
                ctypes.string_at(0)
            if len(clip.samples) == 14:
                os._exit(1)
            if len(clip.samples) == 17:
                threading.Event().wait()
        return [AsrResult(str(len(clip.samples))) for clip in clips]


class NoAdapter:
    def load_model(self) -> None: ...
