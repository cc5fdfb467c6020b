"""`EmbeddingHead`: a small network on top of embeddings, such as the predictors of aesthetics that are trained on CLIP's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, InputError
from nemo_curator.models.base import Model, find_file, onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Layers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]

__all__ = ["EmbeddingHead", "read_safetensors"]

_PATTERNS = ("*.onnx", "*.safetensors", "*.npz")
_MOST_OF_A_HEADER = 16 << 20
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


class EmbeddingHead(Model):
    """Gives a number for every embedding.

    The file is a graph, ``.onnx``, that takes ``(n, dimensions)``; or layers, ``.safetensors`` or ``.npz``, as torch names them: ``weight`` and ``bias``
    behind a common number, ``layers.0.weight``, ``layers.2.weight``, ... applied one after the other without anything between, as in the LAION
    aesthetic predictor (https://github.com/christophschuhmann/improved-aesthetic-predictor). No pickle is read.

    Args:
        path: The file, or a folder with one.
        what: What it is, for messages.
        threads: Threads of one worker.
    """

    def __init__(self, path: str, what: str = "the model on embeddings", threads: int = 1) -> None:
        super().__init__(str(path))
        self.what = what
        self.threads = threads
        self._run: Callable[[Any], Any] | None = None

    def file(self) -> Path:
        """Return the file.

        Raises:
            InputError: There is none, or there are several.
        """
        path = Path(str(self.model_dir))
        if path.is_dir():
            return find_file(str(path), _PATTERNS, self.what, "Put it there, or name the file")
        if not path.is_file():
            message = f"{self.what} is not there: no file at {path}"
            raise InputError(message)
        return path

    def setup(self) -> None:
        """Load the file."""
        if self._run is None:
            path = self.file()
            self._run = self._graph(path) if path.suffix == ".onnx" else _chain(_layers(_tensors(path), path), path)

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 of shape ``(n,)`` for embeddings of shape ``(n, dimensions)``. Of two outputs the second counts.

        Raises:
            DataError: The embeddings do not have the length that the model was trained for.
        """
        import numpy as np

        self.setup()
        assert self._run is not None
        scores = np.asarray(self._run(np.asarray(inputs, dtype=np.float32)), dtype=np.float32).reshape(len(inputs), -1)
        if scores.shape[1] not in {1, 2}:
            message = f"{self.file()} gives {scores.shape[1]} numbers for an embedding; expected one"
            raise DataError(message)
        return scores[:, -1]

    def _graph(self, path: Path) -> Callable[[Any], Any]:
        session = onnx_session(str(path), str(path), extra="image", threads=self.threads)
        given = session.get_inputs()[0]
        wanted = given.shape[-1]

        def run(embeddings: Any) -> Any:
            if isinstance(wanted, int):
                _check_length(embeddings, wanted, path)
            return session.run(None, {given.name: embeddings})[0]

        return run


def _check_length(embeddings: Any, wanted: int, path: Path) -> None:
    if embeddings.shape[1] != wanted:
        message = (
            f"{path} takes embeddings of {wanted} numbers, those of the images have {embeddings.shape[1]}. "
            "Embed with the model that it was trained on"
        )
        raise DataError(message)


def _chain(layers: Layers, path: Path) -> Callable[[Any], Any]:
    def run(embeddings: Any) -> Any:
        _check_length(embeddings, layers[0][0].shape[1], path)
        for weight, bias in layers:
            embeddings = embeddings @ weight.T + bias
        return embeddings

    return run


def _tensors(path: Path) -> Mapping[str, Any]:
    import numpy as np

    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, AttributeError) as error:
        message = f"{path} is not a file of arrays (.npz without pickles): {error}"
        raise DataError(message) from error


def _layers(tensors: Mapping[str, Any], path: Path) -> Layers:
    import numpy as np

    weights = {name.removesuffix("weight"): tensor for name, tensor in tensors.items() if name.endswith("weight")}
    numbers = {prefix: [int(digits) for digits in re.findall(r"\d+", prefix)] for prefix in weights}
    layers: Layers = []
    for prefix in sorted(weights, key=lambda each: numbers[each]):
        weight = np.asarray(weights[prefix], dtype=np.float32)
        bias = np.asarray(tensors.get(f"{prefix}bias", np.zeros(len(weight))), dtype=np.float32)
        fits = (
            weight.ndim == 2
            and bias.shape == weight.shape[:1]
            and (not layers or weight.shape[1] == len(layers[-1][1]))
        )
        if not fits:
            message = f"{path}: layer {prefix!r} with weights of shape {weight.shape} and bias of shape {bias.shape} does not fit in"
            raise DataError(message)
        layers.append((weight, bias))
    if not layers:
        message = (
            f"{path} has no layers: no name in it ends in 'weight'; it has: {', '.join(sorted(tensors)) or 'nothing'}"
        )
        raise DataError(message)
    return layers


def read_safetensors(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name (format: https://github.com/huggingface/safetensors).

    Raises:
        DataError: It is damaged, or has tensors of other types than float16, float32 and float64.
    """
    import numpy as np

    data = Path(path).read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        if not 2 <= size <= min(_MOST_OF_A_HEADER, len(data) - 8):
            raise ValueError(size)
        header = json.loads(data[8 : 8 + size])
        body = memoryview(data)[8 + size :]
        found: dict[str, NDArray[Any]] = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, stop = entry["data_offsets"]
                if not 0 <= start <= stop <= len(body):
                    raise ValueError(name)
                found[name] = np.frombuffer(body[start:stop], _KINDS[entry["dtype"]]).reshape(entry["shape"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = f"{path} is not a safetensors file of floating point numbers, or it is damaged: {error}"
        raise DataError(message) from error
    return found
