"""Records of large XML files that others made, one by one: no tree in memory, no entities that grow, nothing fetched."""

from __future__ import annotations

from collections.abc import Generator
from typing import IO
from xml.parsers import expat

from nemo_curator.errors import DataError
from nemo_curator.utils.byte_sizes import format_bytes

__all__ = ["iter_xml_records"]

_CHUNK = 1 << 16


def iter_xml_records(
    stream: IO[bytes], tag: str, *, where: str, most_chars: int = 1 << 27
) -> Generator[dict[str, str]]:
    """Yield every element of a name as a dictionary: the text of each element within, by its path.

    Of ``<page><title>A</title><revision><text>B</text></revision></page>`` that is ``{"title": "A", "revision/text": "B",
    ...}``. An element that is empty is there with an empty text; of several with the same path the last one counts.

    Args:
        stream: The XML.
        tag: Name of the elements that are records.
        where: What the XML is, for messages.
        most_chars: The most text that one record may have.

    Raises:
        DataError: It is no XML, it ends too early, it declares entities, or a record is too large.
    """
    reader = _Reader(tag, where, most_chars)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = reader.entity
    try:
        while chunk := stream.read(_CHUNK):
            parser.Parse(chunk, False)
            yield from reader.take()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        message = f"{where} is not XML, or damaged: {error}. Download it again"
        raise DataError(message) from error
    yield from reader.take()


class _Reader:
    """What the parser calls."""

    def __init__(self, tag: str, where: str, most_chars: int) -> None:
        self._tag, self._where, self._most = tag, where, most_chars
        self._path: list[str] | None = None
        self._fields: dict[str, list[str]] = {}
        self._chars = 0
        self._done: list[dict[str, str]] = []

    def take(self) -> list[dict[str, str]]:
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._path is None:
            if name == self._tag:
                self._path, self._fields, self._chars = [], {}, 0
            return
        self._path.append(name)
        self._fields["/".join(self._path)] = []

    def end(self, name: str) -> None:
        if self._path is None:
            return
        if self._path:
            self._path.pop()
            return
        self._done.append({path: "".join(parts) for path, parts in self._fields.items()})
        self._path = None

    def text(self, data: str) -> None:
        if not self._path:
            return
        self._chars += len(data)
        if self._chars > self._most:
            message = (
                f"{self._where} has a <{self._tag}> of more than {format_bytes(self._most)}, the most that is accepted"
            )
            raise DataError(message)
        self._fields["/".join(self._path)].append(data)

    def entity(self, name: str, *_: object) -> None:
        message = f"{self._where} declares the entity {name!r}; files that do are not read"
        raise DataError(message)
