"""Clips of fixed length, and the stage that encodes clips."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clipping.encoders import DEFAULT_ENCODER, EncoderSettings, check_encoder
from nemo_curator.stages.video.clipping.spans import clips_of, fixed_stride_spans, spans_in_chunks
from nemo_curator.stages.video.clipping.transcode import CutClip, cut_clips, sound_is_lost
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks.video import Clip, ClipStats, Video, VideoTask
from nemo_curator.utils.video_files import VideoLimits

__all__ = ["ClipTranscodingStage", "FixedStrideExtractorStage", "VideoChunkingStage", "can_be_cut"]

_log = logging.getLogger(__name__)


def can_be_cut(video: Video, stage: str) -> bool:
    """Say whether a video has all that cutting needs; note in its errors if it has not.

    Raises:
        ValueError: Nobody has read the video: it has no bytes, there is no such file, and no error says why.
    """
    if video.errors:
        return False
    if not video.has_source():
        message = f"stage {stage!r}: video {video.input_path} has no bytes and there is no such file; put VideoReader before it"
        raise ValueError(message)
    if not video.has_metadata():
        _log.warning("stage %r: the metadata of %s is incomplete; it gets no clips", stage, video.input_path)
        video.errors["metadata"] = "incomplete"
        return False
    return True


@dataclass
class FixedStrideExtractorStage(ProcessingStage[VideoTask, VideoTask]):
    """Give every video clips of the same length, one every so many seconds. Nothing is decoded yet.

    Attributes:
        clip_len_s: Seconds of a clip.
        clip_stride_s: Seconds from the start of one clip to that of the next.
        min_clip_length_s: What is left at the end is a clip if it has as many seconds.
        limit_clips: Clips of a video at most; 0 or less for all. A video that has as many is left as it is.
        verbose: Log a line for every video.
    """

    clip_len_s: float
    clip_stride_s: float
    min_clip_length_s: float
    limit_clips: int = -1
    verbose: bool = False
    name: str = "fixed_stride_extractor"

    def __post_init__(self) -> None:
        for option in ("clip_len_s", "clip_stride_s"):
            if getattr(self, option) <= 0:
                message = f"stage {self.name!r}: {option} must be above 0, got {getattr(self, option)}"
                raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def process(self, task: VideoTask) -> VideoTask:
        """Set the video's clips.

        Raises:
            ValueError: Nobody has read the video.
        """
        video = task.data
        if 0 < self.limit_clips <= len(video.clips) or not can_be_cut(video, self.name):
            return task
        meta = video.metadata
        duration = float(meta.num_frames or 0) / float(meta.framerate or 1)
        spans = fixed_stride_spans(duration, self.clip_len_s, self.clip_stride_s, self.min_clip_length_s)
        video.clips = clips_of(video, spans, self.limit_clips)
        if self.verbose:
            _log.info("stage %r: %s: %d clips", self.name, video.input_path, len(video.clips))
        return task


def _chunk(video: Video, clips: list[Clip], index: int, number: int, total: int) -> Video:
    """Return a part of a video that shares nothing that changes with it."""
    return Video(
        input_video=video.input_video,
        metadata=video.metadata,
        clips=clips,
        filtered_clips=list(video.filtered_clips) if index == 0 else [],
        num_total_clips=total,
        num_clip_chunks=number,
        clip_chunk_index=index,
        clip_stats=replace(video.clip_stats) if index == 0 else ClipStats(),
        errors=dict(video.errors),
    )


@dataclass
class VideoChunkingStage(ProcessingStage[VideoTask, VideoTask]):
    """Divide the clips of a long video into tasks before they are encoded, so that all workers share the work of one video.

    Each task reads its own part of the file. A video that is in memory is small and stays whole.

    Attributes:
        num_clips_per_chunk: A chunk lasts about eight seconds times this.
    """

    num_clips_per_chunk: int = 32
    name: str = "video_chunking"

    def process(self, task: VideoTask) -> list[VideoTask]:
        """Return a task for every chunk."""
        video = task.data
        chunks = spans_in_chunks(video.clips, self.num_clips_per_chunk)
        if len(chunks) < 2 or video.source_bytes:
            return [task]
        total = len(video.clips) + len(video.filtered_clips)
        return [
            VideoTask(dataset_name=task.dataset_name, data=_chunk(video, clips, index, len(chunks), total))
            for index, clips in enumerate(chunks)
        ]


@dataclass
class ClipTranscodingStage(ProcessingStage[VideoTask, VideoTask]):
    """Cut the clips out of their video and encode them, in one pass. The video's bytes are let go.

    A video becomes tasks of about ``num_clips_per_chunk * 8`` seconds of clips; each leaves as soon as it is complete, so memory holds one,
    however long the video is. A clip that cannot be cut stays, without a buffer and with a sentence in ``errors["transcode"]``.

    Attributes:
        num_cpus_per_worker: CPUs of a worker; the decoder gets as many threads. One worker for each core is the fastest for many videos, and
            the only number with which clips of a damaged video always have the same bytes.
        encoder: ``libx264``, ``libvpx-vp9``, ``mpeg4``, or, if this PyAV has it, ``libopenh264`` or ``h264_nvenc``.
        encoder_threads: Threads of an encoder.
        encode_batch_size: Of no effect: clips are encoded as the video is decoded.
        nb_streams_per_gpu: With ``h264_nvenc``, workers that share a GPU.
        use_hwaccel: Must be false: decoding is done in software.
        use_input_bit_rate: Encode with the video's own bit rate instead of a constant quality.
        num_clips_per_chunk: See above.
        ffmpeg_verbose: Of no effect: there is no ffmpeg program.
        verbose: Log a line for every chunk.
        ray_data_num_cpus: CPUs to reserve on Ray Data instead of `num_cpus_per_worker`.
        encoder_options: Options of the encoder, such as ``{"crf": "18"}``.
        limits: What a video may be at most.

    Raises:
        OptionError: The encoder is not known, or an option does not go with it.
    """

    num_cpus_per_worker: float = 1.0
    encoder: str = DEFAULT_ENCODER
    encoder_threads: int = 1
    encode_batch_size: int = 16
    nb_streams_per_gpu: int = 3
    use_hwaccel: bool = False
    use_input_bit_rate: bool = False
    num_clips_per_chunk: int = 32
    ffmpeg_verbose: bool = False
    verbose: bool = False
    ray_data_num_cpus: float | None = None
    name: str = "clip_transcoding"
    encoder_options: dict[str, str] = field(default_factory=dict)
    limits: VideoLimits = field(default_factory=VideoLimits)

    def __post_init__(self) -> None:
        if self.use_hwaccel:
            message = f"stage {self.name!r}: use_hwaccel is not supported, videos are decoded in software; leave it out"
            raise OptionError(message)
        for option in ("num_clips_per_chunk", "encoder_threads", "nb_streams_per_gpu"):
            if getattr(self, option) < 1:
                message = f"stage {self.name!r}: {option} must be at least 1, got {getattr(self, option)}"
                raise OptionError(message)
        gpus = 1 / self.nb_streams_per_gpu if self.encoder == "h264_nvenc" else 0.0
        self.resources = Resources(cpus=self.num_cpus_per_worker, gpus=gpus)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def ray_stage_spec(self) -> dict[str, Any]:
        """Return that one task becomes several."""
        return {"is_fanout_stage": True}

    def check_before_run(self) -> None:
        """Raise if the encoder is not known or not there."""
        check_encoder(self.encoder, self.name)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Raise if the encoder is not known or not there."""
        check_encoder(self.encoder, self.name)

    def process(self, task: VideoTask) -> Iterator[VideoTask]:
        """Yield tasks of encoded clips.

        Raises:
            ValueError: Nobody has read the video.
            OutputError: The encoder does not work.
        """
        video = task.data
        if not video.clips or not can_be_cut(video, self.name):
            yield self._as_it_is(task)
            return
        if sound_is_lost(video.metadata.audio_codec):
            _log.warning(
                "stage %r: %s: its %s sound cannot be copied", self.name, video.input_path, video.metadata.audio_codec
            )
            video.errors["audio"] = f"{video.metadata.audio_codec} cannot be copied into MP4: clips have no sound"
        if video.num_clip_chunks:
            chunks, first, number, total = (
                [video.clips],
                video.clip_chunk_index,
                video.num_clip_chunks,
                video.num_total_clips,
            )
        else:
            chunks, first = spans_in_chunks(video.clips, self.num_clips_per_chunk), 0
            number, total = len(chunks), len(video.clips) + len(video.filtered_clips)
        for offset, clips in enumerate(self._encoded(video, chunks)):
            part = _chunk(video, clips, first + offset, number, total)
            failed = [clip.errors["transcode"] for clip in clips if "transcode" in clip.errors]
            part.clip_stats.num_transcoded += len(clips) - len(failed)
            if failed:
                message = "stage %r: %d of %d clips cannot be cut, the first because %s"
                _log.warning(message, self.name, len(failed), len(clips), failed[0])
            if self.verbose:
                _log.info(
                    "stage %r: %s: chunk %d of %d is encoded", self.name, video.input_path, first + offset + 1, number
                )
            yield VideoTask(dataset_name=task.dataset_name, data=part)

    def _as_it_is(self, task: VideoTask) -> VideoTask:
        video = replace(task.data, source_bytes=None)
        video.num_total_clips = video.num_total_clips or len(video.clips) + len(video.filtered_clips)
        video.num_clip_chunks = video.num_clip_chunks or 1
        return VideoTask(dataset_name=task.dataset_name, data=video)

    def _encoded(self, video: Video, chunks: Sequence[list[Clip]]) -> Iterator[list[Clip]]:
        """Yield chunks whose clips are encoded, in order, each when its last clip is."""
        clips = [clip for chunk in chunks for clip in chunk]
        done: dict[int, Clip] = {}
        begin = 0
        cuts = self._cut(video, clips)
        for chunk in chunks:
            wanted = range(begin, begin + len(chunk))
            while not all(index in done for index in wanted):
                cut = next(cuts)
                done[cut.index] = self._with_buffer(clips[cut.index], cut)
            yield [done.pop(index) for index in wanted]
            begin = wanted.stop

    def _cut(self, video: Video, clips: Sequence[Clip]) -> Iterator[CutClip]:
        """Yield what became of every clip; when the video cannot even be opened, that."""
        order = sorted(range(len(clips)), key=lambda index: clips[index].span)
        settings = EncoderSettings(
            name=self.encoder,
            threads=self.encoder_threads,
            bit_rate_k=video.metadata.bit_rate_k if self.use_input_bit_rate else None,
            options=self.encoder_options,
        )
        threads = max(1, int(self.num_cpus_per_worker))
        spans = [clips[index].span for index in order]
        try:
            for cut in cut_clips(video.source, spans, settings, limits=self.limits, threads=threads):
                yield replace(cut, index=order[cut.index])
        except (DataError, InputError) as error:
            yield from (CutClip(index, error=str(error)) for index in order)

    @staticmethod
    def _with_buffer(clip: Clip, cut: CutClip) -> Clip:
        if cut.error:
            return replace(clip, errors={**clip.errors, "transcode": cut.error})
        return replace(clip, buffer=cut.data, num_bytes=len(cut.data))
