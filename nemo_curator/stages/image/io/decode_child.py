"""The program of a process that decodes images for another one, which it cannot take along when it dies. See `IsolatedDecoder`.

Asked on standard input: 8 bytes of length, then the image file. Answers on standard output: a byte, ``+`` or ``-``, 8 bytes of length, then
height and width of 4 bytes each with the pixels, or a sentence and a reason in JSON. Numbers are big-endian.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from contextlib import suppress
from typing import IO

from nemo_curator.stages.image.io.decode import BadImage, DecodeOptions, decode_to_image

__all__ = ["main"]


def main(argument: str) -> None:
    """Answer until there are no more questions. `argument` is JSON: shorter_side, max_pixels, timeout_s, memory_bytes."""
    settings = json.loads(argument)
    options = DecodeOptions(settings["shorter_side"], settings["max_pixels"])
    # What a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # The system ends the process if a call takes too long, even in native code, and even when nobody waits for it any more.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import PIL.Image

    PIL.Image.init()
    _limit_memory(settings["memory_bytes"])
    questions = sys.stdin.buffer
    while len(head := questions.read(8)) == 8:
        data = questions.read(int.from_bytes(head, "big"))
        signal.setitimer(signal.ITIMER_REAL, settings["timeout_s"])
        _answer(data, options, answers)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(nbytes: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = nbytes if hard == resource.RLIM_INFINITY else min(nbytes, hard)
    # macOS knows the limit and does not take it.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _answer(data: bytes, options: DecodeOptions, answers: IO[bytes]) -> None:
    try:
        image = decode_to_image(data, options)
        sign, content = b"+", struct.pack(">II", image.height, image.width) + image.tobytes()
    except BadImage as error:
        sign, content = b"-", json.dumps([str(error), error.reason]).encode()
    except MemoryError:
        sign, content = b"-", json.dumps(["decoding it takes too much memory", "out_of_memory"]).encode()
    answers.write(sign + len(content).to_bytes(8, "big"))
    answers.write(content)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
