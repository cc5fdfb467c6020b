"""Transcripts: made up ones, and entries as documents."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import task, tone

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.io.convert import AudioToDocumentStage
from nemo_curator.stages.audio.text_filtering import WhisperHallucinationStage
from nemo_curator.stages.text.io.writer import JsonlWriter


@pytest.fixture
def phrases(tmp_path: Path) -> str:
    path = tmp_path / "phrases.txt"
    path.write_text("Thank you.\t1200\nSubtitles by the community\n\nBye\n", encoding="utf-8")
    return str(path)


JUDGED = {
    "plain": ({"pred_text": "He was not an ill disposed young man.", "duration": 3.0}, ""),
    "repeated": ({"pred_text": "no no no no no yes"}, "repeated words"),
    "few-words": ({"pred_text": "no no yes"}, ""),
    "long-word": ({"pred_text": "well " + "a" * 25 + " then and so on", "language": "en"}, "long word"),
    "long-word-in-german": ({"pred_text": "Donaudampfschifffahrtsgesellschaft fährt so", "language": "de-AT"}, ""),
    "too-long-in-german": ({"pred_text": "a" * 35 + " fährt so", "language": "de"}, "long word"),
    "relatively-long": ({"pred_text": "a to abcdefgh is"}, "long word"),
    "relatively-long-in-dutch": ({"pred_text": "a to abcdefgh is", "language": "nl"}, ""),
    "phrase": ({"pred_text": "Thank you!"}, "known phrase"),
    "short-phrase-as-start": ({"pred_text": "Bye for now"}, ""),
    "long-phrase-as-start": ({"pred_text": "Subtitles by the community of friends"}, "known phrase"),
    "phrase-with-hyphen": ({"pred_text": "Thank-you"}, "known phrase"),
    "too-fast": ({"pred_text": "he was not an ill disposed young man", "duration": 0.5}, "fast"),
    "no-duration": ({"pred_text": "he was not an ill disposed young man", "duration": None}, ""),
    "several": ({"pred_text": "so so so so so", "duration": 0.1}, "repeated words, fast"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_made_up_transcripts_are_flagged(case: str, phrases: str) -> None:
    entry, signs = JUDGED[case]
    data = WhisperHallucinationStage(phrases).process(task(**entry)).data
    assert data["_skipme"] == ("Hallucination:WhisperHallucination" if signs else "")
    assert data["additional_notes"] == {"WhisperHallucination": f"hallucination ({signs})" if signs else "passed"}


@pytest.mark.parametrize(
    ("flag", "text", "overwrite", "expected", "note"),
    [
        ("Low SNR", "fine words here", True, "Low SNR", "skipped (flagged)"),
        ("Hallucination:other", "fine words here", False, "Hallucination:other", "skipped (flagged)"),
        ("Hallucination:other", "fine words here", True, "good", "recovered"),
        (
            "Hallucination:other",
            "no no no no",
            True,
            "Hallucination:WhisperHallucination",
            "hallucination (repeated words)",
        ),
        ("", "   ", False, "", "skipped (empty text)"),
        ("", None, False, "", "skipped (empty text)"),
    ],
)
def test_flags_of_others_stay(flag: str, text: Any, overwrite: bool, expected: str, note: str, phrases: str) -> None:
    stage = WhisperHallucinationStage(phrases, overwrite=overwrite, recovery_value="good")
    data = stage.process(task(pred_text=text, _skipme=flag, additional_notes={"Other": "x"})).data
    assert data["_skipme"] == expected
    assert data["additional_notes"] == {"Other": "x", "WhisperHallucination": note}


def test_the_list_of_phrases_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="common_hall_file"):
        WhisperHallucinationStage("")
    with pytest.raises(InputError, match="phrases"):
        WhisperHallucinationStage(str(tmp_path / "no.txt")).check_before_run()


def test_entries_become_rows(caplog: pytest.LogCaptureFixture) -> None:
    entries = [
        task("a.wav", text="one", waveform=tone(), segments=[{"x": 1}], features=np.zeros((2, 3))),
        task("b.wav", score=0.5, audio=b"", count=np.int64(3)),
    ]
    with caplog.at_level(logging.WARNING):
        [batch] = AudioToDocumentStage().process_batch(entries)
    rows = batch.to_pandas().astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    assert rows == [
        {"audio_filepath": "a.wav", "text": "one", "score": None, "count": None},
        {"audio_filepath": "b.wav", "text": None, "score": 0.5, "count": 3},
    ]
    assert caplog.text.count("'features'") == 1
    assert batch.dataset_name == "sounds"
    assert AudioToDocumentStage().process_batch([]) == []
    with pytest.raises(NotImplementedError):
        AudioToDocumentStage().process(entries[0])


def test_transcripts_go_to_writers_of_text(tmp_path: Path) -> None:
    stages = [AudioToDocumentStage(), JsonlWriter(str(tmp_path / "out"))]
    written = Pipeline("text", stages=stages).run(
        LocalExecutor(mode="inline"), initial_tasks=[task(text=str(n)) for n in range(130)]
    )
    lines = [line for each in written or [] for path in each.data for line in Path(path).read_text().splitlines()]
    assert (len(written or []), len(lines)) == (3, 130)
