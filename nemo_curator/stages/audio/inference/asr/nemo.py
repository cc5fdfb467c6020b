"""`NemoAdapter`: recognisers of NVIDIA's NeMo toolkit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nemo_curator.errors import MissingExtra
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult

__all__ = ["NemoAdapter"]


class NemoAdapter(AsrAdapter):
    """A recogniser of NVIDIA's NeMo toolkit, which no extra of this package brings, with the time of every word.

    Args:
        model_id: A file ``.nemo``, or a name on the hub, from where it is fetched to NeMo's cache.
    """

    def __init__(self, model_id: str = "nvidia/parakeet-tdt_ctc-1.1b") -> None:
        super().__init__(model_id)
        self._model: Any = None

    def check(self) -> None:
        """Look whether NeMo is there."""
        from importlib.util import find_spec

        if find_spec("nemo") is None:
            message = (
                f"recognising speech with {self.model_id} needs NVIDIA's NeMo toolkit and its torch: pip install 'nemo_toolkit[asr]'; or use "
                "another adapter, such as faster_whisper"
            )
            raise MissingExtra(message, name="nemo")

    def load_model(self, *, num_gpus: float) -> None:
        """Load the model, onto a GPU if there is one for it."""
        self.check()
        from nemo.collections.asr.models import ASRModel  # pyright: ignore[reportMissingImports] - no extra

        is_file = os.path.isfile(self.model_id)
        model = (ASRModel.restore_from if is_file else ASRModel.from_pretrained)(self.model_id).eval()
        self._model = model.cuda() if num_gpus else model

    def unload_model(self) -> None:
        """Let go of the model."""
        self._model = None

    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        """Return the transcripts. ``extra`` has ``alignment``: for every word an object with ``word``, and ``start`` and ``end`` in seconds."""
        found = self._model.transcribe([clip.samples for clip in clips], timestamps=True, verbose=False)
        return [
            AsrResult(
                hypothesis.text,
                extra={
                    "alignment": [
                        {"word": word["word"], "start": float(word["start"]), "end": float(word["end"])}
                        for word in hypothesis.timestamp["word"]
                    ]
                },
            )
            for hypothesis in found
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}
