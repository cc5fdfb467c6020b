"""Files that are no videos, or lie about the one they hold, each made from a whole one, with what is said about them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

from tests.stages.video.media import make_audio, make_video

FASTSTART = {"movflags": "faststart"}


def playlist(folder: Path) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{_secret(folder)}\n#EXT-X-ENDLIST\n".encode()


def _concat_script(folder: Path) -> bytes:
    return f"ffconcat version 1.0\nfile {_secret(folder)}\n".encode()


def _secret(folder: Path) -> Path:
    path = folder / "secret.mp4"
    path.write_bytes(make_video(5))
    return path


def _png() -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGB", (8, 8)).save(sink, "PNG")
    return sink.getvalue()


def _without_frames() -> bytes:
    """A whole file whose pictures were overwritten with zeros."""
    data = bytearray(make_video(20, options=FASTSTART))
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    return bytes(data)


def _changed(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """Write a value so many bytes behind the name of a box."""
    at = data.index(box) + len(box) + offset
    return data[:at] + value + data[at + len(value) :]


def _boxes_in_boxes(depth: int) -> bytes:
    whole = make_video(5)
    inner = b""
    for _ in range(depth):
        inner = struct.pack(">I4s", 8 + len(inner), b"moov") + inner
    return whole[: struct.unpack(">I", whole[:4])[0]] + inner


def _raw(width: int, height: int) -> bytes:
    """A raw video whose header claims a size."""
    whole = make_video(3, codec="rawvideo", container="avi")
    return _changed(whole, b"strf", 8, struct.pack("<ii", width, height))


_NOT_OPENED = "cannot be opened as a video"
_MANY = b"\x7f\xff\xff\xff"

HOSTILE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", "is empty"),
    "text": (lambda _: b"this is no video\n" * 100, _NOT_OPENED),
    "picture": (lambda _: _png(), _NOT_OPENED),
    "animation_of_nonsense": (lambda _: b"GIF89a" + b"\xff" * 500, _NOT_OPENED),
    "zip": (lambda _: b"PK\x03\x04" + bytes(400), _NOT_OPENED),
    "cut_before_its_index": (lambda _: make_video(20)[:-400], _NOT_OPENED),
    "matroska_cut_in_its_header": (lambda _: make_video(5, container="matroska")[:60], _NOT_OPENED),
    "avi_cut_in_its_header": (lambda _: make_video(5, codec="mpeg4", container="avi")[:200], _NOT_OPENED),
    "sound_alone": (lambda _: make_audio(), "has no video stream; it has: audio"),
    "mp3": (lambda _: make_audio("mp3", "mp3"), _NOT_OPENED),
    "no_frames": (lambda _: _without_frames(), "no frame that can be decoded|cannot be decoded any further"),
    "frames_beyond_the_end": (
        lambda _: _changed(make_video(20), b"stco", 8, b"\xff\xff\xff\x00"),
        "no frame that can be decoded|cannot be decoded any further",
    ),
    "index_of_2_billion_frames": (lambda _: _changed(make_video(20), b"stsz", 8, _MANY), _NOT_OPENED),
    "times_of_2_billion_frames": (lambda _: _changed(make_video(20), b"stts", 4, _MANY), _NOT_OPENED),
    "boxes_in_boxes": (lambda _: _boxes_in_boxes(4000), _NOT_OPENED),
    "frames_of_256_megapixels": (lambda _: _raw(16_000, 16_000), "frames of 16000 x 16000, more than is accepted"),
    "frames_of_4_gigapixels": (lambda _: _raw(60_000, 60_000), "does not say how large its frames are"),
    "frames_of_no_size": (lambda _: _raw(0, 0), "does not say how large its frames are"),
    "codec_that_nobody_knows": (lambda _: make_video(5).replace(b"avc1", b"zzzz"), "has no decoder for its video"),
    "settings_of_its_codec_damaged": (
        lambda _: make_video(5).replace(b"avcC\x01", b"avcC\x77"),
        "no frame that can be decoded|cannot be decoded any further",
    ),
    "playlist": (playlist, _NOT_OPENED),
    "concat_script": (_concat_script, _NOT_OPENED),
    "transport_stream": (lambda _: make_video(5, container="mpegts"), _NOT_OPENED),
}
