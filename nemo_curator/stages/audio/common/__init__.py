"""What all audio stages share: reading files, waveforms in memory, manifests. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import AudioInfo, audio_info, read_audio
    from nemo_curator.stages.audio.common.duration import GetAudioDurationStage
    from nemo_curator.stages.audio.common.limits import AudioLimits, UnreadableAudio
    from nemo_curator.stages.audio.common.manifest_reader import ManifestReader, ManifestReaderStage
    from nemo_curator.stages.audio.common.manifest_writer import ManifestWriterStage
    from nemo_curator.stages.audio.common.preserve import PreserveByValueStage
    from nemo_curator.stages.audio.common.waveforms import (
        ensure_mono,
        ensure_waveform_2d,
        get_audio_duration,
        load_audio_file,
        resample,
        resolve_model_path,
        resolve_waveform_from_item,
    )

__all__ = [
    "AudioInfo",
    "AudioLimits",
    "GetAudioDurationStage",
    "ManifestReader",
    "ManifestReaderStage",
    "ManifestWriterStage",
    "PreserveByValueStage",
    "UnreadableAudio",
    "audio_info",
    "ensure_mono",
    "ensure_waveform_2d",
    "get_audio_duration",
    "load_audio_file",
    "read_audio",
    "resample",
    "resolve_model_path",
    "resolve_waveform_from_item",
]

_WAVEFORMS = (
    *("ensure_mono", "ensure_waveform_2d", "get_audio_duration", "load_audio_file", "resample", "resolve_model_path"),
    "resolve_waveform_from_item",
)

__getattr__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("AudioInfo", "audio_info", "read_audio"), "decoding"),
        **dict.fromkeys(("AudioLimits", "UnreadableAudio"), "limits"),
        **dict.fromkeys(("ManifestReader", "ManifestReaderStage"), "manifest_reader"),
        **dict.fromkeys(_WAVEFORMS, "waveforms"),
        "GetAudioDurationStage": "duration",
        "ManifestWriterStage": "manifest_writer",
        "PreserveByValueStage": "preserve",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
