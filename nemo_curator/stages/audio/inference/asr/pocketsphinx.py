"""`PocketSphinxAdapter`: a small recogniser of English, older than neural networks in this trade."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_curator.errors import InputError, require
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult

__all__ = ["SHIPPED", "PocketSphinxAdapter"]

SHIPPED = "en-us"


class PocketSphinxAdapter(AsrAdapter):
    """PocketSphinx 5 (BSD licence, github.com/cmusphinx/pocketsphinx) with the American English models that it ships.

    It makes about five times as many errors as Whisper tiny.en on read speech.

    Args:
        model_id: ``"en-us"``, or the folder of an acoustic model for the same words.
    """

    languages = frozenset({"en"})

    def __init__(self, model_id: str = SHIPPED) -> None:
        super().__init__(model_id)
        self._decoder: Any = None

    def check(self) -> None:
        """Look whether PocketSphinx and the model are there."""
        require("pocketsphinx", extra="audio", purpose="the recogniser PocketSphinx")
        if self.model_id != SHIPPED and not Path(self.model_id).is_dir():
            message = f"there is no folder {self.model_id} with an acoustic model; model_id={SHIPPED!r} is the one that PocketSphinx ships"
            raise InputError(message)

    def download_weights_on_node(self) -> None:
        """Look whether the model is on this machine."""
        self.check()

    def load_model(self, *, num_gpus: float) -> None:
        """Load the models."""
        from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports] - an extra

        options: dict[str, Any] = {} if self.model_id == SHIPPED else {"hmm": self.model_id}
        self._decoder = Decoder(samprate=float(self.sample_rate), loglevel="FATAL", **options)

    def unload_model(self) -> None:
        """Let go of the models."""
        self._decoder = None

    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        """Return the transcripts: lower case, no punctuation."""
        return [self._transcribe(clip) for clip in clips]

    def _transcribe(self, clip: AsrClip) -> AsrResult:
        import numpy as np

        decoder = self._decoder
        pcm = (np.clip(clip.samples, -1, 1) * 32767).astype("<i2").tobytes()
        # The running mean of the voice's loudness would carry over from one clip to the next, and results depend on their order.
        decoder.reinit_feat()
        decoder.start_utt()
        if pcm:
            decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return AsrResult(hypothesis.hypstr if hypothesis else "", "en")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_decoder": None}
