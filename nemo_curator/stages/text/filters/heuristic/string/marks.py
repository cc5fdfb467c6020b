"""The marks and phrases that the rules look for. Filters and modifiers share them."""

from __future__ import annotations

import re

__all__ = [
    "BULLETS",
    "COMMON_ENGLISH_WORDS",
    "ELLIPSIS_MARKS",
    "END_MARKS",
    "PLACEHOLDER",
    "POLICY_PHRASES",
    "URL_PATTERN",
    "holds_policy_phrase",
]

BULLETS = ("•", "‣", "\u2043", "●", "○", "◦", "■", "□", "▪", "▫", "▶", "◀")
"""Glyphs that start an item of a list."""

ELLIPSIS_MARKS = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")
"""Ends of text that was cut off."""

END_MARKS = (".", "?", "!", '"', "'")
"""Ends of a complete sentence."""

COMMON_ENGLISH_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
"""The stop words of Gopher's English rule."""

PLACEHOLDER = "lorem ipsum"
"""Start of the text that designers fill pages with."""

POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "by continuing to browse this site, you agree to our cookies",
    "we and our partners store information on your device",
    "this website stores cookies on your computer",
    "accept all cookies to continue",
)
"""Phrases of notices that stand on every page of a site, in lower case."""

URL_PATTERN = re.compile(r"https?://(?:[A-Za-z0-9$\-_@.&+/:=?#~!*(),]++|%[0-9A-Fa-f]{2})+")
"""A scheme and the characters that may follow it."""


def holds_policy_phrase(text: str) -> bool:
    """Say whether one of `POLICY_PHRASES` occurs, in any case."""
    lower = text.lower()
    return any(phrase in lower for phrase in POLICY_PHRASES)  # several times faster than one pattern of alternatives
