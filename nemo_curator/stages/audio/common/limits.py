"""What a file may ask of a worker, and what is said when it asks for more."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.errors import DataError, OptionError

__all__ = ["DEFAULT_LIMITS", "AudioLimits", "UnreadableAudio"]


class UnreadableAudio(DataError):
    """A file or a waveform that cannot be used.

    Args:
        message: A sentence for a person.
        reason: One word for reports: ``missing``, ``unreadable``, ``empty``, ``not_finite``, ``too_long``, ``too_large``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)
        self.message, self.reason = message, reason

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What is read of one file at most. What its header says is not trusted: the limits count what was decoded.

    Attributes:
        max_seconds: Length of the audio.
        max_samples: Decoded samples of all channels together; a sample takes four bytes of memory.
        max_channels: Channels.
        max_sample_rate: Samples a second.
    """

    max_seconds: float = 4 * 3600.0
    max_samples: int = 2**29
    max_channels: int = 64
    max_sample_rate: int = 768_000

    def __post_init__(self) -> None:
        for name in ("max_seconds", "max_samples", "max_channels", "max_sample_rate"):
            value = getattr(self, name)
            if not value > 0:
                message = f"AudioLimits: {name} must be above 0, got {value!r}"
                raise OptionError(message)

    def check_format(self, path: str, rate: int, channels: int) -> None:
        """Raise `UnreadableAudio` for a sample rate or a number of channels that nobody records with."""
        if not 0 < rate <= self.max_sample_rate:
            message = f"{path} has a sample rate of {rate} Hz; 1 to {self.max_sample_rate} are accepted"
            raise UnreadableAudio(message, "unreadable")
        if not 0 < channels <= self.max_channels:
            message = f"{path} has {channels} channels; 1 to {self.max_channels} are accepted"
            raise UnreadableAudio(message, "unreadable")

    def check_length(self, path: str, frames: int, rate: int, channels: int) -> None:
        """Raise `UnreadableAudio` if so many frames are too many."""
        if frames > self.max_seconds * rate:
            message = f"{path} is longer than {self.max_seconds:g} s; raise AudioLimits.max_seconds, or split it before"
            raise UnreadableAudio(message, "too_long")
        if frames * channels > self.max_samples:
            message = (
                f"{path} has more than {self.max_samples} samples; raise AudioLimits.max_samples, or split it before"
            )
            raise UnreadableAudio(message, "too_large")


DEFAULT_LIMITS = AudioLimits()
