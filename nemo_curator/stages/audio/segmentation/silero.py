"""`SileroVad`: how likely it is that somebody speaks, every 32 ms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.models.base import onnx_session

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["FRAME_SAMPLES", "SAMPLE_RATE", "SileroVad"]

SAMPLE_RATE = 16000
FRAME_SAMPLES = 512
_CONTEXT = 64
_STATE = (1, 1, 128)
# Five minutes at a time: 11 MB of windows, and as much again inside the model.
_FRAMES_AT_ONCE = 9600


class SileroVad:
    """The voice activity detector Silero VAD, version 6 (MIT licence, github.com/snakers4/silero-vad), on ONNX Runtime.

    Args:
        path: The graph; by default the one that the package faster-whisper ships. It takes ``input`` of shape ``(frames, 576)``, which
            are 512 samples at 16 kHz after the last 64 of the frame before, and the states ``h`` and ``c``.
        threads: Threads of one worker. More workers use a machine better than more threads.
    """

    def __init__(self, path: str | None = None, threads: int = 1) -> None:
        self.path = path
        self.threads = threads
        self._session: Any = None

    def locate(self) -> str:
        """Return the path of the graph.

        Raises:
            MissingExtra: ONNX Runtime or the package with the model is not installed.
            InputError: There is no such file.
        """
        require("onnxruntime", extra="audio", purpose="voice activity detection")
        path = self.path
        if path is None:
            require("faster_whisper", extra="audio", purpose="voice activity detection")
            from importlib.resources import files

            path = str(files("faster_whisper") / "assets" / "silero_vad_v6.onnx")
        if not Path(path).is_file():
            message = f"there is no Silero VAD at {path}; install faster-whisper 1.2.1, which has it, or pass the path of silero_vad_v6.onnx"
            raise InputError(message)
        return path

    def load(self) -> None:
        """Load the graph, if it is not.

        Raises:
            DataError: The file is no such graph.
        """
        if self._session is not None:
            return
        path = self.locate()
        session = onnx_session(path, path, extra="audio", threads=self.threads)
        names = {each.name for each in session.get_inputs()}
        if names != {"input", "h", "c"}:
            message = f"{path} is another graph than silero_vad_v6.onnx of faster-whisper: it takes {', '.join(sorted(names))}"
            raise DataError(message)
        self._session = session

    def probabilities(self, samples: Waveform) -> Waveform:
        """Return the probability of speech in every frame of 512 samples, the last one filled up with silence.

        Args:
            samples: One channel at 16 kHz, shape ``(samples,)``.
        """
        import numpy as np
        from numpy.lib.stride_tricks import sliding_window_view

        self.load()
        frames = -(-len(samples) // FRAME_SAMPLES)
        if not frames:
            return np.zeros(0, dtype=np.float32)
        padded = np.zeros(_CONTEXT + frames * FRAME_SAMPLES, dtype=np.float32)
        padded[_CONTEXT : _CONTEXT + len(samples)] = samples
        windows = sliding_window_view(padded, _CONTEXT + FRAME_SAMPLES)[::FRAME_SAMPLES]
        h, c = np.zeros(_STATE, dtype=np.float32), np.zeros(_STATE, dtype=np.float32)
        parts: list[Any] = []
        for start in range(0, frames, _FRAMES_AT_ONCE):
            batch = np.ascontiguousarray(windows[start : start + _FRAMES_AT_ONCE])
            found, h, c = self._session.run(None, {"input": batch, "h": h, "c": c})
            parts.append(found.reshape(-1))
        return np.concatenate(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}
