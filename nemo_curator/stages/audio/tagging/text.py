"""`InverseTextNormalizationStage` and `ChineseConversionStage`: transcripts as one writes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from nemo_curator.errors import MissingExtra, OptionError
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import AudioTask

__all__ = ["ChineseConversionStage", "InverseTextNormalizationStage"]


class _RewritingStage(ProcessingStage[AudioTask, AudioTask]):
    """Rewrites the text of an entry and of its segments. Subclasses have these keys, and bring what rewrites."""

    text_key: str
    output_key: str | None

    @abstractmethod
    def _check(self) -> None:
        """Raise if packages are missing."""

    @abstractmethod
    def _load(self) -> Callable[[str], str]:
        """Return what rewrites a text."""

    def check_before_run(self) -> None:
        """Raise if packages are missing."""
        self._check()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load what rewrites."""
        if "rewrite" not in loaded(self):
            self._check()
            loaded(self)["rewrite"] = self._load()

    def teardown(self) -> None:
        """Let go of it."""
        loaded(self).clear()

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with its texts rewritten."""
        self.setup()
        rewrite = loaded(self)["rewrite"]
        for item in (task.data, *(task.data.get("segments") or ())):
            self._rewrite(item, rewrite)
        return task

    def _rewrite(self, item: MutableMapping[str, Any], rewrite: Callable[[str], str]) -> None:
        text = item.get(self.text_key)
        if isinstance(text, str):
            item[self.output_key or self.text_key] = rewrite(text) if text.strip() else text


@dataclass(eq=False)
class InverseTextNormalizationStage(_RewritingStage):
    """Write numbers, dates and the like as one writes them: "twenty one percent" becomes "21%". Of entries and of their segments.

    NVIDIA's nemo_text_processing does it, which no extra of this package brings; without it the run does not begin.

    Attributes:
        language: As nemo_text_processing calls it: ``en``.
        text_key: Key of the text.
        output_key: Key for what becomes of it; `None` overwrites the text.
        input_case: ``"lower_cased"`` for texts without capitals, or ``"cased"``.
    """

    language: str = "en"
    text_key: str = "text"
    output_key: str | None = "text_itn"
    input_case: str = "lower_cased"
    name: str = "inverse_text_normalization"

    def __post_init__(self) -> None:
        if self.input_case not in ("lower_cased", "cased"):
            message = f"stage {self.name!r}: input_case must be 'lower_cased' or 'cased', got {self.input_case!r}"
            raise OptionError(message)

    def _check(self) -> None:
        if find_spec("nemo_text_processing") is None:
            message = f"stage {self.name!r} needs NVIDIA's nemo_text_processing and its pynini: pip install nemo_text_processing"
            raise MissingExtra(message, name="nemo_text_processing")

    def _load(self) -> Callable[[str], str]:
        from nemo_text_processing.inverse_text_normalization.inverse_normalize import (  # pyright: ignore[reportMissingImports] - no extra
            InverseNormalizer,
        )

        normalizer: Any = InverseNormalizer(lang=self.language, input_case=self.input_case)
        return lambda text: str(normalizer.inverse_normalize(text, verbose=False))


@dataclass(eq=False)
class ChineseConversionStage(_RewritingStage):
    """Convert between simplified and traditional Chinese, in entries and in their segments.

    OpenCC does it, which no extra of this package brings; without it the run does not begin.

    Attributes:
        convert_type: As OpenCC calls it: ``t2s`` from traditional to simplified, ``s2t``, ``s2twp`` and so on.
        text_key: Key of the text.
        output_key: Key for what becomes of it; `None` overwrites the text.
    """

    convert_type: str = "t2s"
    text_key: str = "text"
    output_key: str | None = None
    name: str = "chinese_conversion"

    def __post_init__(self) -> None:
        if not self.convert_type.isalnum():
            message = f"stage {self.name!r}: convert_type must be a conversion of OpenCC, such as 't2s', got {self.convert_type!r}"
            raise OptionError(message)

    def _check(self) -> None:
        if find_spec("opencc") is None:
            message = f"stage {self.name!r} needs OpenCC: pip install OpenCC"
            raise MissingExtra(message, name="opencc")

    def _load(self) -> Callable[[str], str]:
        import opencc  # pyright: ignore[reportMissingImports] - no extra

        return opencc.OpenCC(self.convert_type).convert
