"""Waveforms in memory: arrays of float32, shape ``(channels, samples)``, values -1 to 1. Torch tensors are taken, arrays are given."""

from __future__ import annotations

import logging
import math
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError, require
from nemo_curator.stages.audio.common.decoding import audio_info, read_audio
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.utils.file_listing import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = [
    "ensure_mono",
    "ensure_waveform_2d",
    "get_audio_duration",
    "heard",
    "load_audio_file",
    "resample",
    "resolve_model_path",
    "resolve_waveform_from_item",
    "usable_waveform",
]

_log = logging.getLogger(__name__)


def get_audio_duration(path: str, *, limits: AudioLimits = DEFAULT_LIMITS) -> float:
    """Return the length of a file in seconds, or -1.0, with a warning, if it cannot be read."""
    try:
        return audio_info(path, limits=limits).seconds
    except UnreadableAudio as error:
        _log.warning("%s", error)
        return -1.0


def load_audio_file(path: str, mono: bool = True, *, limits: AudioLimits = DEFAULT_LIMITS) -> tuple[Waveform, int]:
    """Return waveform and sample rate of a file; with `mono` the mean of its channels. See `read_audio`."""
    return read_audio(path, mono=mono, limits=limits)


def ensure_waveform_2d(waveform: Any) -> Waveform:
    """Return a waveform as float32 of shape ``(channels, samples)``; one dimension becomes one channel, integers are scaled to -1 to 1.

    Args:
        waveform: An array, a tensor of torch, or a list.

    Raises:
        UnreadableAudio: It has more than two dimensions, or is not made of numbers.
    """
    import numpy as np

    array = np.asarray(waveform.detach().cpu() if hasattr(waveform, "detach") else waveform)
    if array.ndim == 1:
        array = array[np.newaxis, :]
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        message = f"a waveform must have shape (channels, samples) and be made of real numbers, got {array.dtype} of shape {array.shape}"
        raise UnreadableAudio(message, "unreadable")
    if array.dtype.kind == "u":
        middle = (np.iinfo(array.dtype).max + 1) / 2
        return ((array - middle) / middle).astype(np.float32)
    if array.dtype.kind == "i":
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    return array.astype(np.float32, copy=False)


def ensure_mono(waveform: Any) -> Waveform:
    """Return the mean of the channels, shape ``(1, samples)``."""
    array = ensure_waveform_2d(waveform)
    return array if len(array) == 1 else array.mean(axis=0, keepdims=True, dtype="float32")


def usable_waveform(
    waveform: Any, rate: Any, what: str, *, limits: AudioLimits = DEFAULT_LIMITS
) -> tuple[Waveform, int]:
    """Return a waveform that stages can rely on: two dimensions, finite, not empty, with a sample rate that is a positive number.

    Raises:
        UnreadableAudio: It is not so.
    """
    import numpy as np

    array = ensure_waveform_2d(waveform)
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)) or not math.isfinite(rate):
        message = f"{what} has sample rate {rate!r}, which is not a number"
        raise UnreadableAudio(message, "unreadable")
    limits.check_format(what, int(rate), len(array))
    if not array.shape[1]:
        message = f"{what} has no samples"
        raise UnreadableAudio(message, "empty")
    if not np.isfinite(array).all():
        message = f"{what} holds samples that are not finite numbers"
        raise UnreadableAudio(message, "not_finite")
    return array, int(rate)


def waveform_of(
    item: MutableMapping[str, Any],
    what: str,
    *,
    mono: bool = True,
    waveform_key: str = "waveform",
    sample_rate_key: str = "sample_rate",
    filepath_key: str = "audio_filepath",
    limits: AudioLimits = DEFAULT_LIMITS,
) -> tuple[Waveform, int]:
    """Return waveform and rate of a manifest entry: what it carries, or else what its file holds, which is then kept in it.

    Raises:
        UnreadableAudio: There is neither, or it cannot be used.
    """
    if item.get(waveform_key) is not None:
        waveform, rate = usable_waveform(item[waveform_key], item.get(sample_rate_key), what, limits=limits)
        return (ensure_mono(waveform) if mono else waveform), rate
    path = item.get(filepath_key)
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        message = f"{what} has neither {waveform_key!r} nor a path in {filepath_key!r}"
        raise UnreadableAudio(message, "missing")
    waveform, rate = read_audio(os.fspath(path), mono=mono, limits=limits)
    item[waveform_key], item[sample_rate_key] = waveform, rate
    return waveform, rate


def heard(
    item: Mapping[str, Any],
    what: str,
    rate: int,
    *,
    waveform_key: str = "waveform",
    sample_rate_key: str = "sample_rate",
    filepath_keys: Sequence[str] = ("audio_filepath",),
    limits: AudioLimits = DEFAULT_LIMITS,
) -> Waveform:
    """Return what a model of that sample rate hears of an entry: one channel, float32 of shape ``(samples,)``. Nothing is kept in the entry.

    It is the waveform that the entry carries, or else its file's, under the first of these keys that it has.

    Raises:
        UnreadableAudio: There is neither, or it cannot be used.
    """
    path = next((item[key] for key in filepath_keys if item.get(key)), None)
    if item.get(waveform_key) is not None:
        waveform, own = usable_waveform(item[waveform_key], item.get(sample_rate_key), what, limits=limits)
    elif path is not None:
        waveform, own = read_audio(str(path), limits=limits)
    else:
        names = " or ".join(map(repr, filepath_keys))
        message = f"{what} has neither {waveform_key!r} nor a path in {names}"
        raise UnreadableAudio(message, "missing")
    return resample(ensure_mono(waveform), own, rate)[0]


def resolve_waveform_from_item(
    item: MutableMapping[str, Any], task_id: str, mono: bool = True, *, limits: AudioLimits = DEFAULT_LIMITS
) -> tuple[Waveform, int] | None:
    """Return waveform and sample rate of a manifest entry; `None`, with a warning, if there is no usable one.

    It is what stands under ``waveform`` and ``sample_rate``, or else the content of ``audio_filepath``, which is then stored there.
    """
    try:
        return waveform_of(item, f"task {task_id or '(new)'}", mono=mono, limits=limits)
    except UnreadableAudio as error:
        _log.warning("%s", error)
        return None


def resample(waveform: Waveform, rate: int, wanted: int) -> Waveform:
    """Return the waveform at another sample rate.

    Polyphase filtering: nine tenths of what the lower rate can hold pass as they are, what it cannot hold is weakened by 80 dB.

    Args:
        waveform: Shape ``(channels, samples)``.
        rate: Its sample rate in Hz.
        wanted: The wanted one.

    Returns:
        Shape ``(channels, ceil(samples * wanted / rate))``.
    """
    if rate == wanted:
        return waveform
    require("scipy", extra="audio", purpose="resampling")
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    found = resample_poly(waveform, up, down, axis=-1, window=_low_pass(max(up, down)))
    return found.astype("float32", copy=False)


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> Any:
    """Return a filter for resampling by up to `factor`: Kaiser's window for 80 dB, 96 samples of the lower rate wide."""
    from scipy.signal import firwin

    window: Any = ("kaiser", 7.86)
    taps: Any = firwin(2 * 48 * factor + 1, 0.95 / factor, window=window)
    return taps.astype("float32")


def resolve_model_path(model_path: str, relative_to: str | None = None) -> str:
    """Return the absolute path of a model file or folder.

    Args:
        model_path: The path; a relative one counts from `relative_to`, or from the working folder.
        relative_to: A folder, or a file in it (``__file__``).

    Raises:
        InputError: It does not exist.
    """
    base = relative_to if relative_to is None or os.path.isdir(relative_to) else os.path.dirname(relative_to)
    path = local_path(model_path if base is None else os.path.join(base, model_path))
    if not os.path.exists(path):
        message = f"there is no model at {path}; download it there first, or say where it is"
        raise InputError(message)
    return path
