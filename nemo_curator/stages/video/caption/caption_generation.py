"""Captions of windows, from a model behind an endpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import note_error
from nemo_curator.tasks.video import Clip, VideoTask, _Window
from nemo_curator.utils.chat_client import ChatEndpoint, image_message

__all__ = ["CaptionGenerationStage", "ChatStage"]


class ChatStage(ProcessingStage[VideoTask, VideoTask]):
    """Asks a model about each window of each clip that is kept, several at a time.

    What the endpoint does not take is noted in the clip's errors. An endpoint that is not there or does not know the key fails the task, and
    one that is busy for too long asks the engine for another attempt: windows that were answered are then not asked about again.
    """

    name = "chat"
    model_variant: str = ""
    error_key = "caption"
    endpoint: ChatEndpoint | None = None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    @abstractmethod
    def messages(self, window: _Window) -> list[dict[str, Any]] | None:
        """Return what to ask about a window; `None` if there is nothing to ask."""

    @abstractmethod
    def keep(self, window: _Window, answer: str) -> None:
        """Keep the answer."""

    def check_endpoint(self, model_dir: str) -> None:
        """Raise unless there is an endpoint.

        Raises:
            OptionError: There is none.
        """
        if self.endpoint is None:
            message = (
                f"stage {self.name!r} asks a model behind an endpoint. Serve one (vllm serve {model_dir}, say), and pass "
                "endpoint=ChatEndpoint('http://127.0.0.1:8000/v1', model='...') of nemo_curator.utils.chat_client"
            )
            raise OptionError(message)

    def ask(self, task: VideoTask, at_a_time: int, max_tokens: int) -> VideoTask:
        """Ask about all windows of a task."""
        asked = [
            (clip, window, messages)
            for clip in task.data.clips
            for window in clip.windows
            if (messages := self.messages(window)) is not None
        ]
        with ThreadPoolExecutor(at_a_time) as pool:
            # A failure of all shows when its turn comes; what was answered before is kept.
            answers = pool.map(partial(self._answer, max_tokens=max_tokens), [messages for *_, messages in asked])
            for (clip, window, _), answer in zip(asked, answers, strict=True):
                self._note(clip, window, answer)
        return task

    def _answer(self, messages: Sequence[dict[str, Any]], max_tokens: int) -> str | DataError:
        assert self.endpoint is not None
        try:
            return self.endpoint.complete(messages, max_tokens)
        except DataError as error:
            return error

    def _note(self, clip: Clip, window: _Window, answer: str | DataError) -> None:
        if isinstance(answer, DataError):
            note_error(clip, self.error_key, str(answer), self.name)
        else:
            self.keep(window, answer)


@dataclass
class CaptionGenerationStage(ChatStage):
    """Have a model describe windows: ``caption[model_variant]``. Wants what `CaptionPreparationStage` prepares, and lets it go.

    Attributes:
        model_dir: Of no effect but in a message: the endpoint has the model.
        model_variant: The name that captions are kept under.
        caption_batch_size: Questions under way at a time, for each worker.
        fp8: Of no effect: the endpoint decides.
        max_output_tokens: How long a caption may be.
        verbose: Of no effect.
        endpoint: Where the model is; any endpoint that speaks OpenAI's chat completions.

    Raises:
        OptionError: There is no endpoint.
    """

    model_dir: str = "models/qwen"
    model_variant: str = "qwen2.5"
    caption_batch_size: int = 16
    fp8: bool = False
    max_output_tokens: int = 512
    verbose: bool = False
    name: str = "caption_generation"
    endpoint: ChatEndpoint | None = None

    # Not annotated, so that they are not arguments of the constructor. A worker waits most of the time.
    error_key = "caption"
    resources = Resources(cpus=0.25)

    def __post_init__(self) -> None:
        self.check_endpoint(self.model_dir)
        if self.caption_batch_size < 1:
            message = f"stage {self.name!r}: caption_batch_size must be at least 1, got {self.caption_batch_size}"
            raise OptionError(message)

    def messages(self, window: _Window) -> list[dict[str, Any]] | None:
        """Return prompt and pictures."""
        prepared = window.llm_inputs.get(self.model_variant)
        if prepared is None or self.model_variant in window.caption:
            return None
        return [image_message(prepared["prompt"], prepared["images"])]

    def keep(self, window: _Window, answer: str) -> None:
        """Keep the caption."""
        window.caption = {**window.caption, self.model_variant: answer}

    def process(self, task: VideoTask) -> VideoTask:
        """Describe all windows of a task."""
        task = self.ask(task, self.caption_batch_size, self.max_output_tokens)
        for clip in task.data.clips:
            for window in clip.windows:
                window.llm_inputs = {
                    key: value for key, value in window.llm_inputs.items() if key != self.model_variant
                }
        return task
