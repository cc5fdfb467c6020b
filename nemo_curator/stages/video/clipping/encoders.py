"""Which encoders clips can be written with, and whether this build of FFmpeg has them."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.errors import OptionError, PlanError, did_you_mean
from nemo_curator.utils.video_files import require_av

__all__ = ["DEFAULT_ENCODER", "ENCODERS", "EncoderSettings", "EncoderUnavailable", "check_encoder"]

DEFAULT_ENCODER = "libx264"

# libx264 has parameters of its own, joined by colons: those of a user come after ours and do not replace them.
_JOINED = "x264-params"

# Each with options under which it is about as fast as decoding, at a quality that models do not notice. How x264 divides bits among
# blocks (its MB-tree) is computed with other rounding on every kind of CPU, and its code for AVX-512 reads memory that nobody has
# written, so that a clip came out in other bytes now and then. "cpu-independent" takes the code that does neither.
ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "23", _JOINED: "cpu-independent=1"},
    "libopenh264": {},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "33", "b": "0"},
    "mpeg4": {"qscale": "3"},
    "h264_nvenc": {},
}


class EncoderUnavailable(PlanError, RuntimeError):
    """This build of FFmpeg does not have the encoder."""


def _no_options() -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class EncoderSettings:
    """How clips are encoded.

    Attributes:
        name: FFmpeg's name of the encoder.
        threads: Its threads.
        bit_rate_k: kbit/s; `None` for the quality that the encoder's options say.
        options: Options of the encoder, over those of `ENCODERS`.
    """

    name: str = DEFAULT_ENCODER
    threads: int = 1
    bit_rate_k: int | None = None
    options: dict[str, str] = field(default_factory=_no_options)

    @property
    def all_options(self) -> dict[str, str]:
        """What the encoder is told. A bit rate replaces the options that ask for a quality; parameters of x264 are added to ours."""
        own = ENCODERS.get(self.name, {})
        if self.bit_rate_k is not None:
            own = {key: value for key, value in own.items() if key not in {"crf", "qscale", "b"}}
        told = {**own, **self.options}
        if _JOINED in own and _JOINED in self.options:
            told[_JOINED] = f"{own[_JOINED]}:{self.options[_JOINED]}"
        return told


def check_encoder(name: str, stage: str) -> None:
    """Raise unless clips can be encoded with `name`.

    Raises:
        OptionError: No encoder of that name is known here. It is a ValueError too.
        EncoderUnavailable: This build of FFmpeg does not have it. It is a RuntimeError too.
    """
    if name not in ENCODERS:
        message = f"stage {stage!r}: encoder {name!r} is not known; known: {', '.join(ENCODERS)}.{did_you_mean(name, ENCODERS)}"
        raise OptionError(message)
    require_av(f"stage {stage!r}")
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.Codec(name, "w")
    except UnknownCodecError as error:
        there = ", ".join(known for known in ENCODERS if known in av.codecs_available)
        message = (
            f"stage {stage!r}: the FFmpeg libraries of this PyAV have no encoder {name!r}; take another one: {there}"
        )
        raise EncoderUnavailable(message) from error
