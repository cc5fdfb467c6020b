"""Captions made better by a model that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.caption.caption_generation import ChatStage
from nemo_curator.tasks.video import VideoTask, _Window
from nemo_curator.utils.chat_client import ChatEndpoint

__all__ = ["CaptionEnhancementStage"]

_PROMPT = (
    "Rewrite this description of a video as one clear paragraph. Keep everything that it says, add nothing that it does not say, and "
    "answer with the paragraph alone."
)


@dataclass
class CaptionEnhancementStage(ChatStage):
    """Have a model rewrite captions: ``enhanced_caption[model_variant]``. The caption itself stays.

    Attributes:
        model_dir: Of no effect but in a message: the endpoint has the model.
        model_variant: The name that enhanced captions are kept under.
        caption_model: Which captions; the first of a window by default.
        prompt_text: What to ask, before the caption.
        model_batch_size: Questions under way at a time, for each worker.
        fp8: Of no effect: the endpoint decides.
        max_output_tokens: How long an enhanced caption may be.
        verbose: Of no effect.
        endpoint: Where the model is; any endpoint that speaks OpenAI's chat completions.

    Raises:
        OptionError: There is no endpoint.
    """

    model_dir: str = "models/qwen"
    model_variant: str = "qwen"
    caption_model: str | None = None
    prompt_text: str | None = None
    model_batch_size: int = 128
    fp8: bool = False
    max_output_tokens: int = 2048
    verbose: bool = False
    name: str = "caption_enhancement"
    endpoint: ChatEndpoint | None = None

    # Not annotated, so that they are not arguments of the constructor. A worker waits most of the time.
    error_key = "enhanced_caption"
    resources = Resources(cpus=0.25)

    def __post_init__(self) -> None:
        self.check_endpoint(self.model_dir)
        if self.model_batch_size < 1:
            message = f"stage {self.name!r}: model_batch_size must be at least 1, got {self.model_batch_size}"
            raise OptionError(message)

    def messages(self, window: _Window) -> list[dict[str, Any]] | None:
        """Return the caption with what to do about it."""
        name = self.caption_model or next(iter(window.caption), "")
        caption = window.caption.get(name)
        if caption is None or self.model_variant in window.enhanced_caption:
            return None
        return [
            {"role": "system", "content": self.prompt_text or _PROMPT},
            {"role": "user", "content": caption},
        ]

    def keep(self, window: _Window, answer: str) -> None:
        """Keep the enhanced caption."""
        window.enhanced_caption = {**window.enhanced_caption, self.model_variant: answer}

    def process(self, task: VideoTask) -> VideoTask:
        """Rewrite the captions of all windows of a task."""
        return self.ask(task, min(self.model_batch_size, 32), self.max_output_tokens)
