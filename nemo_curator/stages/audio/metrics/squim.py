"""`TorchSquimQualityMetricsStage`: PESQ, STOI and SI-SDR as a network estimates them without a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import MissingExtra
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.filtering.scorer import QualityFilterStage, SpeechScorer, below_threshold

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["TorchSquimQualityMetricsStage", "TorchaudioSquim"]


class TorchaudioSquim(SpeechScorer):
    """SQUIM (Kumar et al. 2023, arXiv 2304.01448) through torchaudio, which no extra of this package brings.

    Torchaudio fetches the weights from its publisher when the model is loaded for the first time.
    """

    sample_rate = 16000

    def __init__(self) -> None:
        self._model: Any = None

    def check(self) -> None:
        """Look whether torchaudio is there."""
        from importlib.util import find_spec

        if find_spec("torchaudio") is None:
            message = (
                "estimating PESQ, STOI and SI-SDR needs torchaudio and its torch, of the same version: pip install torchaudio; or bring a "
                "SpeechScorer of your own as model=, or use DNSMOSFilterStage"
            )
            raise MissingExtra(message, name="torchaudio")

    def load(self) -> None:
        """Load the model."""
        if self._model is not None:
            return
        self.check()
        from torchaudio.pipelines import SQUIM_OBJECTIVE  # pyright: ignore[reportMissingImports] - no extra

        self._model = SQUIM_OBJECTIVE.get_model().eval()

    def scores(self, samples: Waveform) -> dict[str, float]:
        """Return ``stoi``, ``pesq`` and ``sisdr``."""
        self.load()
        import torch  # pyright: ignore[reportMissingImports] - an extra

        with torch.inference_mode():
            found = self._model(torch.from_numpy(samples)[None])
        return {name: float(value) for name, value in zip(("stoi", "pesq", "sisdr"), found, strict=True)}

    def __getstate__(self) -> dict[str, Any]:
        return {"_model": None}


@dataclass
class TorchSquimQualityMetricsStage(QualityFilterStage):
    """Write estimates of PESQ (1 to 4.6), STOI (0 to 1) and SI-SDR (decibels): ``pesq_squim``, ``stoi_squim`` and ``sisdr_squim``.

    What is below a threshold is dropped as ``low_<score>``; by default nothing is. An entry with ``segments`` is judged segment by segment, see
    `QualityFilterStage`.

    Attributes:
        pesq_threshold: The least PESQ; `None` lets all pass.
        stoi_threshold: The least STOI.
        sisdr_threshold: The least SI-SDR in decibels.
        model: A `SpeechScorer` whose scores are called ``pesq``, ``stoi`` and ``sisdr``.
        limits: What is read of a file at most.
    """

    pesq_threshold: float | None = None
    stoi_threshold: float | None = None
    sisdr_threshold: float | None = None
    name: str = "torch_squim_quality_metrics"
    model: SpeechScorer = field(default_factory=TorchaudioSquim, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        self._scorer = self.model

    def keys(self) -> Mapping[str, str]:
        """Return the names of scores with ``_squim`` behind them."""
        return {name: f"{name}_squim" for name in ("pesq", "stoi", "sisdr")}

    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return which score is too low."""
        return below_threshold(
            scores, {"pesq": self.pesq_threshold, "stoi": self.stoi_threshold, "sisdr": self.sisdr_threshold}
        )
