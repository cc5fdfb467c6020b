"""TeX without what is not text: preamble, comments, bibliography, macros."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["clean_tex", "find_macros"]

_FIRST_SECTION = re.compile(r"\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*[\[{]")
_BEGIN_DOCUMENT = re.compile(r"\\begin\s*\{document\}")
_TAIL = re.compile(
    r"\\appendix\b|\\begin\s*\{(?:references|REFERENCES|thebibliography|appendix|appendices)\}|\\bibliography\s*\{"
    r"|\\printbibliography\b|\\end\s*\{document\}"
)
_COMMENT_LINE = re.compile(r"^[ \t]*%.*\n?", re.MULTILINE)
# A percent sign begins a comment unless a backslash is before it, and that one is not itself escaped.
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*$", re.MULTILINE)
_NEW_COMMAND = re.compile(r"\\(?:re)?newcommand\*?\s*(?:\{\s*(\\[a-zA-Z]+)\s*\}|(\\[a-zA-Z]+))\s*(?=\{)")
_DEF = re.compile(r"\\def\s*(\\[a-zA-Z]+)\s*(?=\{)")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
# Macros stand in macros, but those that refer to themselves, or double themselves, shall not grow without end.
_PASSES = 5
_MOST_GROWTH = 4
_LONGEST_BODY = 2000


def clean_tex(files: Sequence[str]) -> str:
    """Return the running text of a paper, its files one after the other; nothing if there is none."""
    bare = [_COMMENT.sub(r"\1", _COMMENT_LINE.sub("", text.replace("\r\n", "\n"))) for text in files]
    macros: dict[str, str] = {}
    for text in bare:
        macros.update(find_macros(text))
    bodies = [_expand(_body(text), macros).strip() for text in bare]
    return "\n".join(body for body in bodies if body)


def find_macros(text: str) -> dict[str, str]:
    r"""Return the macros without arguments that a text defines with ``\newcommand`` or ``\def``, by name with the backslash."""
    found: dict[str, str] = {}
    for pattern in (_NEW_COMMAND, _DEF):
        for match in pattern.finditer(text):
            body = _braced(text, match.end())
            if body is not None and "#" not in body:
                found[match[1] or match[2]] = body
    return found


def _braced(text: str, start: int) -> str | None:
    """Return what is between the brace at `start` and the one that closes it; `None` if that is far away."""
    depth = 0
    at = start
    end = min(len(text), start + _LONGEST_BODY)
    while at < end:
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : at]
        at += 1
    return None


def _body(text: str) -> str:
    """Return a text from its first section to what comes after the last."""
    start = _FIRST_SECTION.search(text)
    if start is not None:
        text = text[start.start() :]
    elif (begin := _BEGIN_DOCUMENT.search(text)) is not None:
        text = text[begin.end() :]
    tail = _TAIL.search(text)
    return text if tail is None else text[: tail.start()]


def _expand(text: str, macros: Mapping[str, str]) -> str:
    for pattern in (_NEW_COMMAND, _DEF):
        text = _without_definitions(text, pattern)
    if not macros:
        return text
    most = max(len(text) * _MOST_GROWTH, 1 << 16)
    for _ in range(_PASSES):
        room = most - len(text)

        def replace(match: re.Match[str]) -> str:
            nonlocal room
            body = macros.get(match[0])
            if body is None or len(body) > room:
                return match[0]
            room -= len(body)
            return body

        expanded = _COMMAND.sub(replace, text)
        if expanded == text:
            break
        text = expanded
    return text


def _without_definitions(text: str, pattern: re.Pattern[str]) -> str:
    kept: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        body = _braced(text, match.end())
        if match.start() < at or body is None or "#" in body:
            continue
        kept.append(text[at : match.start()])
        at = match.end() + len(body) + 2
    return "".join([*kept, text[at:]])
