"""`BandFilterStage`: recordings of telephone quality, told by what is missing in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.filtering.scorer import QualityFilterStage, SpeechScorer
from nemo_curator.stages.resources import Resources

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["BandFilterStage", "SpectralBand"]

_VALUES = ("full_band", "narrow_band")


class SpectralBand(SpeechScorer):
    """Tells the band from the spectrum alone; there is no model.

    A telephone ends at 3.4 kHz, and files of 8 kHz at 4 kHz, whatever rate they are stored at afterwards. Of the loudest tenth of all
    windows of 32 ms the mean power between 4.4 and 7.6 kHz is compared with that between 300 Hz and 3.4 kHz: consonants bring it above
    -60 dB, and where the band was cut it is far below.

    Args:
        threshold_db: Less is ``narrow_band``.
    """

    sample_rate = 16000

    def __init__(self, threshold_db: float = -60.0) -> None:
        self.threshold_db = threshold_db

    def load(self) -> None:
        """Do nothing."""

    def scores(self, samples: Waveform) -> dict[str, Any]:
        """Return ``band``, a word, and ``ratio_db``, the upper band's power in decibels relative to the lower's."""
        import numpy as np
        from numpy.lib.stride_tricks import sliding_window_view

        size = 512
        padded = np.pad(samples, (0, max(0, size - len(samples)))).astype(np.float64)
        frames = sliding_window_view(padded, size)[:: size // 2]
        loudness = (frames**2).sum(axis=1)
        loudest = frames[np.argsort(loudness)[-max(1, len(frames) // 10) :]]
        # Side lobes of a Blackman window are at -58 dB and falling: what is loud below does not leak to where it is looked for.
        power = (np.abs(np.fft.rfft(loudest * np.blackman(size), axis=1)) ** 2).mean(axis=0)
        hertz = np.fft.rfftfreq(size, 1 / self.sample_rate)
        low = power[(hertz >= 300) & (hertz <= 3400)].mean()
        high = power[(hertz >= 4400) & (hertz <= 7600)].mean()
        ratio = 10 * np.log10(max(high, 1e-20) / max(low, 1e-20)) if low > 0 else -200.0
        return {"band": "full_band" if ratio >= self.threshold_db else "narrow_band", "ratio_db": float(ratio)}


@dataclass
class BandFilterStage(QualityFilterStage):
    """Keep recordings of one band: ``full_band``, with sound above 4 kHz, or ``narrow_band``, as of a telephone. Others are dropped
    as ``narrow_band`` or ``full_band``.

    Writes ``band_prediction``. With ``segments`` it judges each of them, see `QualityFilterStage`. The band is told from the spectrum, see
    `SpectralBand`; a trained classifier can be brought as `model`, a `SpeechScorer` whose scores have ``band``.

    Attributes:
        model_path: Of a classifier; must stay `None`, as none can be had without a hub: bring it as `model`.
        cache_dir: For its download; not used.
        band_value: Which to keep.
        model: Who tells the band.
        limits: What is read of a file at most.
    """  # noqa: D205 - the first sentence needs two lines

    model_path: str | None = None
    cache_dir: str | None = None
    band_value: str = "full_band"
    name: str = "BandFilter"
    model: SpeechScorer = field(default_factory=SpectralBand, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        if self.band_value not in _VALUES:
            message = (
                f"stage {self.name!r}: band_value must be {' or '.join(map(repr, _VALUES))}, got {self.band_value!r}"
            )
            raise OptionError(message)
        if self.model_path is not None:
            message = (
                f"stage {self.name!r} cannot load {self.model_path}: classifiers of the band come as pickles, which run what is in them. Wrap "
                "yours in a SpeechScorer and pass it as model=..., or leave model_path out to go by the spectrum"
            )
            raise OptionError(message)
        self._scorer = self.model

    def keys(self) -> Mapping[str, str]:
        """Return ``band_prediction``."""
        return {"band": "band_prediction"}

    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return the band if it is not the wanted one."""
        return "" if scores["band"] == self.band_value else str(scores["band"])
