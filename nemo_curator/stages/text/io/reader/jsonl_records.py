"""JSON Lines with Python's own parser, which says exactly what is wrong and where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.text.io.reader.jsonl_arrow import iter_lines

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BadLineError", "read_frame"]

_EXCERPT = 60
_KINDS = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


_decode = json.JSONDecoder().decode
_surrogate_in = re.compile(rb"\\u[dD][89a-fA-F]").search


class _NotAnObject(ValueError):
    pass


class BadLineError(ValueError):
    """A line is not a JSON object in UTF-8; the message says which line and why."""


def read_frame(
    content: bytes, fields: Sequence[str] | None = None, pass_over: Callable[[BadLineError], None] | None = None
) -> pd.DataFrame:
    """Return the rows, with only the columns of `fields` if all of them are there. A missing key is a null.

    Args:
        content: JSON Lines in UTF-8.
        fields: Columns that will be kept.
        pass_over: Told about every line that is not an object, which is then left out.

    Raises:
        BadLineError: A line is not an object, and nobody is to be told.
    """
    import pandas as pd

    records = list(_records(content, pass_over))
    columns = list(dict.fromkeys(chain.from_iterable(records)))
    if fields and set(fields) <= set(columns):
        columns = list(fields)
    return pd.DataFrame({name: [record.get(name) for record in records] for name in columns}, index=range(len(records)))


def _records(content: bytes, pass_over: Callable[[BadLineError], None] | None) -> Iterator[dict[str, Any]]:
    for number, offset, line in iter_lines(content):
        try:
            yield _object(number, offset, line, is_last=offset + len(line) == len(content))
        except BadLineError as error:
            if pass_over is None:
                raise
            pass_over(error)


def _object(number: int, offset: int, line: bytes, *, is_last: bool) -> dict[str, Any]:
    try:
        return _record(line, "utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"has the byte {line[error.start]:#04x} at position {error.start + 1}, which is not UTF-8"
        raise _bad_line(number, offset, line, reason) from error
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}"
        if is_last:
            reason += "; the file ends inside this line, so it was probably cut off while it was written"
        raise _bad_line(number, offset, line, reason) from error
    except UnicodeEncodeError as error:
        reason = "has half of a surrogate pair (\\ud800 to \\udfff), which is not text"
        raise _bad_line(number, offset, line, reason) from error
    except RecursionError as error:
        raise _bad_line(number, offset, line, "is nested too deeply") from error
    except _NotAnObject as error:
        raise _bad_line(number, offset, line, f"is {error}, but every line must be an object") from error


def _record(line: bytes, encoding: str) -> dict[str, Any]:
    record = _decode(line.decode(encoding))
    if not isinstance(record, dict):
        raise _NotAnObject(_KINDS[type(record)])
    if _surrogate_in(line):
        json.dumps(record, ensure_ascii=False).encode()
    return record


def _bad_line(number: int, offset: int, line: bytes, reason: str) -> BadLineError:
    excerpt = line[:_EXCERPT].decode(errors="replace") + ("..." if len(line) > _EXCERPT else "")
    return BadLineError(f"line {number} (byte {offset}) {reason}. It starts with: {excerpt}")
