"""Cutting segments out of recordings, as their manifest says: what is cut, how files are called, and what is noted about them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_curator.errors import DataError
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.manifest_reader import ManifestReader
from nemo_curator.utils.output_manifest import OutputFolder, WrittenFile

__all__ = [
    "FORMATS",
    "Combo",
    "Extracted",
    "Piece",
    "detect_combo",
    "extract_pieces",
    "extract_segments",
    "load_manifest",
    "load_manifests",
    "metadata_csv",
]

FORMATS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
"""File name extension -> libsndfile's format and subtype."""

Combo = Literal["speaker_intervals", "speakers", "timestamps"]

_COLUMNS = ("filename", "original_file", "segment_index", "start_sec", "end_sec", "duration")
_TEXT = ("speaker_id", "num_speakers", "band_prediction")
_SCORES = (
    *("utmos_mos", *(f"sigmos_{part}" for part in ("noise", "ovrl", "sig", "col", "disc", "loud", "reverb"))),
    *(f"dnsmos_{part}" for part in ("ovrl", "sig", "bak", "p808")),
)
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be made.

    Attributes:
        entry: Position of the entry that it belongs to.
        filename: Its name.
        source: The recording.
        index: Its number among those of the same name.
        start: Where it begins, in seconds.
        end: Where it ends.
    """

    entry: int
    filename: str
    source: str
    index: int
    start: float
    end: float


@dataclass(slots=True)
class Extracted:
    """What was made of entries.

    Attributes:
        rows: What is noted about each file, for ``metadata.csv``.
        files: The files of each entry, by its position.
        written: The files, as the engine wants to know them.
        failed: Why nothing was made of an entry, by its position.
    """

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    files: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list[str]))
    written: list[WrittenFile] = field(default_factory=list[WrittenFile])
    failed: dict[int, UnreadableAudio] = field(default_factory=dict[int, UnreadableAudio])


def detect_combo(entry: Mapping[str, Any]) -> Combo:
    """Return how segments are told by entries like this one: intervals of a speaker, speakers by timestamps, or timestamps alone."""
    if entry.get("speaker_id") is not None:
        return "speaker_intervals" if entry.get("diar_segments") else "speakers"
    return "timestamps"


def load_manifest(path: str) -> list[dict[str, Any]]:
    """Return the entries of a manifest, or of all in a folder.

    Raises:
        DataError: A line is not a JSON object.
        InputError: There is no manifest.
    """
    from nemo_curator.tasks import AudioTask, EmptyTask

    listing, reading = ManifestReader(path).decompose()
    listing.check_before_run()
    groups: Any = listing.process(EmptyTask())
    entries: list[dict[str, Any]] = []
    for group in groups:
        found: Any = reading.process(group)
        for task in found:
            if not isinstance(task, AudioTask):
                raise DataError(task.reason)
            entries.append(dict(task.data))
    return entries


def load_manifests(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return the entries of several manifests, one after the other."""
    return [entry for path in paths for entry in load_manifest(path)]


def _pieces(entries: Sequence[Mapping[str, Any]], combo: Combo, extension: str) -> list[Piece]:
    """Return what is to be cut, numbered within each name in the order of recordings and times."""
    spans: list[tuple[str, float, float, int]] = []
    for number, entry in enumerate(entries):
        source = str(entry.get("original_file") or entry.get("audio_filepath") or "")
        spans.extend((source, start, end, number) for start, end in _spans(entry, combo) if end > start)
    counts: defaultdict[str, int] = defaultdict(int)
    pieces: list[Piece] = []
    for source, start, end, number in sorted(spans):
        stem = os.path.splitext(os.path.basename(source))[0] or "recording"
        if combo != "timestamps":
            speaker = _UNSAFE.sub("-", str(entries[number].get("speaker_id", "unknown"))).removeprefix("speaker_")
            stem = f"{stem}_speaker_{speaker}"
        # Recordings of one name in different folders share their numbers.
        index = counts[stem]
        counts[stem] += 1
        pieces.append(Piece(number, f"{stem}_segment_{index:03d}.{extension}", source, index, start, end))
    return pieces


def _spans(entry: Mapping[str, Any], combo: Combo) -> Iterator[tuple[float, float]]:
    """Yield begin and end in seconds."""
    if combo == "speaker_intervals":
        for turn in entry.get("diar_segments") or ():
            start, end = (turn["start"], turn["end"]) if isinstance(turn, Mapping) else turn
            yield float(start), float(end)
        return
    for first, last in (("original_start_ms", "original_end_ms"), ("start_ms", "end_ms")):
        start, end = entry.get(first), entry.get(last)
        if isinstance(start, (int, float)) and isinstance(end, (int, float)):
            yield start / 1000, end / 1000
            return


def extract_pieces(
    entries: Sequence[Mapping[str, Any]], folder: OutputFolder, extension: str, limits: AudioLimits = DEFAULT_LIMITS
) -> Extracted:
    """Cut the segments of entries out of their recordings, each of which is read once; every file appears complete.

    What kind of entries they are is told by the first. An entry whose recording cannot be used, or that names no range in it, is in
    ``failed``.
    """
    result = Extracted()
    if not entries:
        return result
    sound: Any = None
    source, rate = None, 0
    problem: UnreadableAudio | None = None
    for piece in _pieces(entries, detect_combo(entries[0]), extension):
        if piece.source != source:
            source, problem = piece.source, None
            try:
                sound, rate = _whole(source, limits)
            except UnreadableAudio as error:
                problem = error
        if problem is None:
            samples = sound[:, int(piece.start * rate) : int(piece.end * rate)]
            if samples.shape[1]:
                _write(piece, entries[piece.entry], samples, rate, folder, extension, result)
                continue
            message = f"{source} ends before {piece.start:g} s"
            result.failed[piece.entry] = UnreadableAudio(message, "empty")
        else:
            result.failed[piece.entry] = problem
    for number in range(len(entries)):
        if number not in result.files and number not in result.failed:
            message = f"entry {number} names no range: it has neither original_start_ms and original_end_ms, nor start_ms and end_ms, in order"
            result.failed[number] = UnreadableAudio(message, "no_range")
    return result


def _whole(source: str, limits: AudioLimits) -> tuple[Any, int]:
    from nemo_curator.stages.audio.common.decoding import read_audio

    return read_audio(source, mono=False, limits=limits)


def _write(
    piece: Piece,
    entry: Mapping[str, Any],
    samples: Any,
    rate: int,
    folder: OutputFolder,
    extension: str,
    result: Extracted,
) -> None:
    import soundfile  # pyright: ignore[reportMissingImports] - an extra

    kind, subtype = FORMATS[extension]
    content = io.BytesIO()
    soundfile.write(content, samples.T, rate, format=kind, subtype=subtype)
    with folder.writing(piece.filename) as handle:
        handle.write(content.getvalue())
    path = folder.url(piece.filename)
    result.written.append(WrittenFile(path, 1, handle.nbytes, handle.sha256))
    result.files[piece.entry].append(path)
    seconds = samples.shape[1] / rate
    times = (
        piece.filename,
        piece.source,
        piece.index,
        round(piece.start, 4),
        round(piece.start + seconds, 4),
        round(seconds, 4),
    )
    row = dict(zip(_COLUMNS, times, strict=True))
    row |= {key: entry[key] for key in _TEXT if entry.get(key) is not None}
    row |= {key: round(float(entry[key]), 4) for key in _SCORES if entry.get(key) is not None}
    result.rows.append(row)


def metadata_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the notes about files as a table, with the columns that one of them has."""
    columns = [*_COLUMNS, *(key for key in (*_TEXT, *_SCORES) if any(key in row for row in rows))]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def extract_segments(
    entries: Sequence[Mapping[str, Any]],
    output_dir: str,
    output_format: str = "wav",
    *,
    limits: AudioLimits = DEFAULT_LIMITS,
) -> Extracted:
    """Cut the segments of entries into files of a folder, with ``metadata.csv`` beside them.

    Raises:
        ValueError: The format is not known.
    """
    if output_format not in FORMATS:
        message = f"output_format {output_format!r} is not known; known: {', '.join(FORMATS)}"
        raise DataError(message)
    folder = OutputFolder(os.path.abspath(output_dir))
    result = extract_pieces(entries, folder, output_format, limits)
    with folder.writing("metadata.csv") as handle:
        handle.write(metadata_csv(result.rows))
    return result
