"""Models in ONNX files with a tokenizer beside them, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.text.models.base import EmbeddingModel, LabelModel, ModelHandle, check_file, digest_of_file

if TYPE_CHECKING:
    import numpy as np

    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["OnnxEmbeddingModel", "OnnxLabelModel"]

_KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}

Pooling = Literal["mean_pooling", "last_token", "first_token"]


class _Session(NamedTuple):
    run: Any
    inputs: list[str]
    tokenizer: Any
    width: int


class _OnnxModel(ModelHandle):
    """A transformer's graph: takes what its tokenizer makes of texts, returns one array of numbers.

    Args:
        path: The graph, ``.onnx``, with inputs ``input_ids`` and perhaps ``attention_mask`` and ``token_type_ids``.
        tokenizer_path: The tokenizer, ``tokenizer.json`` of Hugging Face tokenizers; by default the one beside the graph.
        output: Which of the graph's outputs; the first by default.
        max_tokens: Longer texts are cut.
        threads: Threads of one worker. More workers use a machine better than more threads.
    """

    def __init__(
        self,
        path: str | Path,
        tokenizer_path: str | Path | None = None,
        *,
        output: str | None = None,
        max_tokens: int = 512,
        threads: int = 1,
    ) -> None:
        self.path = str(path)
        self.digest = digest_of_file(self.path)
        self.tokenizer_path = str(tokenizer_path or Path(self.path).parent / "tokenizer.json")
        self.output = output
        self.max_tokens = max_tokens
        self.threads = threads

    def prepare(self) -> None:
        """Look whether graph and tokenizer are there."""
        check_file(self.path, "the ONNX model")
        check_file(self.tokenizer_path, "the tokenizer of the ONNX model")

    def _load(self) -> _Session:
        for module in ("onnxruntime", "tokenizers"):
            require(module, extra="onnx", purpose="an ONNX model")
        self.prepare()
        import onnxruntime  # pyright: ignore[reportMissingImports] - an extra
        from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports] - an extra

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no base but this
            message = f"{self.path} is not a graph that ONNX Runtime can run: {error}"
            raise DataError(message) from error
        tokenizer = Tokenizer.from_file(self.tokenizer_path)
        tokenizer.enable_truncation(self.max_tokens)
        tokenizer.no_padding()
        inputs = [each.name for each in session.get_inputs()]
        outputs = {each.name: each.shape for each in session.get_outputs()}
        self._check(inputs, list(outputs))
        chosen = self.output or next(iter(outputs))
        width = outputs[chosen][-1]
        return _Session(lambda feed: session.run([chosen], feed)[0], inputs, tokenizer, width)

    def _check(self, inputs: list[str], outputs: list[str]) -> None:
        if unknown := sorted(set(inputs) - _KNOWN_INPUTS):
            message = f"{self.path} wants inputs that no tokenizer gives: {', '.join(unknown)}; known are {', '.join(sorted(_KNOWN_INPUTS))}"
            raise DataError(message)
        if self.output is not None and self.output not in outputs:
            message = f"{self.path} has no output {self.output!r}; it has: {', '.join(outputs)}"
            raise OptionError(message)

    def _run(self, texts: Sequence[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the output, float32, and the attention mask, int64 of shape ``(texts, tokens)``. Pads on the right with token 0."""
        import numpy as np

        session: _Session = self.model
        sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        # A text that is nothing but unknown signs may give no token at all; a graph needs one to look at.
        ids = [encoded.ids or [0] for encoded in session.tokenizer.encode_batch(sound)]
        tokens = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, numbers in enumerate(ids):
            tokens[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        everything = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        feed = {name: everything[name] for name in session.inputs}
        return np.asarray(session.run(feed), dtype=np.float32), mask


class OnnxLabelModel(_OnnxModel, LabelModel):
    """A classifier whose graph returns logits of shape ``(texts, labels)``.

    Args:
        path: The graph, ``.onnx``.
        labels: Names of the labels, in the order of the logits.
        tokenizer_path: Its ``tokenizer.json``; by default the one beside the graph.
        activation: What makes probabilities of the logits: ``softmax`` (one label holds), ``sigmoid`` (each label holds or not),
            ``none`` (they are what is wanted, such as a score).
        output: Which of the graph's outputs; the first by default.
        max_tokens: Longer texts are cut.
        threads: Threads of one worker.
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str],
        tokenizer_path: str | Path | None = None,
        *,
        activation: Literal["softmax", "sigmoid", "none"] = "softmax",
        output: str | None = None,
        max_tokens: int = 512,
        threads: int = 1,
    ) -> None:
        super().__init__(path, tokenizer_path, output=output, max_tokens=max_tokens, threads=threads)
        if activation not in {"softmax", "sigmoid", "none"}:
            message = f"activation must be 'softmax', 'sigmoid' or 'none', got {activation!r}"
            raise OptionError(message)
        self._labels = list(labels)
        self.activation = activation

    @property
    def labels(self) -> list[str]:
        """Names of the labels."""
        return self._labels

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the activated logits."""
        import numpy as np

        logits = self._run(texts)[0]
        if self.activation == "softmax":
            shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
            return shares / shares.sum(axis=-1, keepdims=True)
        return logits if self.activation == "none" else (1 / (1 + np.exp(-logits))).astype(np.float32)


class OnnxEmbeddingModel(_OnnxModel, EmbeddingModel):
    """An encoder whose graph returns vectors of tokens ``(texts, tokens, dimensions)``, which are pooled, or of texts.

    Args:
        path: The graph, ``.onnx``.
        tokenizer_path: Its ``tokenizer.json``; by default the one beside the graph.
        pooling: The mean of a text's tokens, or the last or the first of them.
        normalize: Scale vectors to length 1.
        output: Which of the graph's outputs; the first by default.
        max_tokens: Longer texts are cut.
        threads: Threads of one worker.
    """

    def __init__(
        self,
        path: str | Path,
        tokenizer_path: str | Path | None = None,
        *,
        pooling: Pooling = "mean_pooling",
        normalize: bool = True,
        output: str | None = None,
        max_tokens: int = 512,
        threads: int = 1,
    ) -> None:
        super().__init__(path, tokenizer_path, output=output, max_tokens=max_tokens, threads=threads)
        check_pooling(pooling)
        self.pooling: Pooling = pooling
        self.normalize = normalize

    @property
    def dimensions(self) -> int:
        """Length of a vector, as the graph says it."""
        width = self.model.width
        if not isinstance(width, int):
            message = f"{self.path} does not say how long its vectors are; export it with a fixed last dimension"
            raise DataError(message)
        return width

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Return a vector for every text."""
        import numpy as np

        vectors, mask = self._run(texts)
        if vectors.ndim == 3:
            vectors = pool(vectors, mask, self.pooling)
        if self.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors.astype(np.float32)


def check_pooling(pooling: str) -> None:
    """Raise `OptionError` unless `pooling` is known."""
    if pooling not in {"mean_pooling", "last_token", "first_token"}:
        message = f"pooling must be 'mean_pooling', 'last_token' or 'first_token', got {pooling!r}"
        raise OptionError(message)


def pool(vectors: np.ndarray[Any, Any], mask: np.ndarray[Any, Any], pooling: Pooling) -> np.ndarray[Any, Any]:
    """Return one vector a text, ``(texts, dimensions)``, of vectors of tokens ``(texts, tokens, dimensions)``; padding is left out."""
    import numpy as np

    # Padding may be on either side.
    if pooling == "first_token":
        return vectors[np.arange(len(vectors)), mask.argmax(axis=1)]
    if pooling == "last_token":
        return vectors[np.arange(len(vectors)), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]
    weights = mask[:, :, None].astype(np.float32)
    return (vectors * weights).sum(axis=1) / weights.sum(axis=1)
