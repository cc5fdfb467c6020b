"""`DNSMOSFilterStage`: how good speech would sound to listeners, as DNSMOS predicts it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.models.base import onnx_session
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.filtering.scorer import (
    QualityFilterStage,
    SpeechScorer,
    below_threshold,
    check_thresholds,
)

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["DNSMOSFilterStage", "DnsmosScorer"]

_WINDOW = 144_160
"""Samples that the model hears: 9.01 s."""
_AT_ONCE = 8
# From the model's raw output to the scale of listeners: coefficients by power, highest first (DNS Challenge, DNSMOS P.835).
_CALIBRATION = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
_SHA256_STARTS = {"sig_bak_ovr.onnx": "269fbebdb513aa23", "model_v8.onnx": "9246480c58567bc6"}


class DnsmosScorer(SpeechScorer):
    """DNSMOS P.835 and P.808 (Reddy, Gopal, Cutler 2022, arXiv 2110.01763) on ONNX Runtime.

    Scores from 1 (bad) to 5 (excellent): ``sig`` the voice, ``bak`` the background, ``ovrl`` both together, ``p808`` the whole as in
    ITU-T P.808. The models hear 9.01 s; a shorter sound is repeated, of a longer one windows are heard, and the mean is the score.

    Args:
        model_dir: Folder with ``sig_bak_ovr.onnx`` and ``model_v8.onnx``; by default what the package speechmos ships.
        hop_seconds: From one window to the next. The publication has 1; larger ones are quicker for long recordings.
        threads: Threads of one worker.
    """

    sample_rate = 16000

    def __init__(self, model_dir: str | None = None, hop_seconds: float = 1.0, threads: int = 1) -> None:
        if not hop_seconds > 0:
            message = f"DNSMOS: hop_seconds must be above 0, got {hop_seconds}"
            raise OptionError(message)
        self.model_dir = model_dir
        self.hop_seconds = hop_seconds
        self.threads = threads
        self._sessions: tuple[Any, Any] | None = None

    def check(self) -> None:
        """Look whether ONNX Runtime and the models are there."""
        require("onnxruntime", extra="audio", purpose="DNSMOS")
        for name in _SHA256_STARTS:
            self._locate(name)

    def _locate(self, name: str) -> Path:
        if self.model_dir is None:
            require("speechmos", extra="audio", purpose="DNSMOS")
            from importlib.resources import files

            path = Path(str(files("speechmos") / "dnsmos_models" / name))
        else:
            path = Path(self.model_dir) / name
        if not path.is_file():
            message = (
                f"DNSMOS: there is no {path}; install speechmos 0.0.1.1, which has it, or pass the folder as model_dir"
            )
            raise InputError(message)
        return path

    def load(self) -> None:
        """Load both models.

        Raises:
            DataError: A file is no such graph, or one of the package is not what was checked.
        """
        if self._sessions is None:
            self._sessions = (self._session("sig_bak_ovr.onnx"), self._session("model_v8.onnx"))

    def _session(self, name: str) -> Any:
        path = self._locate(name)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if self.model_dir is None and not digest.startswith(_SHA256_STARTS[name]):
            message = (
                f"{path} is not the model that was checked: its SHA-256 is {digest}; install speechmos==0.0.1.1 anew"
            )
            raise DataError(message)
        return onnx_session(content, str(path), extra="audio", threads=self.threads)

    def scores(self, samples: Waveform) -> dict[str, float]:
        """Return ``sig``, ``bak``, ``ovrl`` and ``p808``, rounded to four places. Samples beyond -1 to 1 are clipped."""
        import numpy as np

        from nemo_curator.stages.audio.filtering.mel import log_mel

        self.load()
        assert self._sessions is not None
        speech, overall = self._sessions
        heard = np.clip(samples, -1.0, 1.0).astype(np.float32)
        while len(heard) < _WINDOW:  # doubled, as published, so that windows meet the same seams
            heard = np.concatenate([heard, heard])
        last = len(heard) // self.sample_rate - _WINDOW / self.sample_rate
        starts = [round(k * self.hop_seconds * self.sample_rate) for k in range(int(last / self.hop_seconds) + 1)]
        raw: list[Any] = []
        p808: list[Any] = []
        for first in range(0, len(starts), _AT_ONCE):
            windows = np.stack([heard[start : start + _WINDOW] for start in starts[first : first + _AT_ONCE]])
            raw.append(speech.run(None, {"input_1": windows})[0])
            mels = np.stack([log_mel(window[:-160]) for window in windows])
            p808.append(overall.run(None, {"input_1": mels})[0][:, 0])
        by_window = np.concatenate(raw)
        means = {
            name: np.polyval(coefficients, by_window[:, column]).mean()
            for column, (name, coefficients) in enumerate(_CALIBRATION.items())
        }
        means["p808"] = np.concatenate(p808).mean()
        return {name: round(float(value), 4) for name, value in means.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_sessions": None}


@dataclass
class DNSMOSFilterStage(QualityFilterStage):
    """Write what DNSMOS predicts listeners would say, 1 to 5, and drop what is below a threshold, as ``low_<score>``.

    Writes ``dnsmos_ovrl``, ``dnsmos_sig``, ``dnsmos_bak`` and ``dnsmos_p808``. With ``segments`` it judges each of them, see
    `QualityFilterStage`.

    Attributes:
        ovrl_threshold: The least overall quality; `None` lets all pass.
        sig_threshold: The least quality of the voice.
        bak_threshold: The least quality of the background: higher is quieter.
        p808_threshold: The least quality of the whole by ITU-T P.808.
        model: The models.
        limits: What is read of a file at most.
    """

    ovrl_threshold: float | None = None
    sig_threshold: float | None = None
    bak_threshold: float | None = None
    p808_threshold: float | None = None
    name: str = "DNSMOSFilter"
    model: SpeechScorer = field(default_factory=DnsmosScorer, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        check_thresholds(self.name, self._thresholds())
        self._scorer = self.model

    def _thresholds(self) -> dict[str, float | None]:
        return {
            "ovrl": self.ovrl_threshold,
            "sig": self.sig_threshold,
            "bak": self.bak_threshold,
            "p808": self.p808_threshold,
        }

    def keys(self) -> Mapping[str, str]:
        """Return ``dnsmos_`` and the name of the score."""
        return {name: f"dnsmos_{name}" for name in self._thresholds()}

    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return which score is too low."""
        return below_threshold(scores, self._thresholds())
