"""Image files become pixels, and whatever is wrong with them is said."""

from __future__ import annotations

import resource
import struct
import sys
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_media import encoded, gradient
from PIL import Image

from nemo_curator.errors import OptionError
from nemo_curator.stages.image.io.decode import BadImage, DecodeOptions, decode
from nemo_curator.stages.image.io.decoders import Decoders, IsolatedDecoder

AS_IT_IS = DecodeOptions()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_format_gives_rgb(kind: str) -> None:
    pixels = decode(encoded(gradient(), kind), AS_IT_IS)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.array(gradient()).astype(int)).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_upright(orientation: int) -> None:
    """The file is stored turned, as a camera does it, and EXIF says how."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = gradient() if stored is None else gradient().transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(image, "PNG", exif=exif), AS_IT_IS)
    assert np.array_equal(pixels, np.array(gradient()))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_orientation_leaves_the_image_as_it_is() -> None:
    data = encoded(gradient(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01\x12" * 20)
    assert decode(data, AS_IT_IS).shape == (48, 64, 3)


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    image.putpixel((1, 1), (200, 0, 0, 255))
    pixels = decode(encoded(image, "PNG"), AS_IT_IS)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [200, 0, 0]


def test_a_palette_with_a_transparent_colour_becomes_white_there() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 255, 9, 9, 9])
    assert decode(encoded(image, "PNG", transparency=0), AS_IT_IS)[0, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    pixels = decode(encoded(Image.fromarray(values), "PNG"), AS_IT_IS)
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_grey_and_two_colours_become_rgb() -> None:
    for image in (gradient().convert("CMYK"), gradient().convert("L")):
        assert decode(encoded(image), AS_IT_IS).shape == (48, 64, 3)
    assert decode(encoded(gradient().convert("1"), "PNG"), AS_IT_IS).shape == (48, 64, 3)


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, AS_IT_IS)[0, 0].tolist() == [255, 0, 0] or decode(data, AS_IT_IS)[0, 0, 0] > 250


@pytest.mark.parametrize(
    ("size", "shape"), [((800, 400), (100, 200, 3)), ((80, 40), (40, 80, 3)), ((403, 801), (199, 100, 3))]
)
def test_images_are_scaled_down_and_never_up(size: tuple[int, int], shape: tuple[int, int, int]) -> None:
    for kind in ("JPEG", "PNG"):
        assert decode(encoded(gradient(*size), kind), DecodeOptions(shorter_side=100)).shape == shape


GOOD = encoded(gradient(256, 256))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"<html>not found</html>" * 40, "not_an_image", id="web-page"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not_an_image", id="postscript"),
        pytest.param(GOOD[: len(GOOD) // 2], "truncated", id="half-a-jpeg"),
        pytest.param(encoded(gradient(256, 256), "PNG")[:600], "truncated", id="a-bit-of-a-png"),
        pytest.param(encoded(gradient(256, 256), "WEBP")[:300], "damaged", id="a-bit-of-a-webp"),
        pytest.param(encoded(gradient(200, 200).convert("F"), "TIFF"), "unsupported", id="floating-point"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as caught:
        decode(data, AS_IT_IS)
    assert caught.value.reason == reason
    assert "it" in str(caught.value)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = encoded(Image.new("1", (13000, 13000)), "PNG")
    assert len(bomb) < 40_000
    with pytest.raises(BadImage) as caught:
        decode(bomb, AS_IT_IS)
    assert caught.value.reason == "too_many_pixels"
    small = encoded(gradient(100, 100))
    with pytest.raises(BadImage, match="100 x 100"):
        decode(small, DecodeOptions(max_pixels=9999))


def png_with_text(nbytes: int) -> bytes:
    """A PNG whose comment of a few kB unpacks to `nbytes`."""
    whole = encoded(gradient(), "PNG")
    content = b"zTXt" + b"comment\x00\x00" + zlib.compress(bytes(nbytes), 9)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return whole[:33] + chunk + whole[33:]


def jpeg_that_claims(width: int, height: int) -> bytes:
    at = GOOD.index(b"\xff\xc0") + 5
    return GOOD[:at] + struct.pack(">HH", height, width) + GOOD[at + 4 :]


def tiff_that_goes_in_circles() -> bytes:
    """A TIFF whose first directory is followed by itself."""
    whole = bytearray(encoded(gradient(), "TIFF"))
    (start,) = struct.unpack_from("<I", whole, 4)
    (entries,) = struct.unpack_from("<H", whole, start)
    struct.pack_into("<I", whole, start + 2 + 12 * entries, start)
    return bytes(whole)


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        pytest.param(png_with_text(100 << 20), {"damaged"}, id="a-comment-of-100-MB"),
        pytest.param(jpeg_that_claims(65_500, 65_500), {"too_many_pixels"}, id="a-jpeg-that-claims-4-gigapixels"),
        pytest.param(jpeg_that_claims(0, 0), {"damaged", "not_an_image"}, id="a-jpeg-of-no-size"),
        pytest.param(
            b"GIF89a" + b"\xff" * 500,
            {"damaged", "truncated", "too_many_pixels", "not_an_image"},
            id="a-gif-of-nonsense",
        ),
        pytest.param(
            b"RIFF\xff\xff\xff\xffWEBPVP8L" + b"\xff" * 200, {"damaged", "not_an_image"}, id="a-webp-of-nonsense"
        ),
        pytest.param(b"P6 30000 30000 255 " + bytes(99), {"too_many_pixels"}, id="a-ppm-of-0.9-gigapixels"),
        pytest.param(b"P6 300 300 255 " + bytes(99), {"truncated"}, id="a-ppm-without-its-pixels"),
        pytest.param(b"BM" + b"\xff" * 100, {"damaged", "not_an_image", "too_many_pixels"}, id="a-bmp-of-nonsense"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"not_an_image"}, id="svg"),
    ],
)
def test_hostile_files_are_refused(data: bytes, reasons: set[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadImage) as caught:
        decode(data, AS_IT_IS)
    assert caught.value.reason in reasons
    # In kB on Linux, in bytes elsewhere.
    unit = 1 if sys.platform == "linux" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit < 100_000


def test_directories_in_circles_come_to_an_end() -> None:
    assert decode(tiff_that_goes_in_circles(), AS_IT_IS).shape == (48, 64, 3)


@pytest.mark.parametrize("options", [{"shorter_side": 0}, {"max_pixels": 0}, {"max_pixels": 10**9}])
def test_options_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        DecodeOptions(**options)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=64))
def test_damage_is_a_bad_image_or_pixels_and_nothing_else(at: int, noise: bytes) -> None:
    damaged = GOOD[:at] + noise + GOOD[at + len(noise) :]
    with suppress(BadImage):
        assert decode(damaged, DecodeOptions(max_pixels=1_000_000)).ndim == 3


def test_another_process_gives_the_same_pixels() -> None:
    decoder = IsolatedDecoder(AS_IT_IS)
    try:
        assert np.array_equal(decoder.decode(GOOD), decode(GOOD, AS_IT_IS))
        with pytest.raises(BadImage) as caught:
            decoder.decode(b"no image")
        assert caught.value.reason == "not_an_image"
        assert decoder.decode(GOOD).flags.writeable
    finally:
        decoder.close()


# What a decoder with a fault would do: the real program, with the image library's reader replaced for files that say so.
FAULTY = """
import os, signal, sys, time
from PIL import Image
whole = Image.open
def faulty(file, *arguments, **options):
    content = file.getvalue()
    if content == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if content == b"exit":
        os._exit(3)
    if content == b"hang":
        time.sleep(60)
    if content == b"fill":
        return bytearray(1 << 40)
    print("a library that talks")
    return whole(file, *arguments, **options)
Image.open = faulty
from nemo_curator.stages.image.io.decode_child import main
main(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        (b"crash", "decoder_crashed", "SIGSEGV"),
        (b"exit", "decoder_crashed", "exit code 3"),
        (b"hang", "decoder_timeout", "0.5 seconds"),
        (b"fill", "out_of_memory", "memory"),
    ],
    ids=["crash", "exit", "hang", "fill"],
)
def test_a_decoder_that_dies_costs_one_image(content: bytes, reason: str, said: str) -> None:
    decoder = IsolatedDecoder(AS_IT_IS, timeout_s=0.5, command=[sys.executable, "-c", FAULTY])
    try:
        assert decoder.decode(GOOD).shape == (256, 256, 3)
        with pytest.raises(BadImage, match=said) as caught:
            decoder.decode(content)
        assert caught.value.reason == reason
        assert decoder.decode(GOOD).shape == (256, 256, 3)
    finally:
        decoder.close()


@pytest.mark.parametrize("isolated", [False, True], ids=["threads", "processes"])
def test_many_are_decoded_in_order(isolated: bool) -> None:
    decoders = Decoders(AS_IT_IS, 2, isolated=isolated, timeout_s=20)
    missing = BadImage("it was not there", "unreadable")
    try:
        sizes = [8, 16, 24, 32]
        files = [encoded(gradient(size, size)) for size in sizes]
        results = decoders.decode([*files, missing, b"junk"])
        assert [pixels.shape[0] for pixels in results[:4] if not isinstance(pixels, BadImage)] == sizes
        assert results[4] is missing
        assert isinstance(results[5], BadImage)
    finally:
        decoders.close()


def test_bad_images_travel_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(BadImage("it is empty", "empty")))
    assert (str(error), error.reason) == ("it is empty", "empty")
    assert BytesIO(GOOD).read(2) == b"\xff\xd8"
