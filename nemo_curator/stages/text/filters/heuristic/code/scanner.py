"""Where the comments of a program are, told by its language's marks: no grammar, one pass, linear in the length of any text."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings

__all__ = ["LANGUAGES", "comment_characters", "python_comment_characters"]

# The closing quote is optional: a string that is not closed ends with its line, and nothing is searched twice for it.
_DOUBLE = r'"(?:[^"\\\n]|\\.)*+"?'
_SINGLE = r"'(?:[^'\\\n]|\\.)*+'?"
_BACKTICK = r"`[^`]*+`?"
_SLASHES = r"//[^\n]*+|/\*.*?\*/"


def _pattern(strings: tuple[str, ...], comments: str, opening: str = r"(?!)") -> re.Pattern[str]:
    """Return what finds strings, comments, and the beginning of a comment that has no end."""
    skipped = "|".join(strings) or r"(?!)"
    return re.compile(rf"(?P<string>{skipped})|(?P<comment>{comments})|(?P<open>{opening})", re.DOTALL | re.MULTILINE)


_C = _pattern((_DOUBLE, _SINGLE), _SLASHES, r"/\*")
_SCRIPT = _pattern((_DOUBLE, _SINGLE, _BACKTICK), _SLASHES, r"/\*")
_GO = _pattern((_DOUBLE, _BACKTICK, r"'(?:[^'\\\n]|\\.)++'"), _SLASHES, r"/\*")
_RUST = _pattern((_DOUBLE,), _SLASHES, r"/\*")  # an apostrophe begins a lifetime more often than a character
_SHELL = _pattern((_DOUBLE, r"'[^']*+'?"), r"(?<![^\s;|&(])#[^\n]*+")
_RUBY = _pattern((_DOUBLE, _SINGLE), r"#[^\n]*+|^=begin\b.*?^=end\b[^\n]*+", r"^=begin\b")
_SQL = _pattern((_SINGLE, _DOUBLE), r"--[^\n]*+|/\*.*?\*/", r"/\*")
_MARKUP = _pattern((), r"<!--.*?-->", r"<!--")

LANGUAGES: dict[str, re.Pattern[str] | None] = {
    "application/javascript": _SCRIPT,
    "application/typescript": _SCRIPT,
    "application/sql": _SQL,
    "application/xml": _MARKUP,
    "text/css": _C,
    "text/html": _MARKUP,
    "text/javascript": _SCRIPT,
    "text/x-c": _C,
    "text/x-c++": _C,
    "text/x-csharp": _C,
    "text/x-go": _GO,
    "text/x-java": _C,
    "text/x-java-source": _C,
    "text/x-javascript": _SCRIPT,
    "text/x-python": None,
    "text/x-python-script": None,
    "text/x-ruby": _RUBY,
    "text/x-rust": _RUST,
    "text/x-shellscript": _SHELL,
    "text/x-sql": _SQL,
    "text/xml": _MARKUP,
}
"""MIME types of languages, with what finds comments in them; `None`: Python's own tokenizer does."""


def comment_characters(source: str, language: str) -> int | None:
    """Return the characters in comments, their marks included; `None` if a comment is not closed or Python does not parse.

    Args:
        source: A program.
        language: One of `LANGUAGES`.
    """
    pattern = LANGUAGES[language]
    if pattern is None:
        return python_comment_characters(source)
    total = 0
    for match in pattern.finditer(source):
        if match.lastgroup == "open":
            return None
        if match.lastgroup == "comment":
            total += match.end() - match.start()
    return total


def python_comment_characters(source: str) -> int | None:
    """Return the characters in comments and in strings that stand alone, such as docstrings; `None` if it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the program's own escape sequences and comparisons
            ast.parse(source)
        return _alone(source)
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError):
        return None


def _alone(source: str) -> int:
    total, at_start = 0, True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and at_start):
            total += len(token.string)
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            at_start = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return total
