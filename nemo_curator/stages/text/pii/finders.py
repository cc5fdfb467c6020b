"""`PatternFinder`: e-mail addresses, telephone numbers, IP addresses, payment cards and bank accounts, by pattern and check digit."""

from __future__ import annotations

import ipaddress
import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from nemo_curator.errors import OptionError
from nemo_curator.stages.text.models.base import ModelHandle

__all__ = ["PATTERN_KINDS", "Finder", "Finding", "PatternFinder", "without_overlaps"]


class Finding(NamedTuple):
    """A stretch of a text that is personal data: ``text[start:end]``."""

    start: int
    end: int
    kind: str


class Finder(ModelHandle):
    """Finds personal data in texts. Loaded once per worker, like a model."""

    kinds: list[str]
    """Every kind that it may find, in capitals."""

    @abstractmethod
    def find(self, text: str) -> list[Finding]:
        """Return what is found, in any order, overlapping or not."""


def _luhn(found: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B): from the right, every second digit counts twice, less 9 above 9."""
    digits = [int(character) for character in reversed(found) if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    # Ones that are all the same digit pass where nobody means a card: rows of zeros.
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


# Lengths of IBANs by country, from the IBAN registry (ISO 13616).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def _iban(found: str) -> bool:
    """The check of ISO 7064, MOD 97-10: the first four characters go last, letters become 10 to 35, the remainder by 97 is 1."""
    packed = found.replace(" ", "").replace("-", "").upper()
    return int("".join(str(int(character, 36)) for character in packed[4:] + packed[:4])) % 97 == 1


_IBAN_FORMS = "|".join(rf"{country}\d\d(?:[ -]?[A-Z0-9]){{{length - 4}}}" for country, length in _IBAN_LENGTHS.items())


def _ip(found: str) -> bool:
    """An address, with a digit in it: ``a::b`` is one by the letter, but most are names in C++."""
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return any(map(str.isdigit, found))


def _email(found: str) -> bool:
    """No picture for dense screens, such as ``icon@2x.png``, and no version of a file: none of these endings is a top-level domain."""
    return found.rpartition(".")[2].lower() not in _FILE_ENDINGS


_FILE_ENDINGS = {"bmp", "css", "gif", "htm", "html", "ico", "jpeg", "jpg", "js", "json", "png", "svg", "tiff", "webp"}


def _phone(found: str) -> bool:
    """At most the 15 digits of ITU-T E.164. Without ``+`` or a bracket it needs two separators, or any number would do."""
    digits = sum(character.isdigit() for character in found)
    marked = found[0] in "+(" or len(re.findall(r"[ .\-/]+", found)) >= 2
    return 8 <= digits <= 15 and marked and not _DATE.fullmatch(found)


_DATE = re.compile(r"(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4})(?:[ T]\d{1,2})?", re.ASCII)

# Every quantifier is bounded, and no two neighbours can match the same characters, so that no text takes quadratic time.
# ASCII: a digit of another script is no digit of a card.
_PATTERNS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "EMAIL": (
        r"(?<![\w.+%-])[\w+%-]{1,64}(?:\.[\w+%-]{1,64}){0,8}@(?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,8}[a-z]{2,24}(?![\w-])",
        _email,
    ),
    "IBAN": (rf"(?<![A-Z0-9])(?:{_IBAN_FORMS})(?![A-Z0-9])", _iban),
    "CREDIT_CARD": (r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])", _luhn),
    "IPV6": (r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,8}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{1,4})?(?![\w:]|\.\d)", _ip),
    "IPV4": (r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", _ip),
    "PHONE": (
        r"(?<![\w.])(?:\+\d{1,3}[ .\-/]?)?(?:\(\d{1,5}\)[ .\-/]?)?\d{1,5}(?:[ .\-/]?\d{2,5}){1,6}(?!\w|\.\d)",
        _phone,
    ),
}

PATTERN_KINDS = tuple(_PATTERNS)
"""What `PatternFinder` finds. Where two overlap, the one that begins first or, together, the earlier in this list is taken."""


class PatternFinder(Finder):
    """Finds what has a form: ``EMAIL, IBAN, CREDIT_CARD, IPV6, IPV4, PHONE``.

    Cards must pass the check of Luhn, accounts that of ISO 7064 and the length of their country, IP addresses must be such. Telephone
    numbers have no check digit: they are taken where they begin with ``+`` or hold brackets, or two separators, and are no dates. Names
    and postal addresses have no form; see `PresidioFinder`.

    Args:
        kinds: What to look for; everything by default.
    """

    def __init__(self, kinds: Collection[str] | None = None) -> None:
        self.kinds = check_kinds(kinds, PATTERN_KINDS)

    def _load(self) -> Any:
        flags = re.ASCII | re.IGNORECASE
        return [(kind, re.compile(_PATTERNS[kind][0], flags), _PATTERNS[kind][1]) for kind in self.kinds]

    def find(self, text: str) -> list[Finding]:
        """Return what has the form, and passes the check, of one of the kinds."""
        return [finding for kind, pattern, check in self.model for finding in _matches(kind, pattern, check, text)]


def _matches(kind: str, pattern: re.Pattern[str], check: Callable[[str], bool], text: str) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        if check(match[0]):
            yield Finding(match.start(), match.end(), kind)


def check_kinds(kinds: Collection[str] | None, known: Collection[str]) -> list[str]:
    """Return the kinds in the order in which they are known; all when none are given.

    Raises:
        OptionError: There is no such kind.
    """
    if kinds is None:
        return list(known)
    if isinstance(kinds, str):
        message = f"kinds is a list, got the string {kinds!r}; write [{kinds!r}]"
        raise OptionError(message)
    if unknown := sorted(set(kinds) - set(known)):
        message = f"there is no kind of personal data {', '.join(map(repr, unknown))}; there are: {', '.join(known)}"
        raise OptionError(message)
    return [kind for kind in known if kind in kinds]


def without_overlaps(findings: list[Finding], order: list[str]) -> list[Finding]:
    """Return the findings in order, none of which overlaps another: the earlier start wins, then the longer, then the earlier in `order`."""
    kept: list[Finding] = []
    ranks = {kind: rank for rank, kind in enumerate(order)}
    for finding in sorted(findings, key=lambda each: (each.start, -each.end, ranks[each.kind])):
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
    return kept
