"""Audio files become arrays here, and nowhere else: block by block, so that a header that lies cannot ask for memory.

libsndfile (through soundfile) reads WAV, FLAC, Ogg and MP3; what it does not know goes to FFmpeg's libraries (through PyAV), if they
are installed. Both look at the content, not at the name of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import resolve_url

if TYPE_CHECKING:
    import numpy as np

    Waveform = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["AudioInfo", "audio_info", "read_audio", "require_decoding"]

_BLOCK = 1 << 16
# FFmpeg keeps so many channels where PyAV looks for them.
_MOST_PLANES = 8
# FFmpeg's names of the containers that hold nothing but their own content.
_CONTAINERS = (
    *(
        "aac",
        "ac3",
        "aiff",
        "amr",
        "ape",
        "asf",
        "au",
        "avi",
        "caf",
        "eac3",
        "flac",
        "flv",
        "m4a",
        "matroska",
        "mov",
        "mp3",
        "mp4",
    ),
    *("mpeg", "mpegts", "ogg", "tta", "w64", "wav", "webm", "wv", "3gp"),
)


def require_decoding(stage: str) -> None:
    """Raise `MissingExtra` if the packages that read and resample audio are not there; for the `check_before_run` of a stage of that name."""
    for package in ("soundfile", "scipy"):
        require(package, extra="audio", purpose=f"stage {stage!r}")


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file holds, as it was decoded.

    Attributes:
        frames: Samples of one channel.
        sample_rate: Samples a second.
        channels: Channels.
    """

    frames: int
    sample_rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@dataclass(slots=True)
class _Stream:
    """An open file: its format, and its samples in blocks of shape ``(frames, channels)``, float32."""

    sample_rate: int
    channels: int
    declared_frames: int | None
    blocks: Iterator[Any]


def read_audio(
    path: str,
    *,
    mono: bool = True,
    limits: AudioLimits = DEFAULT_LIMITS,
    storage_options: dict[str, Any] | None = None,
) -> tuple[Waveform, int]:
    """Decode a file.

    Integer samples are scaled to -1 to 1. A file that was cut off gives what is there, if its format allows to tell; a file in which the
    decoder fails is unreadable as a whole.

    Args:
        path: A local path, or a URL that fsspec knows.
        mono: Average the channels.
        limits: What is read at most.
        storage_options: For fsspec.

    Returns:
        The waveform, float32 of shape ``(channels, frames)``, and its sample rate.

    Raises:
        UnreadableAudio: There is no such file, it is no audio, it is broken or without samples, too long, or holds samples that are not
            finite numbers.
    """
    import numpy as np

    with _opened(path, limits, storage_options) as stream:
        parts: list[Any] = []
        frames = 0
        for block in stream.blocks:
            frames += len(block)
            limits.check_length(path, frames, stream.sample_rate, stream.channels)
            if not np.isfinite(block).all():
                message = (
                    f"{path} holds samples that are not finite numbers, near second {frames // stream.sample_rate}"
                )
                raise UnreadableAudio(message, "not_finite")
            parts.append(block.mean(axis=1, keepdims=True, dtype=np.float32) if mono else block)
    if not frames:
        message = f"{path} has no samples"
        raise UnreadableAudio(message, "empty")
    return np.ascontiguousarray(np.concatenate(parts).T), stream.sample_rate


def audio_info(
    path: str, *, limits: AudioLimits = DEFAULT_LIMITS, storage_options: dict[str, Any] | None = None
) -> AudioInfo:
    """Return length and format of a file.

    Uncompressed formats and FLAC say how long they are; of others the whole file is decoded, as what they say is a guess.

    Raises:
        UnreadableAudio: As `read_audio`, but nobody looks at the samples' values.
    """
    with _opened(path, limits, storage_options) as stream:
        frames = stream.declared_frames or 0
        limits.check_length(path, frames, stream.sample_rate, stream.channels)
        if stream.declared_frames is None:
            for block in stream.blocks:
                frames += len(block)
                limits.check_length(path, frames, stream.sample_rate, stream.channels)
        return AudioInfo(frames, stream.sample_rate, stream.channels)


@contextmanager
def _opened(path: str, limits: AudioLimits, storage_options: dict[str, Any] | None) -> Iterator[_Stream]:
    require("soundfile", extra="audio", purpose="reading audio")
    import soundfile  # pyright: ignore[reportMissingImports] - an extra

    with ExitStack() as stack:
        source = _source(path, storage_options, stack)
        try:
            stream = _with_soundfile(source, stack)
        except soundfile.LibsndfileError as error:
            if hasattr(source, "seek"):
                source.seek(0)
            stream = _with_av(path, source, stack, error)
        limits.check_format(path, stream.sample_rate, stream.channels)
        try:
            yield stream
        except soundfile.LibsndfileError as error:
            message = f"{path} cannot be decoded: {error.error_string.rstrip('.')}. It is cut off or damaged"
            raise UnreadableAudio(message, "unreadable") from error


def _source(path: str, storage_options: dict[str, Any] | None, stack: ExitStack) -> Any:
    if is_remote_url(path):
        fs, inner = resolve_url(path, storage_options)
        try:
            return stack.enter_context(fs.open(inner, "rb"))
        except FileNotFoundError as error:
            message = f"{path} does not exist"
            raise UnreadableAudio(message, "missing") from error
    if not os.path.isfile(path):
        what = "is a folder or a device" if os.path.exists(path) else "does not exist"
        message = f"{path} {what}"
        raise UnreadableAudio(message, "missing")
    if not os.access(path, os.R_OK):
        message = f"{path} may not be read by this user"
        raise UnreadableAudio(message, "missing")
    return path


def _with_soundfile(source: Any, stack: ExitStack) -> _Stream:
    import soundfile  # pyright: ignore[reportMissingImports] - an extra

    file = stack.enter_context(soundfile.SoundFile(source))
    exact = file.format in {"WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "FLAC"}
    return _Stream(file.samplerate, file.channels, file.frames if exact else None, _soundfile_blocks(file))


def _soundfile_blocks(file: Any) -> Iterator[Any]:
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block


def _with_av(path: str, source: Any, stack: ExitStack, first_error: Any) -> _Stream:
    """Open what libsndfile does not know; if nobody does, say what libsndfile said."""
    try:
        import av  # pyright: ignore[reportMissingImports] - an extra
        from av.error import FFmpegError  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        message = f"{path} cannot be read as audio: {first_error.error_string.rstrip('.')}. PyAV would read more formats: pip install 'curator-backends[audio]'"
        raise UnreadableAudio(message, "unreadable") from first_error
    try:
        # Of playlists and the like FFmpeg would open what they name, wherever that is.
        options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}
        container: Any = stack.enter_context(av.open(source, options=options))
        # A stream of a codec that nobody knows has no context, and nothing of what a stream has otherwise.
        streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
        frames = container.decode(streams[0]) if streams else iter(())
        # What the stream says may be another thing than what comes out of it.
        first = next(frames, None)
    except (FFmpegError, OSError, ValueError, IndexError) as error:
        message = f"{path} cannot be read as audio: {first_error.error_string.rstrip('.')}. FFmpeg says: {getattr(error, 'strerror', error)}"
        raise UnreadableAudio(message, "unreadable") from error
    if not streams:
        message = f"{path} has no sound: FFmpeg finds {container.format.long_name}, and no audio that it can decode"
        raise UnreadableAudio(message, "unreadable")
    if first is None:
        return _Stream(streams[0].rate, streams[0].channels, 0, iter(()))
    rate, channels = _format_of(first)
    if channels > _MOST_PLANES:
        message = f"{path} has {channels} channels; FFmpeg's formats are read up to {_MOST_PLANES}"
        raise UnreadableAudio(message, "unreadable")
    return _Stream(rate, channels, None, _av_blocks(path, chain([first], frames), (rate, channels)))


def _format_of(frame: Any) -> tuple[int, int]:
    return frame.rate, frame.layout.nb_channels


def _av_blocks(path: str, frames: Iterator[Any], wanted: tuple[int, int]) -> Iterator[Any]:
    import av  # pyright: ignore[reportMissingImports] - an extra
    from av.error import FFmpegError  # pyright: ignore[reportMissingImports] - an extra

    # Planar float whatever the codec gives; rate and layout stay, as both are None.
    convert = av.AudioResampler(format="fltp")
    try:
        for frame in frames:
            # PyAV reads channels that a frame does not have, and the process crashes, if a damaged file has more of them in the middle.
            if _format_of(frame) != wanted:
                message = f"{path} changes its sample rate or its channels in the middle. It is damaged"
                raise UnreadableAudio(message, "unreadable")
            for out in convert.resample(frame):
                yield out.to_ndarray().T
        for out in convert.resample(None):
            yield out.to_ndarray().T
    except (
        FFmpegError,
        IndexError,
    ) as error:  # IndexError: PyAV meets a stream that was not there when the file was opened
        message = f"{path} cannot be decoded: {getattr(error, 'strerror', error)}. It is cut off or damaged"
        raise UnreadableAudio(message, "unreadable") from error
