"""`UTMOSFilterStage` and `SIGMOSFilterStage`: predicted opinions of listeners, by models that come from a hub or from you."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.filtering.scorer import (
    QualityFilterStage,
    SpeechScorer,
    below_threshold,
    check_thresholds,
)

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["SIGMOSFilterStage", "TorchScriptMos", "UTMOSFilterStage"]

_SIGMOS = ("noise", "ovrl", "sig", "col", "disc", "loud", "reverb")


class TorchScriptMos(SpeechScorer):
    """A predictor of the mean opinion score in a TorchScript file: takes a batch ``(1, samples)`` and the rate, returns one number.

    UTMOS (Saeki et al. 2022, arXiv 2204.02152) can be had so: script ``utmos22_strong`` of github.com/tarepan/SpeechMOS and save it.

    Args:
        path: The file.
        sample_rate: What the model hears, in Hz.
    """

    def __init__(self, path: str, sample_rate: int = 16000) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self._model: Any = None

    def check(self) -> None:
        """Look whether torch and the file are there."""
        require("torch", extra="torch", purpose="a model in TorchScript")
        if not Path(self.path).is_file():
            message = f"there is no model at {self.path}"
            raise InputError(message)

    def load(self) -> None:
        """Load the model.

        Raises:
            DataError: The file is no TorchScript.
        """
        if self._model is not None:
            return
        self.check()
        import torch  # pyright: ignore[reportMissingImports] - an extra

        try:
            self._model = torch.jit.load(self.path, map_location="cpu").eval()
        except RuntimeError as error:
            message = f"{self.path} is not a model in TorchScript: {error}"
            raise DataError(message) from error

    def scores(self, samples: Waveform) -> dict[str, float]:
        """Return ``mos``."""
        self.load()
        import torch  # pyright: ignore[reportMissingImports] - an extra

        with torch.inference_mode():
            return {"mos": float(self._model(torch.from_numpy(samples)[None], self.sample_rate))}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}


class _NoModel(SpeechScorer):
    """Stands where no model was given, and says so before the run."""

    def __init__(self, what: str, sample_rate: int) -> None:
        self.what = what
        self.sample_rate = sample_rate

    def check(self) -> None:
        """Say what is missing."""
        raise InputError(self.what)

    def load(self) -> None:
        """Say what is missing."""
        raise InputError(self.what)

    def scores(self, samples: Waveform) -> dict[str, float]:
        """Say what is missing."""
        raise InputError(self.what)


@dataclass
class UTMOSFilterStage(QualityFilterStage):
    """Write the mean opinion score that a model predicts, 1 to 5, as ``utmos_mos``, and drop what is below a threshold, as ``low_mos``.

    No package ships UTMOS: bring it as `model`. `DNSMOSFilterStage` needs nothing but the extra ``audio``.

    Attributes:
        mos_threshold: The least score; `None` lets all pass.
        sample_rate: What the model hears, in Hz.
        model: A `SpeechScorer` whose scores have ``mos``, such as `TorchScriptMos`.
        limits: What is read of a file at most.
    """

    mos_threshold: float | None = 3.5
    sample_rate: int = 16000
    name: str = "UTMOSFilter"
    model: SpeechScorer | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        check_thresholds(self.name, {"mos": self.mos_threshold})
        missing = (
            f"stage {self.name!r} has no model, and no package ships UTMOS: pass model=TorchScriptMos('utmos22_strong.pt') with a file of your "
            "own, or use DNSMOSFilterStage"
        )
        self._scorer = self.model or _NoModel(missing, self.sample_rate)

    def keys(self) -> Mapping[str, str]:
        """Return ``utmos_mos``."""
        return {"mos": "utmos_mos"}

    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return whether the score is too low."""
        return below_threshold(scores, {"mos": self.mos_threshold})


@dataclass
class SIGMOSFilterStage(QualityFilterStage):
    """Write the seven scores of SigMOS (Ristea et al. 2024, arXiv 2309.07385), 1 to 5, and drop what is below a threshold, as ``low_<score>``.

    Writes ``sigmos_noise``, ``sigmos_ovrl``, ``sigmos_sig``, ``sigmos_col``, ``sigmos_disc``, ``sigmos_loud`` and ``sigmos_reverb``. No
    package ships the model, and what it hears is not described by the file: bring it as `model`.

    Attributes:
        model_dir: Folder of the model; must stay `None`, see above.
        model_path: The model; must stay `None`, see above.
        noise_threshold: The least score for noise, and so on; `None` lets all pass.
        model: A `SpeechScorer` whose scores have these names.
        limits: What is read of a file at most.
    """

    model_dir: str | None = None
    model_path: str | None = None
    noise_threshold: float | None = 4.0
    ovrl_threshold: float | None = 3.5
    sig_threshold: float | None = None
    col_threshold: float | None = None
    disc_threshold: float | None = None
    loud_threshold: float | None = None
    reverb_threshold: float | None = None
    name: str = "SIGMOSFilter"
    model: SpeechScorer | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        check_thresholds(self.name, self._thresholds())
        missing = (
            f"stage {self.name!r} has no model, and no package ships SigMOS: pass model=, a SpeechScorer that runs yours, or use "
            "DNSMOSFilterStage"
        )
        self._scorer = self.model or _NoModel(missing, 48000)

    def _thresholds(self) -> dict[str, float | None]:
        return {name: getattr(self, f"{name}_threshold") for name in _SIGMOS}

    def keys(self) -> Mapping[str, str]:
        """Return ``sigmos_`` and the name of the score."""
        return {name: f"sigmos_{name}" for name in _SIGMOS}

    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return which score is too low."""
        return below_threshold(scores, self._thresholds())
