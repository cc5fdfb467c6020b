"""From long recordings to snippets to train with."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import soundfile, task, tone, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.alm.pretrain import (
    OverlapFilterStage,
    PretrainMetricsAggregatorStage,
    ReadLongFormManifestStage,
    SnippetCutPlannerStage,
    SnippetExtractionStage,
    SnippetManifestWriterStage,
    SnippetRepetitionFilterStage,
)
from nemo_curator.stages.audio.alm.pretrain.planning import plan_snippets, repetition, without_overlaps, words_of
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import AudioTask, FailedTask, FileGroupTask, NoneTask


def _span(start: float, end: float, text: str = "", **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, **more}


@pytest.mark.parametrize(
    ("spans", "most", "expected"),
    [
        ([(0, 2), (2, 4)], 0, [(0, 2), (2, 4)]),
        ([(0, 2), (1, 4), (4, 5)], 0, [(4, 5)]),
        ([(0, 2), (1.9, 4)], 0.06, [(0, 2), (1.9, 4)]),
        ([(0, 10), (1, 2), (3, 4)], 0.2, [(0, 10)]),
        ([(0, 10), (1, 2), (1, 2), (3, 4)], 0.2, [(0, 10)]),  # what two cover counts once
        ([(0, 10), (1, 2), (11, 12), (5, 11.5)], 0, []),
        ([(0, 2), (1, 4)], 1, [(0, 2), (1, 4)]),
    ],
)
def test_segments_that_overlap_go(
    spans: list[tuple[float, float]], most: float, expected: list[tuple[float, float]]
) -> None:
    stage = OverlapFilterStage(most)
    data = stage.process(task("a.wav", segments=[_span(*span) for span in spans])).data
    assert [(each["start"], each["end"]) for each in data["segments"]] == expected
    lost = len(spans) - len(expected)
    assert stage._consume_drops() == ({"segment_overlap": lost} if lost else {})
    assert data["snippet_stats"] == {"segment_overlap": lost}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=15), st.sampled_from([0.0, 0.3, 0.5]))
def test_overlaps_are_told_as_by_looking_at_every_moment(spans: list[tuple[int, int]], most: float) -> None:
    segments = sorted(
        (_span(start, start + length) for start, length in spans), key=lambda each: (each["start"], each["end"])
    )
    heard = [set(range(each["start"], each["end"])) for each in segments]
    expected = [
        each
        for number, each in enumerate(segments)
        if len(heard[number] & set().union(*heard[:number], *heard[number + 1 :])) <= most * len(heard[number])
    ]
    assert without_overlaps(segments, most) == expected


@pytest.mark.parametrize(
    ("segments", "expected", "lost"),
    [
        ([(0, 4), (4, 8), (8, 12)], [(0, 8), (8, 12)], {}),
        ([(0, 4), (7, 9)], [(0, 4)], {"segment_short": 1}),
        ([(0, 4), (5, 9)], [(0, 9)], {}),
        ([(0, 11), (11, 15)], [(11, 15)], {"segment_long": 1}),
        ([(0, 6), (1, 3), (6, 9)], [(0, 9)], {}),
        ([(0, 1), (1.5, 2)], [], {"segment_short": 2}),
        ([], [], {}),
    ],
)
def test_snippets_are_planned(segments: Any, expected: Any, lost: dict[str, int]) -> None:
    stage = SnippetCutPlannerStage(3, 10, 1)
    data = stage.process(task("/data/My talk.wav", segments=[_span(*each) for each in segments])).data
    assert [(each["start"], each["end"]) for each in data["snippets"]] == expected
    assert stage._consume_drops() == lost
    assert data["snippet_stats"] == {"planned": len(expected), **lost}


def test_a_snippet_says_what_is_in_it() -> None:
    segments = [_span(0, 2, " One. ", speaker="b"), _span(2, 3.5, speaker="a"), _span(3.5, 5, "Two.", speaker="b")]
    (snippet,), _ = plan_snippets(segments, "/data/My talk.wav", shortest=1, longest=10, gap=1)
    digest = hashlib.sha256(b"/data/My talk.wav").hexdigest()[:8]
    assert snippet == {
        "snippet_id": f"My-talk_{digest}_00000000_00005000",
        "start": 0, "end": 5, "duration": 5, "text": "One. Two.", "num_segments": 3, "speakers": ["a", "b"],
    }  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 15)), max_size=30))
def test_snippets_keep_their_limits(spans: list[tuple[float, float]]) -> None:
    segments = sorted(
        (_span(start, start + length) for start, length in spans), key=lambda each: (each["start"], each["end"])
    )
    snippets, lost = plan_snippets(segments, "a.wav", shortest=2, longest=10, gap=1)
    assert sum(each["num_segments"] for each in snippets) + sum(lost.values()) == len(segments)
    assert all(2 <= each["end"] - each["start"] <= 10 for each in snippets)


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        ("one two three four", 2, 0),
        ("thank you thank you thank you", 2, 3 / 5),
        ("Thank you! THANK YOU.", 2, 1 / 3),
        ("谢谢谢谢谢", 2, 3 / 4),
        ("", 3, 0),
        ("na na", 3, 0),
        ("na na na na", 1, 3 / 4),
    ],
)
def test_repetition_is_the_share_of_n_grams_that_were_there(text: str, n: int, expected: float) -> None:
    assert repetition(words_of(text), n) == pytest.approx(expected)


def _snippets(*texts: str) -> AudioTask:
    return task("a.wav", snippets=[{"snippet_id": str(number), "text": text} for number, text in enumerate(texts)])


def test_snippets_that_repeat_go(tmp_path: Path) -> None:
    texts = ("so it goes on and on", "so so so so so so", "")
    stage = SnippetRepetitionFilterStage()
    data = stage.process(_snippets(*texts)).data
    assert [each["text"] for each in data["snippets"]] == [texts[0], texts[2]]
    assert (stage._consume_drops(), data["snippet_stats"]) == ({"snippet_repetition": 1}, {"snippet_repetition": 1})
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers.models import WordLevel

    # One that knows no word takes all for the same: everything repeats.
    blind = tokenizers.Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    blind.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    blind.save(str(tmp_path / "tokenizer.json"))
    stage = SnippetRepetitionFilterStage(tokenizer=str(tmp_path / "tokenizer.json"))
    stage.check_before_run()
    assert [each["text"] for each in stage.process(_snippets(*texts)).data["snippets"]] == [""]
    with pytest.raises(InputError, match="no tokenizer at"):
        SnippetRepetitionFilterStage(tokenizer="/no/such.json").check_before_run()


def _talks(folder: Path) -> Path:
    """Two recordings of ten seconds that get louder, a manifest of them, and lines that are none."""
    ramp = tone(10.0, 8000) * np.linspace(0, 1, 80000, dtype=np.float32)
    for name in ("one.wav", "two.wav"):
        write(folder / name, ramp, 8000)
    first = [
        _span(6, 9.5, "later"),
        _span(0, 3, "first words"),
        _span(3, 5, "more of it"),
        _span(9, 12, "over the end"),
    ]
    lines: list[Any] = [
        {"audio_filepath": "one.wav", "language": "en", "segments": first},
        {
            "audio_filepath": "two.wav",
            "segments": [_span(0, 5, "na na na na na na na"), _span(20, 25, "behind the end")],
        },
        {"audio_filepath": "two.wav", "segments": [_span(3, 1)]},
        {"audio_filepath": "two.wav"},
        {"segments": []},
        {"audio_filepath": "gone.wav", "segments": [_span(0, 5, "nobody hears it")]},
    ]
    path = folder / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_entries_that_are_none_fail_alone(tmp_path: Path) -> None:
    found = ReadLongFormManifestStage().process(FileGroupTask(dataset_name="talks", data=[str(_talks(tmp_path))]))
    good: list[Any] = [each for each in found if isinstance(each, AudioTask)]
    assert [Path(each.data["audio_filepath"]).name for each in good] == ["one.wav", "two.wav", "gone.wav"]
    assert [each["start"] for each in good[0].data["segments"]] == [0, 3, 6, 9]
    assert good[0].data["snippet_stats"] == {"segments": 4, "segment_seconds": 11.5}
    reasons = [each.reason for each in found if isinstance(each, FailedTask)]
    assert [
        "has no times in order" in reasons[0],
        "has no list of segments" in reasons[1],
        "no path in" in reasons[2],
    ] == [True] * 3
    with pytest.raises(DataError, match="no times in order"):
        SnippetCutPlannerStage().process(task("a.wav", segments=[_span(3, 1)]))


def _run(folder: Path, container: Any) -> Any:
    pipeline = Pipeline("pretrain")
    pipeline.add_stage(FilePartitioningStage(str(_talks(folder))))
    pipeline.add_stage(ReadLongFormManifestStage())
    pipeline.add_stage(OverlapFilterStage(0.2))
    pipeline.add_stage(SnippetCutPlannerStage(2, 5.5, 0.5))
    pipeline.add_stage(SnippetRepetitionFilterStage())
    pipeline.add_stage(SnippetExtractionStage(str(folder / "out"), container=container))
    pipeline.add_stage(SnippetManifestWriterStage(str(folder / "manifests")))
    pipeline.add_stage(PretrainMetricsAggregatorStage(str(folder / "summary.json")))
    pipeline.run(LocalExecutor(mode="inline", on_error="quarantine", quarantine_path=str(folder / "quarantine")))
    return pipeline.last_report


@pytest.mark.parametrize("container", ["files", "tar"])
def test_from_a_manifest_to_snippets_and_a_summary(tmp_path: Path, container: str) -> None:
    report = _run(tmp_path, container)
    assert report.stage("read_long_form_manifest").children_failed == 3
    assert report.stage("snippet_extraction").tasks_dropped == {"missing": 1}
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "manifests").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert [(each["text"], each["duration"], each.get("language")) for each in lines] == [
        ("first words more of it", 5, "en"),
        ("later", 3.5, "en"),
    ]
    original, rate = soundfile.read(str(tmp_path / "one.wav"))
    for line in lines:
        content = Path(line["audio_filepath"]).read_bytes()
        if container == "tar":
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                assert sorted(archive.getnames()) == sorted(
                    f"{each['snippet_id']}.{end}" for each in lines for end in ("flac", "json")
                )
                told: Any = archive.extractfile(f"{line['snippet_id']}.json")
                assert json.loads(told.read())["text"] == line["text"]
                sound: Any = archive.extractfile(line["member"])
                content = sound.read()
        samples, wanted = soundfile.read(io.BytesIO(content))
        assert (wanted, line["sample_rate"], len(samples)) == (16000, 16000, line["duration"] * 16000)
        part = original[int(line["start"] * rate) : int(line["end"] * rate)]
        assert np.abs(samples[::2]).max() == pytest.approx(np.abs(part).max(), abs=0.02)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "recordings": 2,
        "recordings_without_snippets": 1,
        "segments": 6,
        "segment_hours": round(21.5 / 3600, 4),
        "snippets": 2,
        "snippet_hours": round(8.5 / 3600, 4),
        "shortest_sec": 3.5,
        "longest_sec": 5,
        "words": 6,
        "left_out": {"segment_overlap": 0, "snippet_behind_end": 2, "snippet_repetition": 1},
    }


def test_doing_it_again_gives_the_same_bytes(tmp_path: Path) -> None:
    def digests() -> dict[str, str]:
        files = [
            *(tmp_path / "out").glob("*.tar"),
            *(tmp_path / "manifests").glob("*.jsonl"),
            tmp_path / "summary.json",
        ]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    _run(tmp_path, "tar")
    before = digests()
    _run(tmp_path, "tar")
    assert digests() == before
    assert len(before) >= 3


def test_what_cannot_be_cut_is_dropped_and_options_are_checked(tmp_path: Path) -> None:
    stage = SnippetExtractionStage(str(tmp_path), sample_rate=None, output_format="wav")
    snippet = {"snippet_id": "a", "start": 0.0, "end": 0.5, "duration": 0.5, "text": ""}
    assert stage.process(task(tmp_path / "gone.wav", snippets=[snippet])) == NoneTask(reason="missing")
    assert stage.process(task(tmp_path / "gone.wav", snippets=[])) is not None
    data = stage.process(task(write(tmp_path / "in.wav", tone(1.0, 8000), 8000), snippets=[snippet])).data  # pyright: ignore[reportOptionalMemberAccess]
    assert (
        soundfile.info(data["snippets"][0]["audio_filepath"]).samplerate == data["snippets"][0]["sample_rate"] == 8000
    )
    for make in (
        lambda: OverlapFilterStage(2),
        lambda: SnippetCutPlannerStage(5, 5),
        lambda: SnippetCutPlannerStage(max_gap=-1),
        lambda: SnippetRepetitionFilterStage(0),
        lambda: SnippetRepetitionFilterStage(max_repetition=2),
        lambda: SnippetExtractionStage(""),
        lambda: SnippetExtractionStage("x", "mp3"),
        lambda: SnippetExtractionStage("x", container="zip"),  # pyright: ignore[reportArgumentType]
        lambda: SnippetExtractionStage("x", sample_rate=0),
        lambda: SnippetManifestWriterStage(""),
        lambda: PretrainMetricsAggregatorStage(""),
    ):
        with pytest.raises(OptionError, match="stage "):
            make()
    with pytest.raises(NotImplementedError, match="process_batch"):
        PretrainMetricsAggregatorStage("x.json").process(task())
