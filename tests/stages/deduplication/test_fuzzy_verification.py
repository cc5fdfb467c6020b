"""Verification: what is removed is as similar to something that stays as was asked for, counted out by sets of n-grams."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from dedup_inputs import INLINE, column, contents, local, read_folder, write_lines
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import OptionError
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow, signatures
from nemo_curator.stages.deduplication.fuzzy.signatures import MinHasher
from nemo_curator.stages.deduplication.fuzzy.verification import VerifyGroupsStage, jaccard
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR

ID = CURATOR_DEDUP_ID_STR
NGRAMS = 20
# So few rows in a band that nearly everything meets.
GREEDY: dict[str, Any] = {"char_ngrams": NGRAMS, "num_bands": 30, "minhashes_per_band": 1, "bands_per_iteration": 30}


def _chains() -> list[str | None]:
    """Return texts of which each shares a good part with the next, and little with the one after that."""
    chance = random.Random(8)
    words = [f"word{at}" for at in range(5000)]
    texts: list[str | None] = []
    for _ in range(6):
        stream = chance.choices(words, k=120)
        texts += [" ".join(stream[at : at + 60]) for at in range(0, 61, 15)]
        texts.append(" ".join(stream[:60]) + " end")
    return [*texts, None, "", "", "short", "short"]


def _similar(first: str, second: str) -> float:
    one, other = ({text[at : at + NGRAMS] for at in range(max(1, len(text) - NGRAMS + 1))} for text in (first, second))
    return len(one & other) / len(one | other)


def _oracle(texts: list[str | None], groups: dict[int, int], threshold: float) -> dict[int, tuple[int, float]]:
    found: dict[int, tuple[int, float]] = {}
    stays: dict[int, list[int]] = {}
    for at, group in sorted(groups.items()):
        for other in stays.setdefault(group, []):
            similar = _similar(str(texts[at]), str(texts[other]))
            if similar >= threshold:
                found[at] = (other, similar)
                break
        else:
            stays[group].append(at)
    return found


def _run(tmp_path: Path, executor: Any, **options: Any) -> Any:
    cache, output, folder = (str(tmp_path / name) for name in ("cache", "out", "in"))
    settings = {"input_filetype": "jsonl", "input_blocksize": None, **GREEDY, **options}
    return FuzzyDeduplicationWorkflow(cache, output, folder, **settings).run(executor=executor)


def _found(tmp_path: Path) -> dict[int, tuple[int, float]]:
    table = read_folder(tmp_path / "out/FuzzyDuplicateOf")
    if not table.num_rows:
        return {}
    columns = [table[name].to_pylist() for name in (ID, "_duplicate_of", "_jaccard")]
    return {at: (other, similar) for at, other, similar in zip(*columns, strict=True)}


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.9, 1.0])
def test_what_is_removed_is_as_similar_as_was_asked_for(threshold: float, tmp_path: Path) -> None:
    texts = _chains()
    write_lines(tmp_path / "in", [{"text": text} for text in texts], 3)
    result = _run(tmp_path, local(INLINE), verify_jaccard=threshold, perform_removal=True)
    table = read_folder(tmp_path / "cache/ConnectedComponentsStage")
    groups = dict(zip(table[ID].to_pylist(), table["_duplicate_group_id"].to_pylist(), strict=True))
    wanted = _oracle(texts, groups, threshold)
    found = _found(tmp_path)
    assert found == {at: (other, pytest.approx(similar)) for at, (other, similar) in wanted.items()}
    assert column(tmp_path / "out/FuzzyDuplicateIds", ID) == sorted(wanted)
    assert result.get_metadata("num_duplicates") == len(wanted)
    # Chains are one group each, and only what is near goes.
    assert len(groups) - len(set(groups.values())) > len(wanted) or threshold < 0.5
    assert {at: other for at, (other, _) in found.items()}.items() >= {38: 37, 40: 39}.items()


@pytest.mark.parametrize("mode", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_two_workers_find_the_same(mode: str, tmp_path: Path) -> None:
    for name, options in (("a", INLINE), ("b", {"mode": mode, "num_workers": 2})):
        write_lines(tmp_path / name / "in", [{"text": text} for text in _chains()], 3)
        _run(tmp_path / name, local(options), verify_jaccard=0.6)
    assert contents(tmp_path / "a/out") == contents(tmp_path / "b/out")


def test_nothing_similar(tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": text} for text in ("a", "b", None)], 1)
    assert _run(tmp_path, local(INLINE), verify_jaccard=0.5).get_metadata("num_duplicates") == 0
    assert _found(tmp_path) == {}


def test_case_and_space_do_not_count_when_texts_are_normalized(tmp_path: Path) -> None:
    text = " ".join(f"Word{at}" for at in range(50))
    write_lines(tmp_path / "in", [{"text": text}, {"text": text.upper().replace(" ", "\n ")}], 1)
    _run(tmp_path, local(INLINE), verify_jaccard=1.0, normalize_text=True)
    assert _found(tmp_path) == {1: (0, 1.0)}


@given(st.lists(st.text(st.sampled_from("ab é\u65e5"), max_size=40), max_size=6), st.integers(1, 8))
def test_shingles_are_the_sets_of_ngrams(texts: list[str], size: int) -> None:
    found = MinHasher(1, size, 0, wide=True).shingles(pa.array(texts, pa.large_string()))
    sets = [{text[at : at + size] for at in range(max(1, len(text) - size + 1))} for text in texts]
    assert [len(one) for one in found] == [len(one) for one in sets]
    for one, those in zip(found, sets, strict=True):
        for other, them in zip(found, sets, strict=True):
            assert jaccard(one, other) == len(those & them) / len(those | them)


def test_shingles_of_a_text_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(random.Random(1).choices("abcdefg é", k=3000))
    whole = MinHasher(1, 10, 0, wide=True).shingles(pa.array([text, "x"], pa.large_string()))
    monkeypatch.setattr(signatures, "_PIECE", 100)
    pieces = MinHasher(1, 10, 0, wide=True).shingles(pa.array([text, "x"], pa.large_string()))
    assert all(np.array_equal(one, other) for one, other in zip(whole, pieces, strict=True))


@pytest.mark.parametrize("threshold", [0.0, 1.1, -1.0])
def test_thresholds_that_are_none(threshold: float) -> None:
    with pytest.raises(OptionError, match="verify_jaccard must be above 0 and at most 1"):
        FuzzyDeduplicationWorkflow("cache", "out", "in", verify_jaccard=threshold)
    with pytest.raises(OptionError, match="must be above 0 and at most 1"):
        VerifyGroupsStage("a", "b", "c", threshold)
