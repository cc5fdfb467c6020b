"""Characters that sentences end in."""

from __future__ import annotations

__all__ = ["LINE_ENDS", "QUOTES", "SENTENCE_ENDS"]

SENTENCE_ENDS = (
    "!.?\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965"
    "\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8\u1aa9"
    "\u1aaa\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047\u2048\u2049\u2e2e"
    "\u2e3c\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d\uaa5e"
    "\uaa5f\uaaf0\uaaf1\uabeb\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61"
    "\u1b4e\u1b4f\u1b7d\u1b7e\u1b7f\u2024\u2cf9\u2cfa\u2cfb\u2e53\u2e54\u2e60\u2e61\ufe12\ufe15\ufe16"
)
"""Characters of the Unicode property Sentence_Terminal in the Basic Multilingual Plane: ends of sentences in every living script."""

QUOTES = "\"'\u201d\u2019"
"""Marks that close a quotation in English, straight and curved."""

LINE_ENDS = tuple(SENTENCE_ENDS + "\u2026")
"""What FineWeb's rule takes for the end of a line, ellipses included."""
