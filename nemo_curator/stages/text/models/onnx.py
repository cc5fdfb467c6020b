"""Models in ONNX files with a tokenizer beside them, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.models.base import onnx_session
from nemo_curator.stages.text.models.base import EmbeddingModel, LabelModel, ModelHandle, check_file, digest_of_file

if TYPE_CHECKING:
    import numpy as np

    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["OnnxEmbeddingModel", "OnnxLabelModel"]

_KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}

Pooling = Literal["mean_pooling", "last_token", "first_token"]


Numbers: TypeAlias = "np.ndarray[Any, Any]"


class Graph(NamedTuple):
    """An ONNX graph that is loaded.

    Attributes:
        run: Takes int64 arrays by the names of `inputs`; returns the chosen output, float32.
        inputs: What it wants, among ``input_ids``, ``attention_mask`` and ``token_type_ids``.
        width: Last dimension of the output; a number, or a name if it is open.
    """

    run: Callable[[Mapping[str, Numbers]], Numbers]
    inputs: list[str]
    width: Any

    def __call__(self, batch: Mapping[str, Numbers]) -> Numbers:
        """Return the output for padded tokens: ``input_ids`` and ``attention_mask``, int64 of shape ``(texts, tokens)``."""
        import numpy as np

        everything = {"token_type_ids": np.zeros_like(batch["input_ids"]), **batch}
        return np.asarray(self.run({name: everything[name] for name in self.inputs}), dtype=np.float32)


def open_graph(path: str, output: str | None = None, threads: int = 1) -> Graph:
    """Load a graph for the CPU.

    Args:
        path: The file.
        output: Which of its outputs; the first by default.
        threads: Threads of one worker.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        InputError: There is no such file.
        DataError: It is no graph, or wants inputs that no tokenizer gives.
        OptionError: It has no such output.
    """
    require("onnxruntime", extra="onnx", purpose="an ONNX model")
    check_file(path, "the ONNX model")
    session = onnx_session(path, path, extra="onnx", threads=threads)
    inputs = [each.name for each in session.get_inputs()]
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if unknown := sorted(set(inputs) - _KNOWN_INPUTS):
        message = f"{path} wants inputs that no tokenizer gives: {', '.join(unknown)}; known are {', '.join(sorted(_KNOWN_INPUTS))}"
        raise DataError(message)
    if output is not None and output not in outputs:
        message = f"{path} has no output {output!r}; it has: {', '.join(outputs)}"
        raise OptionError(message)
    chosen = output or next(iter(outputs))
    return Graph(partial(_run, session, chosen), inputs, outputs[chosen][-1])


def _run(session: Any, output: str, feed: Mapping[str, Numbers]) -> Numbers:
    return session.run([output], dict(feed))[0]


def open_tokenizer(path: str, max_tokens: int | None) -> Any:
    """Load a ``tokenizer.json`` of Hugging Face tokenizers, which cuts at so many tokens and does not pad.

    Raises:
        MissingExtra: The package tokenizers is not installed.
        InputError: There is no such file.
        DataError: It is no tokenizer.
    """
    require("tokenizers", extra="onnx", purpose="a tokenizer")
    check_file(path, "the tokenizer")
    from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports] - an extra

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises nothing more exact
        message = f"{path} is not a tokenizer.json of Hugging Face tokenizers: {error}"
        raise DataError(message) from error
    tokenizer.no_padding()
    if max_tokens is not None:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def encode_texts(tokenizer: Any, texts: Sequence[str], *, special_tokens: bool = True) -> list[list[int]]:
    """Return the tokens of every text, with those that stand around it or without. A lone surrogate counts as a question mark."""
    sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [encoded.ids for encoded in tokenizer.encode_batch(sound, add_special_tokens=special_tokens)]


def padded(rows: Sequence[Sequence[int] | Numbers], side: str = "right") -> dict[str, Numbers]:
    """Return ``input_ids`` and ``attention_mask``, int64 of shape ``(rows, most tokens)``, filled up with token 0.

    A text that is nothing but unknown signs may have no token at all; a graph needs one to look at, and gets token 0.
    """
    import numpy as np

    tokens = np.zeros((len(rows), max(1, *map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, numbers in enumerate(rows):
        length = max(len(numbers), 1)
        place = slice(length) if side == "right" else slice(-length, None)
        tokens[row, place] = numbers if len(numbers) else 0
        mask[row, place] = 1
    return {"input_ids": tokens, "attention_mask": mask}


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

    def _load(self) -> tuple[Graph, Any]:
        tokenizer = open_tokenizer(self.tokenizer_path, self.max_tokens)
        return open_graph(self.path, self.output, self.threads), tokenizer

    def _run(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return the output, float32, and the attention mask, int64 of shape ``(texts, tokens)``. Pads on the right."""
        graph, tokenizer = self.model
        batch = padded(encode_texts(tokenizer, texts))
        return graph(batch), batch["attention_mask"]


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
        width = self.model[0].width
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


def pool(vectors: Numbers, mask: Numbers, pooling: Pooling) -> Numbers:
    """Return one vector a text, ``(texts, dimensions)``, of vectors of tokens ``(texts, tokens, dimensions)``; padding is left out."""
    import numpy as np

    # Padding may be on either side.
    if pooling == "first_token":
        return vectors[np.arange(len(vectors)), mask.argmax(axis=1)]
    if pooling == "last_token":
        return vectors[np.arange(len(vectors)), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]
    weights = mask[:, :, None].astype(np.float32)
    return (vectors * weights).sum(axis=1) / weights.sum(axis=1)
