"""`PyannoteDiarizer`: who speaks when, by pyannote.audio."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError, MissingExtra
from nemo_curator.stages.audio.segmentation.speakers import Diarizer
from nemo_curator.stages.audio.segmentation.turns import Turn

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["PyannoteDiarizer"]


class PyannoteDiarizer(Diarizer):
    """A pipeline of pyannote.audio (Bredin 2023, Interspeech), which no extra of this package brings.

    Args:
        model: The folder or the ``config.yaml`` of a pipeline, or a name on the hub, whose terms have to be accepted there.
        hf_token: Token of the hub; without one the environment's counts.
        num_speakers: How many speak, if that is known.
        device: Where torch computes: ``"cpu"``, ``"cuda"``.
    """

    def __init__(
        self, model: str, hf_token: str | None = None, num_speakers: int | None = None, device: str = "cpu"
    ) -> None:
        self.model = model
        self.hf_token = hf_token
        self.num_speakers = num_speakers
        self.device = device
        self._pipeline: Any = None

    def check(self) -> None:
        """Look whether pyannote.audio is there."""
        from importlib.util import find_spec

        if find_spec("pyannote") is None or find_spec("pyannote.audio") is None:
            message = (
                f"telling speakers apart with {self.model} needs pyannote.audio and its torch: pip install pyannote.audio, and accept the model's "
                "terms on the hub; or bring a Diarizer of your own as model="
            )
            raise MissingExtra(message, name="pyannote.audio")
        if os.path.isabs(self.model) and not os.path.exists(self.model):
            message = f"there is no pipeline of pyannote.audio at {self.model}"
            raise InputError(message)

    def load(self) -> None:
        """Load the pipeline; a name that is no file is fetched from the hub.

        Raises:
            InputError: The hub does not give it.
        """
        if self._pipeline is not None:
            return
        self.check()
        import torch  # pyright: ignore[reportMissingImports] - an extra
        from pyannote.audio import Pipeline  # pyright: ignore[reportMissingImports] - no extra

        pipeline = Pipeline.from_pretrained(self.model, token=self.hf_token)
        if pipeline is None:
            message = f"the hub does not give {self.model}: accept its terms there, and pass hf_token"
            raise InputError(message)
        self._pipeline = pipeline.to(torch.device(self.device))

    def turns(self, samples: Waveform) -> list[Turn]:
        """Return who speaks when."""
        self.load()
        import torch  # pyright: ignore[reportMissingImports] - an extra

        sound = {"waveform": torch.from_numpy(samples)[None], "sample_rate": self.sample_rate}
        found = self._pipeline(sound, num_speakers=self.num_speakers)
        # Version 4 returns an object with several annotations, version 3 the annotation.
        annotation = getattr(found, "speaker_diarization", found)
        return [Turn(turn.start, turn.end, str(who)) for turn, _, who in annotation.itertracks(yield_label=True)]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pipeline": None}
