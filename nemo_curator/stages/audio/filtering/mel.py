"""The spectrogram that DNSMOS was trained on, in NumPy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["log_mel"]

_DYNAMIC_RANGE_DB = 80.0
_FLOOR = 1e-10


def log_mel(samples: Waveform, *, rate: int = 16000, window: int = 321, hop: int = 160, bands: int = 120) -> Waveform:
    """Return a mel spectrogram in decibels below its loudest point, at most 80, scaled to -1 to 1: ``(dB + 40) / 40``.

    The power of Hann windows, half a window of silence at both ends, in bands on Slaney's mel scale (linear up to 1 kHz, logarithmic
    above) whose filters have unit area (Slaney 1998, Auditory Toolbox, version 2).

    Args:
        samples: Shape ``(samples,)``.
        rate: Their rate in Hz.
        window: Length of a window.
        hop: From one window to the next.
        bands: Number of bands.

    Returns:
        Shape ``(1 + (samples + 2 * (window // 2) - window) // hop, bands)``, float32.
    """
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    padded = np.pad(np.asarray(samples, dtype=np.float64), window // 2)
    frames = sliding_window_view(padded, window)[::hop]
    # A window of a period: it would begin again with a zero.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann, axis=-1)) ** 2
    mel = power @ _filters(rate, window, bands).T
    decibels = 10 * np.log10(np.maximum(mel, _FLOOR))
    decibels -= decibels.max()
    return ((np.maximum(decibels, -_DYNAMIC_RANGE_DB) + 40) / 40).astype(np.float32)


@cache
def _filters(rate: int, window: int, bands: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return triangles of unit area, shape ``(bands, window // 2 + 1)``."""
    import numpy as np

    frequencies = np.arange(window // 2 + 1) * rate / window
    corners = _hertz(np.linspace(0.0, _mels(rate / 2), bands + 2))
    rising = (frequencies - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - frequencies) / np.diff(corners)[1:, None]
    triangles = np.clip(np.minimum(rising, falling), 0.0, None)
    return triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None]


# Below 1 kHz a mel is 66.7 Hz; above, 27 mels are a factor of 6.4.
_LINEAR_HERTZ, _KNEE_MEL, _KNEE_HERTZ, _OCTAVE_MELS = 200.0 / 3.0, 15.0, 1000.0, 27.0


def _mels(hertz: float) -> float:
    import math

    if hertz < _KNEE_HERTZ:
        return hertz / _LINEAR_HERTZ
    return _KNEE_MEL + math.log(hertz / _KNEE_HERTZ) * _OCTAVE_MELS / math.log(6.4)


def _hertz(mels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.where(
        mels < _KNEE_MEL,
        mels * _LINEAR_HERTZ,
        _KNEE_HERTZ * np.exp((mels - _KNEE_MEL) * np.log(6.4) / _OCTAVE_MELS),
    )
