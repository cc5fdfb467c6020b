"""The parts of a video together again: one task for each video, with the counters of all its clips."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.tasks.video import Clip, ClipStats, Video, VideoTask

__all__ = ["VideoSummaryStage"]

_log = logging.getLogger(__name__)


@dataclass
class VideoSummaryStage(ProcessingStage[VideoTask, VideoTask]):
    """Make one task of all tasks of a video: its clips in the order of time, and the sums of its counters.

    All tasks are in one worker at the same time, so it comes after the writer, which lets go of what is large. If parts of a video have not
    arrived, as they failed or were dropped, ``errors["chunks"]`` says how many.
    """

    name: str = "video_summary"
    # Not annotated, so that they are not arguments of the constructor.
    topology = Topology.BARRIER
    batch_size = 1

    def process(self, task: VideoTask) -> VideoTask:
        """Do so for the task of a video that is whole."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[VideoTask]) -> list[VideoTask]:
        """Return one task for each video, ordered by path."""
        parts: dict[tuple[str, str], list[VideoTask]] = {}
        for task in tasks:
            parts.setdefault((task.dataset_name, task.data.input_path), []).append(task)
        return [_joined(parts[key]) for key in sorted(parts)]


def _joined(tasks: list[VideoTask]) -> VideoTask:
    videos = sorted((task.data for task in tasks), key=lambda video: video.clip_chunk_index)
    first = videos[0]
    stats = ClipStats()
    for video in videos:
        stats.combine(video.clip_stats)
    errors = {key: why for video in reversed(videos) for key, why in video.errors.items()}
    number = max(1, first.num_clip_chunks)
    if len(videos) < number:
        errors["chunks"] = f"{number - len(videos)} of {number} parts have not arrived"
        _log.warning("%s: %s", first.input_path, errors["chunks"])
    whole = Video(
        input_video=first.input_video,
        metadata=first.metadata,
        clips=_light(clip for video in videos for clip in video.clips),
        filtered_clips=_light(clip for video in videos for clip in video.filtered_clips),
        num_total_clips=first.num_total_clips,
        num_clip_chunks=number,
        clip_stats=stats,
        errors=errors,
    )
    return VideoTask(dataset_name=tasks[0].dataset_name, data=whole)


def _light(clips: Iterable[Clip]) -> list[Clip]:
    light = [replace(clip, buffer=None, extracted_frames={}, decoded_motion_data=None) for clip in clips]
    return sorted(light, key=lambda clip: clip.span)
