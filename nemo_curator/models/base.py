"""`Model`: loaded in the worker that uses it, never before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from nemo_curator.errors import DataError, InputError, require

__all__ = ["Model", "find_file", "onnx_session"]


class Model(ABC):
    """A model that is named when a stage is built, and loaded by `setup`, once per worker.

    Args:
        model_dir: Folder of the model's files.
    """

    def __init__(self, model_dir: str | None = None) -> None:
        self.model_dir = model_dir

    @abstractmethod
    def setup(self) -> None:
        """Load the model; a second call does nothing.

        Raises:
            InputError: Its files are not there.
            MissingExtra: A package that runs it is not installed.
        """

    @abstractmethod
    def __call__(self, inputs: Any) -> Any:
        """Return what the model makes of a batch."""

    @classmethod  # noqa: B027 - what comes with a package needs nothing
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Look whether the model is on this machine. Nothing is fetched: models are put in place by whoever chose them.

        Raises:
            InputError: It is not; the message says which files to put where.
        """


def find_file(folder: str, patterns: tuple[str, ...], what: str, advice: str) -> Path:
    """Return the one file of a folder that fits the first pattern which any file fits.

    Raises:
        InputError: There is none, or there are several.
    """
    root = Path(folder)
    for pattern in patterns:
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            message = f"{what}: {folder} has several files that could be it ({names}); leave one, or name it"
            raise InputError(message)
    message = f"{what} is not there: no {' or '.join(patterns)} in {folder}. {advice}"
    raise InputError(message)


def onnx_session(model: str | bytes, name: str, *, extra: str, threads: int = 1) -> Any:
    """Return an ONNX Runtime session on the CPU.

    Args:
        model: Path of a graph, or its bytes.
        name: What it is, for messages.
        extra: The extra that brings ONNX Runtime.
        threads: Threads of one worker. More workers use a machine better than more threads.

    Raises:
        DataError: It is no graph that ONNX Runtime can run.
    """
    require("onnxruntime", extra=extra, purpose=name)
    import onnxruntime  # pyright: ignore[reportMissingImports] - an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no base but this
        message = f"{name} is not a graph that ONNX Runtime can run: {error}"
        raise DataError(message) from error
