from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.errors import DataError, InputError
from nemo_curator.stages.text.filters import DocumentFilter, HistogramFilter, TokenCountFilter
from nemo_curator.stages.text.filters.heuristic.code import (
    AlphaFilter,
    GeneralCommentToCodeFilter,
    HTMLBoilerplateFilter,
    NumberOfLinesOfCodeFilter,
    PerExtensionFilter,
    PythonCommentToCodeFilter,
    TokenizerFertilityFilter,
    XMLHeaderFilter,
)

DATA = Path(__file__).parent / "data"
TABLE = str(DATA / "code_meta.csv")

SCORES: list[tuple[DocumentFilter, str, Any, bool]] = [
    (PythonCommentToCodeFilter(), "x = 1  # one\n", 5 / 13, True),
    (PythonCommentToCodeFilter(), 'def f():\n    """Say."""\n', 10 / 24, True),
    (PythonCommentToCodeFilter(), "x = '# no comment'\n", 0.0, False),
    (PythonCommentToCodeFilter(), "print('a', 'b')", 0.0, False),
    (PythonCommentToCodeFilter(), "# only\n", 6 / 7, False),
    (PythonCommentToCodeFilter(), "# a\nthis is no Python", 0.0, False),
    (PythonCommentToCodeFilter(), "x = '\\d'  # an escape that Python warns of\n", 32 / 43, True),
    (PythonCommentToCodeFilter(), "(" * 5000, 0.0, False),
    (PythonCommentToCodeFilter(), "", 0.0, False),
    (GeneralCommentToCodeFilter("text/x-c"), "int x; // one", 6 / 13, True),
    (GeneralCommentToCodeFilter("text/x-c++"), "/* a\nb */ int x;", 9 / 16, True),
    (GeneralCommentToCodeFilter("text/x-java"), 's = "// no"; c = \'"\'; // a', 4 / 26, True),
    (GeneralCommentToCodeFilter("text/x-c"), 'x = "\\"// no";', 0.0, False),
    (GeneralCommentToCodeFilter("text/x-c"), "x; /* open", 9999, False),
    (GeneralCommentToCodeFilter("application/javascript"), "x = `// ${no}`; // a", 4 / 20, True),
    (GeneralCommentToCodeFilter("text/x-go"), "x := '\"' // a", 4 / 13, True),
    (GeneralCommentToCodeFilter("text/x-rust"), "fn f<'a>() {} // a", 4 / 18, True),
    (GeneralCommentToCodeFilter("text/x-shellscript"), "echo $# a#b # c", 3 / 15, True),
    (GeneralCommentToCodeFilter("text/x-ruby"), "=begin\na\n=end\nx # b", 16 / 19, True),
    (GeneralCommentToCodeFilter("text/x-sql"), "SELECT '--'; -- a", 4 / 17, True),
    (GeneralCommentToCodeFilter("text/html"), "<p>a</p><!-- b -->", 10 / 18, True),
    (GeneralCommentToCodeFilter("text/xml"), "<!-- open", 9999, False),
    (GeneralCommentToCodeFilter("text/x-python"), "x = 1  # one\n", 5 / 13, True),
    (GeneralCommentToCodeFilter("text/x-python"), "no Python", 9999, False),
    (GeneralCommentToCodeFilter("text/x-c"), "", 9999, False),
    (NumberOfLinesOfCodeFilter(2, 3), "a\n\nb", 3, True),
    (NumberOfLinesOfCodeFilter(2, 3), "a", 1, False),
    (NumberOfLinesOfCodeFilter(2, 3), "\n\n\n", 4, False),
    (NumberOfLinesOfCodeFilter(), "", 0, False),
    (XMLHeaderFilter(), '<?xml version="1.0"?><a/>', 1, False),
    (XMLHeaderFilter(), "x" * 86 + "<?xml version=", 1, False),
    (XMLHeaderFilter(), "x" * 87 + "<?xml version=", 0, True),
    (XMLHeaderFilter(), "", 0, True),
    (AlphaFilter(), "ab12", 0.5, True),
    (AlphaFilter(), "a123", 0.25, True),
    (AlphaFilter(), "яж4567890", 2 / 9, False),
    (AlphaFilter(), "", 0.0, False),
    (HTMLBoilerplateFilter(), "<p>" + "a" * 100 + "</p>", 100 / 107, True),
    (HTMLBoilerplateFilter(), "<p>" + "a" * 99 + "</p>", 0.0, False),
    (HTMLBoilerplateFilter(0.2, 1), "<script>" + "a" * 100 + "</script><p>abcdef</p>", 6 / 130, False),
    (HTMLBoilerplateFilter(), "", 0.0, False),
    (PerExtensionFilter("Python", ".py", TABLE), "some words\nof text", 1, True),
    (PerExtensionFilter("python", "py", TABLE), "a" * 1001, 0, False),
    (PerExtensionFilter("python", "py", TABLE), "a" * 101, 0, False),  # the mean line
    (PerExtensionFilter("python", "py", TABLE), "a" * 101 + "\nb", 1, True),
    (PerExtensionFilter("python", "py", TABLE), "...1", 0, False),  # letters
    (PerExtensionFilter("python", "py", TABLE), "a....", 0, False),  # letters and digits
    (PerExtensionFilter("python", "py", TABLE), "", 0, False),
    (PerExtensionFilter("python", "bad", TABLE), "some words", 0, False),
    (PerExtensionFilter("python", "xyz", TABLE), "some words", 0, False),
    (PerExtensionFilter("python", "free", TABLE), "", 1, True),
    (PerExtensionFilter("C#", "cs", TABLE), "a.", 1, True),
    (HistogramFilter("xx", cache_dir=str(DATA)), "a red road", 1, True),
    (HistogramFilter("xx", cache_dir=str(DATA)), "eeeez", 1, True),  # just four of five
    (HistogramFilter("xx", cache_dir=str(DATA)), "eeez]", 0, False),
    (HistogramFilter("xx", cache_dir=str(DATA)), " ", 0, False),
]


@pytest.mark.parametrize(("rule", "text", "score", "kept"), SCORES)
def test_score_and_decision(rule: DocumentFilter, text: str, score: float, kept: bool) -> None:
    found = rule.score_document(text)
    assert found == pytest.approx(score)
    assert rule.keep_document(found) is kept


@pytest.mark.parametrize(
    ("rule", "score", "reason"),
    [
        (PythonCommentToCodeFilter(), 0.0, "python_comment_ratio_low"),
        (PythonCommentToCodeFilter(), 0.9, "python_comment_ratio_high"),
        (GeneralCommentToCodeFilter("text/x-c"), 9999.0, "comment_ratio_unknown"),
        (NumberOfLinesOfCodeFilter(), 1, "num_lines_low"),
        (NumberOfLinesOfCodeFilter(), 10**6, "num_lines_high"),
        (TokenCountFilter(object(), min_tokens=2, max_tokens=4), 1, "token_count_low"),
        (TokenCountFilter(object(), min_tokens=2, max_tokens=4), 5, "token_count_high"),
    ],
)
def test_reasons_name_the_side(rule: DocumentFilter, score: float, reason: str) -> None:
    assert not rule.keep_document(score)
    assert rule.drop_reason(score) == reason


def test_an_unknown_language_names_a_near_one() -> None:
    with pytest.raises(ValueError, match="Did you mean 'text/x-java'"):
        GeneralCommentToCodeFilter("text/x-jav")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, InputError, "there is no table"),
        ("language,extension\n", DataError, "has no column 'Include'"),
        ("python,py,yes,,,", DataError, "a cell that is not a number"),
        ("java,java,1,,,", ValueError, "has no row for language 'python'; it has: java"),
    ],
)
def test_a_table_that_is_of_no_use_is_refused(tmp_path: Path, content: str | None, error: Any, said: str) -> None:
    path = tmp_path / "table.csv"
    if content is not None:
        header = "" if content.startswith("language") else Path(TABLE).read_text().splitlines()[0] + "\n"
        path.write_text(header + content)
    with pytest.raises(error, match=said):
        PerExtensionFilter("python", "py", str(path))


def test_fertility_is_characters_per_token() -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    path = str(DATA / "tiny.model")
    rule = TokenizerFertilityFilter(path, min_char_to_token_ratio=1.5)
    text = "the files of the folder"
    tokens = sentencepiece.SentencePieceProcessor(model_file=path).encode(text)
    assert rule.score_document(text) == len(text) / len(tokens) > 1.5
    assert rule.keep_document(rule.score_document(text))
    assert rule.score_document("") == -1
    assert not rule.keep_document(-1)


def test_a_tokenizer_must_be_there() -> None:
    pytest.importorskip("sentencepiece")
    with pytest.raises(ValueError, match="needs path_to_tokenizer"):
        TokenizerFertilityFilter()
    with pytest.raises(InputError, match=r"SentencePiece model is not there: no file at missing\.model"):
        TokenizerFertilityFilter("missing.model").model_check_or_download()
    with pytest.raises(InputError, match="no histogram of characters"):
        HistogramFilter("yy", cache_dir=str(DATA))


@pytest.mark.parametrize("arguments", [{}, {"tokenizer": object(), "hf_model_name": "name"}])
def test_a_token_count_has_one_tokenizer(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either tokenizer or hf_model_name"):
        TokenCountFilter(**arguments)


def test_limits_of_tokens_are_kept() -> None:
    class Words:
        def encode(self, text: str, add_special_tokens: bool) -> list[str]:
            return text.split()

    rule = TokenCountFilter(Words(), min_tokens=1, max_tokens=2)
    assert [rule.keep_document(rule.score_document(text)) for text in ("", "a", "a b", "a b c")] == [
        False,
        True,
        True,
        False,
    ]
    assert TokenCountFilter(Words()).keep_document(10**9) is True
    assert not math.isfinite(TokenCountFilter(Words())._max)
