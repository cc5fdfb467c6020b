"""From the bytes of a page or a plain text to characters, when nobody has said in which encoding they are."""

from __future__ import annotations

import codecs

__all__ = ["decode"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(content: bytes, *, html: bool, errors: str = "strict") -> str:
    """Return the characters. What decides, in order: a byte order mark, UTF-8 that is valid, what a page declares, a guess.

    Valid UTF-8 beats a declaration: other encodings are hardly ever valid UTF-8 by chance, while pages that declare another one and are in
    UTF-8 are common.

    Args:
        content: The bytes.
        html: Believe ``<meta charset>`` before guessing.
        errors: As of `bytes.decode`, for what is not in the encoding that was found.

    Raises:
        UnicodeDecodeError: It is not in that encoding, with ``errors="strict"``.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, errors)
    # Zero bytes and escapes are valid in UTF-8, but mean UTF-16 and ISO 2022.
    if b"\0" not in content and b"\x1b" not in content:
        try:
            return content.decode()
        except UnicodeDecodeError:
            pass
    from resiliparse.parse.encoding import detect_encoding

    return content.decode(detect_encoding(content, from_html_meta=html) or "utf-8", errors)
