"""`UnicodeReformatter`: mends broken Unicode with ftfy, which is imported at the first text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError, did_you_mean, require
from nemo_curator.stages.text.modifiers.base import DocumentModifier

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

__all__ = ["UnicodeReformatter"]

_OPTIONS = (
    "unescape_html",
    "remove_terminal_escapes",
    "fix_encoding",
    "restore_byte_a0",
    "replace_lossy_sequences",
    "decode_inconsistent_utf8",
    "fix_c1_controls",
    "fix_latin_ligatures",
    "fix_character_width",
    "uncurl_quotes",
    "fix_line_breaks",
    "fix_surrogates",
    "remove_control_chars",
    "normalization",
    "max_decode_length",
    "explain",
)

# Of ASCII text no option of ftfy changes anything but HTML entities, control characters and carriage returns.
_BREAKABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f&]")

# What changes how a text looks, rather than mends what is broken, is left out unless it is asked for.
_OURS: dict[str, Any] = {
    "fix_latin_ligatures": False,
    "fix_character_width": False,
    "uncurl_quotes": False,
    "fix_line_breaks": False,
    "normalization": None,
}


class UnicodeReformatter(DocumentModifier):
    """Mends text that was decoded with the wrong encoding, and removes control characters.

    Args:
        config: All options at once, as ftfy has them.
        **options: Single options of ftfy, by name. Those not given are as in ftfy, but ligatures, character width, curly
            quotes and line breaks are left alone, and Unicode is not normalised.

    Raises:
        ValueError: Both a config and options, or an unknown option.
        MissingExtra: ftfy is not installed.
    """

    def __init__(self, config: TextFixerConfig | None = None, **options: Any) -> None:
        require("ftfy", extra="text", purpose="UnicodeReformatter")
        if config is not None and options:
            message = f"UnicodeReformatter takes either a config or options, got both: {', '.join(options)}"
            raise OptionError(message)
        for name in options:
            if name not in _OPTIONS:
                message = f"UnicodeReformatter has no option {name!r}.{did_you_mean(name, _OPTIONS)}"
                raise OptionError(message)
        self._config = config
        self._options = {**_OURS, **options}

    def modify_document(self, text: str) -> str:
        """Return the mended text."""
        # ftfy takes milliseconds for a page, and has nothing to do on most pages in English.
        if text.isascii() and _BREAKABLE.search(text) is None:
            return text
        import ftfy

        return ftfy.fix_text(text, self._config or ftfy.TextFixerConfig(**self._options))
