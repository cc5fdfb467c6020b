"""Several images decoded at a time: in threads, or in processes of their own that may crash or hang."""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING

import nemo_curator
from nemo_curator.errors import OptionError
from nemo_curator.stages.image.io.decode import BadImage, DecodeOptions, decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Decoders", "IsolatedDecoder"]

# For Python, Pillow and libraries, beside what the pixels take.
_MEMORY_OF_ITS_OWN = 1 << 30
# The pixels as the decoder makes them (up to 4 bytes), turned upright, in RGB, with the white below them, and as bytes.
_BYTES_A_PIXEL = 24


class IsolatedDecoder:
    """Decodes in another process: an image that makes the decoder crash, hang or take all memory costs that process, and nothing else.

    The process is started with the first image, and again after it died. One thread at a time.

    Args:
        options: How images are decoded.
        timeout_s: Seconds that one image may take.
        command: What is started instead of the program of `decode_child`, to be given the settings as last argument.
    """

    def __init__(self, options: DecodeOptions, timeout_s: float = 30.0, command: Sequence[str] | None = None) -> None:
        if timeout_s <= 0:
            message = f"the time for decoding an image must be positive, got {timeout_s} seconds"
            raise OptionError(message)
        settings = {
            "shorter_side": options.shorter_side,
            "max_pixels": options.max_pixels,
            "timeout_s": timeout_s,
            "memory_bytes": _MEMORY_OF_ITS_OWN + _BYTES_A_PIXEL * options.max_pixels,
        }
        self._timeout_s = timeout_s
        # Without -P the current folder, which may be full of somebody's data, is where modules are looked for.
        program = command or [sys.executable, "-P", "-m", "nemo_curator.stages.image.io.decode_child"]
        self._command = [*program, json.dumps(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Return what `decode` does.

        Raises:
            BadImage: What `decode` raises; also ``decoder_crashed``, ``decoder_timeout`` and ``out_of_memory``.
        """
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(len(data).to_bytes(8, "big"))
            process.stdin.write(data)
            process.stdin.flush()
            sign, content = _answer(process.stdout)
        except (BrokenPipeError, EOFError):
            raise self._death() from None
        except BaseException:
            # Half a question or answer may be under way; a new process begins anew.
            self.close()
            raise
        if sign == b"-":
            raise BadImage(*json.loads(content))
        import numpy as np

        height, width = struct.unpack_from(">II", content)
        return np.frombuffer(content, dtype=np.uint8, offset=8).reshape(height, width, 3)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        # The process must find this very package, wherever it was imported from.
        root = str(Path(nemo_curator.__file__).parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    def _death(self) -> BadImage:
        assert self._process is not None
        code = self._process.wait()
        self.close()
        if code == -signal.SIGALRM:
            return BadImage(f"the decoder was not done with it after {self._timeout_s:g} seconds", "decoder_timeout")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return BadImage(f"the decoder died of it ({how})", "decoder_crashed")


def _answer(stream: IO[bytes]) -> tuple[bytes, bytearray]:
    head = stream.read(9)
    if len(head) < 9:
        raise EOFError
    content = bytearray(int.from_bytes(head[1:], "big"))
    view, done = memoryview(content), 0
    while done < len(content):
        count = stream.readinto(view[done:])  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a pipe's reader has it
        if not count:
            raise EOFError
        done += count
    return head[:1], content


class Decoders:
    """Decodes several images at a time.

    Args:
        options: How images are decoded.
        threads: How many images are decoded at a time.
        isolated: Decode in processes of their own, one a thread.
        timeout_s: Seconds that one image may take, if isolated.
    """

    def __init__(self, options: DecodeOptions, threads: int, *, isolated: bool, timeout_s: float) -> None:
        self.threads = threads
        self._options = options
        self._isolated = [IsolatedDecoder(options, timeout_s) for _ in range(threads)] if isolated else []
        self._free: queue.SimpleQueue[IsolatedDecoder] = queue.SimpleQueue()
        for decoder in self._isolated:
            self._free.put(decoder)
        self._pool = ThreadPoolExecutor(threads, "decode") if threads > 1 else None

    def decode(self, files: Sequence[bytes | BadImage]) -> list[NDArray[np.uint8] | BadImage]:
        """Return the pixels of every file, or what is wrong with it, in the order given. What is bad already stays so."""
        one = self._in_process if self._isolated else self._here
        if self._pool is None or len(files) < 2:
            return [_tried(one, file) for file in files]
        return list(self._pool.map(lambda file: _tried(one, file), files))

    def close(self) -> None:
        """End threads and processes."""
        if self._pool is not None:
            self._pool.shutdown()
        for decoder in self._isolated:
            decoder.close()

    def _here(self, data: bytes) -> NDArray[np.uint8]:
        return decode(data, self._options)

    def _in_process(self, data: bytes) -> NDArray[np.uint8]:
        decoder = self._free.get()
        try:
            return decoder.decode(data)
        finally:
            self._free.put(decoder)


def _tried(one: Callable[[bytes], NDArray[np.uint8]], file: bytes | BadImage) -> NDArray[np.uint8] | BadImage:
    if isinstance(file, BadImage):
        return file
    try:
        return one(file)
    except BadImage as error:
        return error
