"""Cosmos-Embed1: one vector for a clip and for a text, so that clips can be searched by words. Weights come from a hub, and it needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage, frames_of
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks.video import Clip, Video
from nemo_curator.utils.decoder_utils import FrameExtractionPolicy, FrameExtractionSignature

__all__ = ["CosmosEmbed1EmbeddingStage", "CosmosEmbed1FrameCreationStage"]

Variant = Literal["224p", "336p", "448p"]

# The model card: eight frames a clip, at the side that the variant is named by.
_SIDES = {"224p": 224, "336p": 336, "448p": 448}
_FRAMES = 8


def _check_variant(variant: str, stage: str) -> None:
    if variant not in _SIDES:
        message = f"stage {stage!r}: variant {variant!r} is not known; known: {', '.join(_SIDES)}"
        raise OptionError(message)


@dataclass
class CosmosEmbed1FrameCreationStage(ClipStage):
    """Put eight frames of a clip, evenly spaced, into ``cosmos_embed1_frames``: 8 x 3 x side x side, uint8.

    Attributes:
        model_dir: Of no effect here.
        variant: ``"224p"``, ``"336p"`` or ``"448p"``.
        target_fps: The rate at which frames were extracted, see `ClipFrameExtractionStage`.
        num_cpus: CPUs of a worker.
        verbose: Of no effect.
    """

    model_dir: str = "models/cosmos_embed1"
    variant: Variant = "336p"
    target_fps: float = 2.0
    num_cpus: float = 1
    verbose: bool = False
    name: str = "cosmos_embed1_frame_creation"

    error_key = "cosmos_embed1_frames"

    def __post_init__(self) -> None:
        _check_variant(self.variant, self.name)
        self.resources = Resources(cpus=self.num_cpus)

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Choose the frames. A clip that has fewer shows some of them twice."""
        import numpy as np
        from PIL import Image

        signature = FrameExtractionSignature(FrameExtractionPolicy.sequence, self.target_fps).to_str()
        frames = frames_of(clip, signature, self.name)
        chosen = np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)
        side = _SIDES[self.variant]
        sized = [Image.fromarray(frames[index]).resize((side, side), Image.Resampling.BICUBIC) for index in chosen]
        clip.cosmos_embed1_frames = np.stack([np.asarray(image) for image in sized]).transpose(0, 3, 1, 2)


@dataclass
class CosmosEmbed1EmbeddingStage(ClipStage):
    """Embed clips with Cosmos-Embed1: ``cosmos_embed1_embedding``, of length 1. The frames are let go.

    The model's own Python code, in `model_dir`, is run to load it: take the folder from whom you trust. Nothing is downloaded.

    Attributes:
        model_dir: Folder with a sub-folder for each variant, or the variant's folder: a snapshot of ``nvidia/Cosmos-Embed1-<variant>``.
        variant: ``"224p"``, ``"336p"`` or ``"448p"``.
        texts_to_verify: Texts of which the nearest is noted, with its similarity, as ``cosmos_embed1_text_match``.
        gpu_memory_gb: What a worker needs of a GPU; 0 to run on a CPU.
        verbose: Of no effect.
    """

    model_dir: str = "models/cosmos_embed1"
    variant: Variant = "336p"
    texts_to_verify: list[str] | None = None
    gpu_memory_gb: float = 20
    verbose: bool = False
    name: str = "cosmos_embed1_embedding"
    _model: Any = field(default=None, init=False, repr=False)
    _processor: Any = field(default=None, init=False, repr=False)
    _texts: Any = field(default=None, init=False, repr=False)
    _device: Any = field(default="cpu", init=False, repr=False)
    _type: Any = field(default=None, init=False, repr=False)

    error_key = "cosmos_embed1_embedding"

    def __post_init__(self) -> None:
        _check_variant(self.variant, self.name)
        self.resources = Resources(cpus=1.0, gpu_memory_gb=self.gpu_memory_gb)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model.

        Raises:
            MissingExtra: torch or transformers is not installed.
            InputError: The folder has no model.
        """
        for package in ("torch", "transformers"):
            require(package, extra="torch", purpose=f"stage {self.name!r}")
        torch: Any = import_module("torch")
        transformers: Any = import_module("transformers")

        folder = Path(self.model_dir)
        folder = folder / self.variant if (folder / self.variant).is_dir() else folder
        if not (folder / "config.json").is_file():
            message = (
                f"stage {self.name!r} needs the model nvidia/Cosmos-Embed1-{self.variant}, and {folder} does not have it; "
                "download it from the hub into that folder first"
            )
            raise InputError(message)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._type = torch.bfloat16 if self._device == "cuda" else torch.float32
        arguments: dict[str, Any] = {"trust_remote_code": True, "local_files_only": True}
        self._processor = transformers.AutoProcessor.from_pretrained(str(folder), **arguments)
        self._model = (
            transformers.AutoModel.from_pretrained(str(folder), **arguments).to(self._device, dtype=self._type).eval()
        )
        self._texts = self._embedded_texts() if self.texts_to_verify else None

    def _embedded_texts(self) -> Any:
        torch: Any = import_module("torch")

        with torch.inference_mode():
            inputs = self._processor(text=self.texts_to_verify).to(self._device, dtype=self._type)
            return torch.nn.functional.normalize(self._model.get_text_embeddings(**inputs).text_proj.float(), dim=-1)

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Embed a clip."""
        torch: Any = import_module("torch")

        frames, clip.cosmos_embed1_frames = clip.cosmos_embed1_frames, None
        if frames is None:
            message = f"it has no frames for stage {self.name!r}; put CosmosEmbed1FrameCreationStage before it"
            raise DataError(message)
        with torch.inference_mode():
            inputs = self._processor(videos=frames[None]).to(self._device, dtype=self._type)
            vector = self._model.get_video_embeddings(**inputs).visual_proj.float()
            vector = torch.nn.functional.normalize(vector, dim=-1)
            if self._texts is not None and self.texts_to_verify:
                similar = (self._texts @ vector[0]).cpu()
                best = int(similar.argmax())
                clip.cosmos_embed1_text_match = (self.texts_to_verify[best], float(similar[best]))
        clip.cosmos_embed1_embedding = vector[0].cpu().numpy()
