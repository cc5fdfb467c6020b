from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.stages.text.recipes import (
    ApplyRules,
    C4Lines,
    C4Page,
    C4Recipe,
    C4Sentences,
    FineWebQuality,
    FineWebRecipe,
    GopherQuality,
    GopherRecipe,
    GopherRepetition,
    RuleSet,
    TextView,
    c4_rules,
    fineweb_rules,
    gopher_rules,
)
from nemo_curator.stages.text.recipes.c4 import count_sentences
from nemo_curator.stages.text.utils.ngrams import repeated_ngram_characters, top_ngram_characters
from nemo_curator.tasks import DocumentBatch


def words(count: int, start: int = 0) -> str:
    """Return different words of five characters."""
    return " ".join(f"w{number:04}" for number in range(start, start + count))


def lines(*texts: str) -> str:
    return "\n".join(texts)


STOP = "the of "
TALE = STOP + words(98)

JUDGED: list[tuple[RuleSet, str, str]] = [
    (GopherQuality(), STOP + words(48), ""),
    (GopherQuality(), STOP + words(47), "gopher_words_few"),
    (GopherQuality(max_words=100), TALE, ""),
    (GopherQuality(max_words=99), TALE, "gopher_words_many"),
    (GopherQuality(), "ab " * 100, "gopher_word_length_low"),
    (GopherQuality(), "abcdefghijk " * 100, "gopher_word_length_high"),
    (GopherQuality(), "abc " * 90 + "#" * 10 + " the of " + words(9), ""),  # 10 of 102 words
    (GopherQuality(), "abc " * 90 + "#" * 11 + " the of " + words(9), "gopher_hashes"),
    (GopherQuality(), "abcd… " * 11 + STOP + words(88), "gopher_ellipses"),
    (GopherQuality(), lines(*["• " + words(9)] * 9, TALE), ""),  # 9 of 10 lines
    (GopherQuality(), lines(*["- " + words(9)] * 19, TALE), "gopher_bullet_lines"),
    (GopherQuality(), lines(*[words(20) + "..."] * 3, *[TALE] * 7), ""),  # 3 of 10
    (GopherQuality(), lines(*[words(20) + "..."] * 4, *[TALE] * 6), "gopher_ellipsis_lines"),
    (GopherQuality(), TALE + " 1234" * 25, ""),  # 100 of 125
    (GopherQuality(), TALE + " 1234" * 26, "gopher_letters"),
    (GopherQuality(), "the the " + words(100), "gopher_stop_words"),  # one word, however often
    (GopherQuality(), "The Of " + words(100), "gopher_stop_words"),
    (GopherQuality(min_stop_words=0), words(100), ""),
    (GopherRepetition(), TALE, ""),
    (GopherRepetition(), lines(*[words(20, at * 20) for at in range(7)], *["x"] * 4), ""),  # 3 of 11 lines
    (GopherRepetition(), lines(*[words(20, at * 20) for at in range(7)], *["x"] * 5), "gopher_repeated_lines"),
    (
        GopherRepetition(),
        "\n\n".join([lines(*[words(9, at * 99 + 9 * line) for line in range(9)]) for at in range(2)] + ["x\ny"] * 2),
        "",
    ),
    (
        GopherRepetition(max_repeated_lines=1),
        "\n\n".join([words(20, at * 20) for at in range(2)] + ["x"] * 3),
        "gopher_repeated_paragraphs",
    ),
    (
        GopherRepetition(),
        lines(*[words(5, at * 5) for at in range(6)], words(10, 900), words(10, 900)),
        "gopher_repeated_line_characters",
    ),
    (
        GopherRepetition(max_repeated_line_characters=1),
        "\n\n".join([words(9), words(9, 50), words(9, 70), words(9)]),
        "gopher_repeated_paragraph_characters",
    ),
    (GopherRepetition(), " ".join(f"again and w{n:03}" for n in range(20)), "gopher_top_2_gram"),
    (GopherRepetition(), " ".join(f"a bit of {words(4, n * 4)}" for n in range(20)), "gopher_top_3_gram"),
    (GopherRepetition(max_top_ngrams={}), " ".join([words(10), words(80, 50), words(10)]), ""),  # 59 of 599
    (GopherRepetition(max_top_ngrams={}), " ".join([words(10), words(48, 50), words(10)]), "gopher_repeated_6_grams"),
    (GopherRepetition(max_top_ngrams={}), " ".join([words(10), words(20, 50), words(10)]), "gopher_repeated_5_grams"),
    (C4Page(), "some Lorem Ipsum dolor", "c4_placeholder"),
    (C4Page(), "some { code", "c4_curly_bracket"),
    (C4Page(curly_brackets=False), "some { code", ""),
    (C4Page(bad_words=("bad", "very bad thing")), "It is BAD.", "c4_bad_words"),
    (C4Page(bad_words=("bad",)), "A badge of Baden", ""),
    (C4Sentences(), "One. Two! Three?", ""),
    (C4Sentences(), "One. Two!", "c4_sentences_few"),
    (C4Sentences(), "", "c4_sentences_few"),
    (FineWebQuality(), lines(*[words(9)] * 2, "", "  "), "fineweb_line_ends"),
    (FineWebQuality(), " \n", "fineweb_empty"),
    (
        FineWebQuality(),
        lines(*[words(6, at * 6) for at in range(22)], *[words(6, 200 + at) + "." for at in range(3)]),
        "fineweb_line_ends",
    ),  # 3 of 25 is the limit itself
    (
        FineWebQuality(),
        lines(*[words(6, at * 6) for at in range(21)], *[words(6, 200 + at) + "." for at in range(3)]),
        "",
    ),
    (
        FineWebQuality(),
        lines(*[f"{words(4, at * 4)}xxxxx." for at in range(33)], *["a b c d e f."] * 67),
        "fineweb_short_lines",
    ),  # 67 of 100 is the limit itself
    (
        FineWebQuality(max_repeated_characters=1),
        lines(*[f"{words(5, at * 5)}." for at in range(34)], *["a b c d e f."] * 66),
        "",
    ),
    (
        FineWebQuality(),
        lines(*[f"{words(6, at * 6)}." for at in range(9)], f"{words(6)}."),
        "fineweb_repeated_characters",
    ),  # 1 of 10 is the limit itself
    (FineWebQuality(), lines(*[f"{words(6, at * 6)}." for at in range(10)], f"{words(6)}."), ""),
    (FineWebQuality(), lines(*[f"{'a' * 20}{at:02} {'b' * 20} c." for at in range(9)]), "fineweb_lists"),
    (FineWebQuality(), "他们赋有理性和良心他们赋有理性和良心他们赋有理性和良心他们赋有 理性 和良 心。", ""),
]


@pytest.mark.parametrize(("rules", "text", "reason"), JUDGED)
def test_the_first_broken_rule_is_named(rules: RuleSet, text: str, reason: str) -> None:
    assert rules.score_document(text) == reason
    assert rules.keep_document(reason) is (reason == "")


@pytest.mark.parametrize(
    ("cleaner", "before", "after"),
    [
        (C4Lines(), "  This line has five words. ", "This line has five words."),
        (C4Lines(), "This has just four.", ""),
        (C4Lines(min_words=3), "Three words are.\nTwo words.", "Three words are."),
        (C4Lines(), 'He said so to "everybody."\nA line without its end', 'He said so to "everybody."'),
        (C4Lines(), "This has a claim[12] that needs one.[citation needed]", "This has a claim that needs one."),
        (C4Lines(citations=False), "This has a claim[12] to keep.", "This has a claim[12] to keep."),
        (C4Lines(), "Please turn on JavaScript to see this page.", ""),
        (C4Lines(), "By this you accept our Cookie Policy.\nThat is all that we say.", "That is all that we say."),
        (C4Lines(terminal_marks=False), "A line without its end\n\n", "A line without its end"),
        (
            C4Lines(max_word_length=5),
            "These words are short ones.\nThose words are lengthier ones.",
            "These words are short ones.",
        ),
        (C4Lines(max_word_length=6), "These words are short ones.", "These words are short ones."),
        (C4Lines(), "And then it all went on...", "And then it all went on..."),
        (C4Lines(ellipses=False), "And then it all went on...\nAnd then it all went on.", "And then it all went on."),
        (C4Lines(), "", ""),
    ],
)
def test_lines_are_removed(cleaner: C4Lines, before: str, after: str) -> None:
    assert cleaner.clean(before) == after


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two", 2),
        ('He said: "Go!" She went.', 2),
        ("It costs 3.50 today, e.g. here.", 1),
        ("Wait... what?", 1),
        ("他来了。他走了。", 2),
        ("हाँ। नहीं।", 2),
        ("", 0),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert count_sentences([text] if text else []) == count


def test_ngrams_by_hand() -> None:
    # "a b" occurs three times: 3 * 3 characters.
    assert top_ngram_characters(list("ababcab"), 2) == 9
    assert top_ngram_characters(list("abcd"), 2) == 0
    assert top_ngram_characters(["aa", "b", "aa", "b"], 2, gap=0) == 6
    # "a b" at words 2-3 and 5-6, "b a"... only what came before: "a b" twice, without the gap between.
    assert repeated_ngram_characters(list("ababcab"), 2) == 6
    assert repeated_ngram_characters(list("aaaa"), 2) == 5  # words 1 to 3, in one run
    assert repeated_ngram_characters(["a"], 2) == 0


@given(st.text(alphabet="abc", max_size=60), st.integers(1, 6))
def test_ngrams_are_what_a_plain_count_finds(text: str, n: int) -> None:
    grams = [text[at : at + n] for at in range(len(text) - n + 1)]
    most = max((grams.count(gram) for gram in grams), default=0)
    assert top_ngram_characters(text, n, gap=0) == (most * n if most > 1 else 0)
    covered = {at + inner for at, gram in enumerate(grams) if gram in grams[:at] for inner in range(n)}
    assert repeated_ngram_characters(text, n, gap=0) == len(covered)


def test_characters_of_longer_ngrams_are_among_those_of_shorter_ones() -> None:
    """What `GopherRepetition` relies on to stop early."""
    text = list("abcabcdabcdeabcdefbcdefaaaabc")
    shares = [repeated_ngram_characters(text, n) for n in range(2, 10)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0


PROSE = lines(
    "The house of my aunt was full of books that nobody had opened for years.",
    "Every summer we went there and read whatever fell from the shelves first.",
    "She never asked us to be quiet, and that was the best thing about it.",
    "At night the wind came with rain, so we stayed inside and played cards.",
    "In the morning there was bread with honey, and coffee for the grown-ups.",
)


@pytest.mark.parametrize("rules", [c4_rules(), gopher_rules(), fineweb_rules()])
def test_prose_passes_every_recipe_as_it_is(rules: Any) -> None:
    assert ApplyRules(rules).apply(PROSE) == ("", PROSE)


@pytest.mark.parametrize("as_table", [True, False])
def test_a_stage_drops_cleans_and_excludes(tmp_path: Path, as_table: bool) -> None:
    texts = [PROSE, "short", f"Menu\n{PROSE}", None, "{ code }"]
    columns: dict[str, Any] = {"id": list(range(5)), "text": texts}
    batch = DocumentBatch(dataset_name="d", data=pa.table(columns) if as_table else pd.DataFrame(columns))
    stage = ApplyRules(c4_rules(), exclusions=str(tmp_path))
    kept = stage.process(batch).to_pandas()
    assert kept[["id", "text"]].to_dict("list") == {"id": [0, 2], "text": [PROSE, PROSE]}
    assert stage._consume_drops() == {"c4_sentences_few": 2, "c4_curly_bracket": 1}
    (file,) = tmp_path.iterdir()
    excluded = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["id"], row["text"], row["drop_reason"]) for row in excluded] == [
        (1, "short", "c4_sentences_few"),
        (3, None, "c4_sentences_few"),
        (4, "{ code }", "c4_curly_bracket"),
    ]
    assert batch.to_pandas()["text"].tolist()[2] == texts[2]


def test_a_batch_that_stays_as_it_is_is_passed_on() -> None:
    batch = DocumentBatch(dataset_name="d", data=pa.table({"text": [PROSE]}))
    assert ApplyRules(fineweb_rules()).process(batch) is batch
    empty = DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array([], pa.string())}))
    assert ApplyRules(fineweb_rules()).process(empty).num_items == 0


def test_rule_sets_and_cleaners_are_filters_and_modifiers() -> None:
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": [f"Menu\n{PROSE}", "short"]}))
    stages = [Modify(C4Lines()), ScoreFilter([C4Sentences(), GopherQuality()])]
    assert [stage.name for stage in stages] == ["c4_lines", "score_filter_chain_of_c4_sentences_gopher_quality"]
    for stage in stages:
        batch = stage.process(batch)
    assert batch.to_pandas()["text"].tolist() == [PROSE]


def test_a_view_is_made_again_only_for_another_text() -> None:
    view = TextView("a b")
    assert view.of("a" + " b") is view
    assert view.of("c").words == ["c"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "got none"),
        ([len], "must be rule sets and cleaners"),
        ([GopherQuality(lang="en"), C4Lines(lang="de")], "different languages: de, en"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: Any, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        ApplyRules(steps)


@pytest.mark.parametrize(
    ("rules", "numbers"),
    [
        # Raffel et al. 2020 as in JMLR 21, section 2.2.
        (c4_rules(), {"min_words": 5, "min_sentences": 3, "terminal_marks": True, "max_word_length": None}),
        # The first version of that paper, and the published program of FineWeb.
        (fineweb_rules(), {"min_words": 3, "min_sentences": 5, "terminal_marks": False, "max_word_length": 1000}),
    ],
    ids=["C4", "FineWeb"],
)
def test_the_numbers_are_those_of_the_papers(rules: Any, numbers: dict[str, Any]) -> None:
    lines_rule, sentences_rule = (next(each for each in rules if type(each) is kind) for kind in (C4Lines, C4Sentences))
    found = {name: getattr(lines_rule, name) for name in numbers if name != "min_sentences"}
    assert {**found, "min_sentences": sentences_rule.min_sentences} == numbers


def test_other_languages_have_no_english_stop_words() -> None:
    text = words(100)
    assert ApplyRules(gopher_rules("de")).judge(text) == ""
    assert ApplyRules(gopher_rules("en-GB")).judge(text) == "gopher_stop_words"


@pytest.mark.parametrize("recipe", [C4Recipe, GopherRecipe, FineWebRecipe])
def test_a_recipe_is_a_language_and_rules(recipe: Any) -> None:
    names = [stage.name for stage in recipe().decompose()]
    assert names == ["lang_id", f"{recipe.name}_rules"]
    (rules,) = recipe([GopherQuality()], langid_model="").decompose()
    assert [type(step) for step in rules.steps] == [GopherQuality]


def test_a_recipe_runs(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    german = "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt."
    rows = [{"id": n, "text": text} for n, text in enumerate([PROSE, german, PROSE + "\nMenu\nHome", f"{PROSE} {{x}}"])]
    (source / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = FineWebRecipe(exclusions=str(tmp_path / "dropped"), language_field="language")
    pipeline = Pipeline("p", stages=[JsonlReader(str(source)), recipe, JsonlWriter(str(tmp_path / "out"))])
    pipeline.run(LocalExecutor(mode="inline"))
    report = pipeline.last_report
    assert report is not None
    assert report.stage("lang_id").items_dropped == {"lang_id_other": 1}
    assert report.stage("fineweb_rules").items_dropped == {"c4_curly_bracket": 1}
    dropped = [
        json.loads(line) for path in (tmp_path / "dropped").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert sorted((row["id"], row["drop_reason"]) for row in dropped) == [(1, "lang_id_other"), (3, "c4_curly_bracket")]
    kept = [json.loads(line) for path in (tmp_path / "out").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in kept] == [(0, PROSE), (2, PROSE)]


def test_words_of_a_language_without_spaces() -> None:
    pytest.importorskip("jieba")
    text = "他们赋有理性和良心，并应以兄弟关系的精神相对待。"  # noqa: RUF001
    assert C4Lines(lang="zh", terminal_marks=False).clean(text) == text
    assert C4Lines(terminal_marks=False).clean(text) == ""
    assert len(TextView.in_language(text, "zh").words) > 5
