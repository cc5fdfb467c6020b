"""From the bytes of an image file to pixels, within bounds. Needs Pillow; NumPy only for `decode`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "BadImage", "DecodeOptions", "decode", "decode_to_image"]

# What Pillow itself warns of (`PIL.Image.MAX_IMAGE_PIXELS`): 256 MiB of RGB. It refuses twice as much whatever we say.
MAX_PIXELS = 89_478_485
_PILLOW_REFUSES = 2 * MAX_PIXELS

# Formats by content, whatever a file is called. EPS is missing because it starts Ghostscript, and what few use because it adds attack surface.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")


class BadImage(DataError):
    """An image that cannot be used.

    Args:
        message: What is wrong with it, as a sentence.
        reason: A word for the report: ``truncated``, ``not_an_image``, ``too_many_pixels``, ...
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class DecodeOptions:
    """How images are decoded.

    Attributes:
        shorter_side: Scale images down so that their shorter side has this many pixels; smaller ones stay as they are. A JPEG is then
            decoded at a half, a quarter or an eighth of its size, which is several times as fast. `None` for the size they have.
        max_pixels: Width times height as the file says it; an image with more is refused before it is decoded.
    """

    shorter_side: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.shorter_side is not None and self.shorter_side < 1:
            message = f"shorter_side must be at least 1 pixel, got {self.shorter_side}"
            raise OptionError(message)
        if not 1 <= self.max_pixels <= _PILLOW_REFUSES:
            message = (
                f"max_pixels must be from 1 to {_PILLOW_REFUSES}, beyond which Pillow refuses, got {self.max_pixels}"
            )
            raise OptionError(message)


def decode(data: bytes, options: DecodeOptions) -> NDArray[np.uint8]:
    """Return the pixels of an image file, uint8 of shape ``(height, width, 3)``, RGB, upright.

    Of an animation this is the first frame. Transparent areas become white; 16-bit values are scaled to 8 bits. Colour profiles are
    not applied.

    Raises:
        BadImage: It is no image of a known format, it is damaged, or it has too many pixels.
    """
    import numpy as np

    return np.array(decode_to_image(data, options))


def decode_to_image(data: bytes, options: DecodeOptions) -> Image:
    """Return the image as `decode` does, as Pillow's RGB image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _decoded(image, options)
    except (BadImage, MemoryError):
        raise
    except UnidentifiedImageError as error:
        reason, what = ("empty", "it is empty") if not data else ("not_an_image", "it is no image of a known format")
        raise BadImage(what, reason) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(str(error), "too_many_pixels") from error
    except Exception as error:
        # Decoders raise OSError, SyntaxError, struct.error, KeyError, whatever a damaged file leads them to.
        reason = "truncated" if isinstance(error, EOFError) or "truncated" in str(error) else "damaged"
        message = f"it is {reason}: {error or type(error).__name__}"
        raise BadImage(message, reason) from error


def _decoded(image: Image, options: DecodeOptions) -> Image:
    width, height = image.size
    if width * height > options.max_pixels:
        message = f"it has {width} x {height} pixels; max_pixels is {options.max_pixels}"
        raise BadImage(message, "too_many_pixels")
    side = options.shorter_side
    shorter = min(width, height)
    if side is not None and shorter > side:
        # Of the scales that libjpeg knows, the smallest that is not below.
        image.draft(None, (-(-width * side // shorter), -(-height * side // shorter)))
    image.load()
    upright = _as_rgb(_upright(image))
    shorter = min(upright.size)
    if side is None or shorter <= side:
        return upright
    size = (max(1, round(upright.width * side / shorter)), max(1, round(upright.height * side / shorter)))
    from PIL import Image

    return upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except (
        Exception
    ):  # EXIF data may be broken in any way, while the pixels are sound: then nothing is known of an orientation
        return image


def _as_rgb(image: Image) -> Image:
    from PIL import Image as Images

    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        with_alpha: Any = image.convert("RGBA")
        white = Images.new("RGBA", image.size, (255, 255, 255, 255))
        return Images.alpha_composite(white, with_alpha).convert("RGB")
    if image.mode.startswith("I"):
        # Pillow would clip: everything above 255 would be white.
        return image.convert("I").point(_to_8_bits).convert("L").convert("RGB")
    if image.mode == "F":
        message = "its pixels are floating point numbers, whose range no one says"
        raise BadImage(message, "unsupported")
    return image.convert("RGB")


def _to_8_bits(value: Any) -> Any:
    # Pillow wants a product and a sum, not an integer division.
    return value * (1 / 256) + 0
