"""Models that transformers and torch run: from a folder or from the Hugging Face hub. Nothing here is imported before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError, require
from nemo_curator.stages.text.models.base import EmbeddingModel, LabelModel, ModelHandle
from nemo_curator.stages.text.models.onnx import Pooling, check_pooling, pool

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["TransformersEmbeddingModel", "TransformersLabelModel"]


class TransformersModel(ModelHandle):
    """A model by its name on the hub, or the path of its folder. Code from the hub is never run; weights are read as safetensors only.

    Args:
        identifier: Name on the hub, or a folder.
        cache_dir: Where downloads are kept; the hub's own cache by default.
        hf_token: For models that need an agreement.
        max_tokens: Longer texts are cut; the tokenizer's own limit by default.
        padding_side: Where short texts of a batch are filled up.
        autocast: Compute in half precision where there is a GPU.
        init_kwargs: More arguments for ``from_pretrained``.
    """

    def __init__(
        self,
        identifier: str,
        *,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        max_tokens: int | None = None,
        padding_side: str = "right",
        autocast: bool = True,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.identifier = identifier
        self.cache_dir = cache_dir
        self.hf_token = hf_token
        self.max_tokens = max_tokens
        self.padding_side = padding_side
        self.autocast = autocast
        self.init_kwargs = dict(init_kwargs or {})

    def prepare(self) -> None:
        """Fetch the model to this node, so that workers load it from the disk."""
        self._require()
        self._load()

    def _require(self) -> None:
        for module in ("torch", "transformers"):
            require(module, extra="torch", purpose=f"the model {self.identifier!r}")

    def _from_pretrained(self, kind: str, **more: Any) -> Any:
        import transformers  # pyright: ignore[reportMissingImports] - an extra

        try:
            return getattr(transformers, kind).from_pretrained(
                self.identifier, cache_dir=self.cache_dir, token=self.hf_token, trust_remote_code=False, **more
            )
        except OSError as error:
            message = f"the model {self.identifier!r} is neither a folder nor to be had from the hub: {error}"
            raise InputError(message) from error

    def load_network(self, kind: str) -> Any:
        """Return the network, ready for inference, on the GPU if there is one.

        Args:
            kind: A class of transformers, such as ``AutoModel``.

        Raises:
            MissingExtra: torch or transformers is not installed.
            InputError: There is no such model, or it cannot be fetched.
        """
        self._require()
        import torch  # pyright: ignore[reportMissingImports] - an extra

        network = self._from_pretrained(kind, use_safetensors=True, **self.init_kwargs)
        return network.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def _pair(self, kind: str) -> tuple[Any, Any, Any]:
        network = self.load_network(kind)
        tokenizer = self._from_pretrained("AutoTokenizer", padding_side=self.padding_side)
        return tokenizer, network, next(network.parameters()).device

    def _forward(self, texts: Sequence[str]) -> tuple[Any, Any]:
        import torch  # pyright: ignore[reportMissingImports] - an extra

        tokenizer, model, device = self.model
        sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        batch = tokenizer(sound, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt").to(
            device
        )
        with torch.inference_mode(), torch.autocast(device.type, enabled=self.autocast and device.type == "cuda"):
            return model(**batch), batch["attention_mask"]


class TransformersLabelModel(TransformersModel, LabelModel):
    """A model for sequence classification. Several labels: their softmax. A single one: a regression, whose number is returned as it is."""

    def _load(self) -> Any:
        return self._pair("AutoModelForSequenceClassification")

    @property
    def labels(self) -> list[str]:
        """Names of the labels, as the model's configuration has them."""
        names = self.model[1].config.id2label
        return [names[index] for index in sorted(names)]

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of every label for every text."""
        logits = self._forward(texts)[0].logits.float()
        return (logits.softmax(dim=-1) if logits.shape[-1] > 1 else logits).cpu().numpy()


class TransformersEmbeddingModel(TransformersModel, EmbeddingModel):
    """An encoder, whose vectors of tokens are pooled and scaled to length 1.

    Args:
        identifier: Name on the hub, or a folder.
        pooling: See `OnnxEmbeddingModel`.
        options: Those of `TransformersLabelModel`.
    """

    def __init__(self, identifier: str, *, pooling: Pooling = "mean_pooling", **options: Any) -> None:
        super().__init__(identifier, **options)
        check_pooling(pooling)
        self.pooling: Pooling = pooling

    def _load(self) -> Any:
        return self._pair("AutoModel")

    @property
    def dimensions(self) -> int:
        """Length of a vector, as the model's configuration has it."""
        return self.model[1].config.hidden_size

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Return a vector for every text."""
        import numpy as np

        output, mask = self._forward(texts)
        vectors = pool(output.last_hidden_state.float().cpu().numpy(), mask.cpu().numpy(), self.pooling)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
