"""The same video gives the same clips, to the byte: on any CPU, and whatever was in memory before."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av")

from nemo_curator.stages.video.clipping.encoders import EncoderSettings
from nemo_curator.stages.video.clipping.transcode import cut_clips
from tests.stages.video.media import real_clip

ROOT = Path(__file__).parents[3]
# Of 11 by 9 blocks: no multiple of what a CPU computes at a time.
VIDEO = "carphone_distorted.mp4"


def digest(options: dict[str, str]) -> str:
    clips = cut_clips(real_clip(VIDEO).read_bytes(), [(0.0, 0.5), (0.5, 4.0)], EncoderSettings(options=options))
    return hashlib.sha256(b"".join(clip.data for clip in clips)).hexdigest()


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="the names are those of x86")
# Not those that a machine may lack: with them it would crash. What it has is what it takes by itself.
@pytest.mark.parametrize("instructions", ["0", "sse2", "sse4.2"])
def test_clips_are_the_same_whatever_the_cpu_can(instructions: str) -> None:
    assert digest({"x264-params": f"asm={instructions}"}) == digest({})


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux can fill memory")
@pytest.mark.parametrize("filling", ["1", "2", "85"])
def test_clips_are_the_same_whatever_was_in_memory(filling: str) -> None:
    environment = {**os.environ, "MALLOC_PERTURB_": filling, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == digest({})


def test_parameters_of_a_user_are_added() -> None:
    told = EncoderSettings(options={"crf": "30", "x264-params": "keyint=10"}).all_options
    assert told == {"preset": "veryfast", "crf": "30", "x264-params": "cpu-independent=1:keyint=10"}
    assert EncoderSettings(name="mpeg4", options={"x264-params": "keyint=10"}).all_options["x264-params"] == "keyint=10"


if __name__ == "__main__":
    sys.stdout.write(digest({}))
