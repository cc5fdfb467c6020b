"""Which language a page is in, and the commonest words of that language."""

from __future__ import annotations

from functools import cache

from nemo_curator.errors import require
from nemo_curator.stages.text.filters.fasttext import default_langid_model
from nemo_curator.stages.text.models.fasttext import FastTextFile

__all__ = ["PageLanguage", "default_stop_lists"]

# Code of the language model -> name of jusText's stop list, in capitals.
_NAMES = {
    "af": "AFRIKAANS", "an": "ARAGONESE", "ar": "ARABIC", "ast": "ASTURIAN", "az": "AZERBAIJANI", "be": "BELARUSIAN",
    "bg": "BULGARIAN", "bn": "BENGALI", "bpy": "BISHNUPRIYA_MANIPURI", "br": "BRETON", "bs": "BOSNIAN", "ca": "CATALAN",
    "ceb": "CEBUANO", "cs": "CZECH", "cv": "CHUVASH", "cy": "WELSH", "da": "DANISH", "de": "GERMAN", "el": "GREEK",
    "en": "ENGLISH", "eo": "ESPERANTO", "es": "SPANISH", "et": "ESTONIAN", "eu": "BASQUE", "fa": "PERSIAN",
    "fi": "FINNISH", "fr": "FRENCH", "fy": "WEST_FRISIAN", "ga": "IRISH", "gl": "GALICIAN", "gu": "GUJARATI",
    "he": "HEBREW", "hi": "HINDI", "hr": "CROATIAN", "ht": "HAITIAN", "hu": "HUNGARIAN", "hy": "ARMENIAN",
    "id": "INDONESIAN", "io": "IDO", "is": "ICELANDIC", "it": "ITALIAN", "ja": "JAPANESE", "jv": "JAVANESE",
    "ka": "GEORGIAN", "kk": "KAZAKH", "kn": "KANNADA", "ko": "KOREAN", "ku": "KURDISH", "ky": "KYRGYZ", "la": "LATIN",
    "lb": "LUXEMBOURGISH", "lmo": "LOMBARD", "lt": "LITHUANIAN", "lv": "LATVIAN", "mk": "MACEDONIAN", "ml": "MALAYALAM",
    "mr": "MARATHI", "ms": "MALAY", "mt": "MALTESE", "nap": "NEAPOLITAN", "nds": "LOW_SAXON", "ne": "NEPALI",
    "new": "NEWAR", "nl": "DUTCH", "nn": "NORWEGIAN_NYNORSK", "no": "NORWEGIAN_BOKMAL", "oc": "OCCITAN", "pl": "POLISH",
    "pms": "PIEDMONTESE", "pnb": "WESTERN_PANJABI", "pt": "PORTUGUESE", "qu": "QUECHUA", "ro": "ROMANIAN",
    "ru": "RUSSIAN", "scn": "SICILIAN", "sh": "SERBO_CROATIAN", "sk": "SLOVAK", "sl": "SLOVENIAN", "sq": "ALBANIAN",
    "sr": "SERBIAN", "su": "SUNDANESE", "sv": "SWEDISH", "sw": "SWAHILI", "ta": "TAMIL", "te": "TELUGU", "th": "THAI",
    "tk": "TURKMEN", "tl": "TAGALOG", "tr": "TURKISH", "uk": "UKRAINIAN", "ur": "URDU", "uz": "UZBEK",
    "vi": "VIETNAMESE", "vo": "VOLAPUK", "wa": "WALLOON", "war": "WARAY_WARAY", "yo": "YORUBA", "zh": "CHINESE",
}  # fmt: skip
# jusText has none for these, and none are needed where stop words cannot be counted.
_WITHOUT_LIST = ("THAI", "CHINESE", "JAPANESE")
# More of a page does not make the answer surer.
_ENOUGH = 10_000


def default_stop_lists() -> dict[str, frozenset[str]]:
    """Return the stop words of jusText by the name of the language in capitals; empty ones for Thai, Chinese and Japanese.

    Raises:
        MissingExtra: jusText is not installed.
    """
    return dict(shared_stop_lists())


@cache
def shared_stop_lists() -> dict[str, frozenset[str]]:
    """Return the same dictionary every time, for callers that do not change it."""
    require("justext", extra="text-download", purpose="the default stop lists")
    import justext

    lists = {name.upper(): frozenset(justext.get_stoplist(name)) for name in sorted(justext.get_stoplists())}
    return {**lists, **{name: frozenset[str]() for name in _WITHOUT_LIST}}


class PageLanguage:
    """Recognises the language of a page by its visible text. Picklable; the model is loaded at the first call."""

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if a package is not installed."""
        require("resiliparse", extra="text", purpose="recognising the language of pages")
        default_langid_model()

    def name_of(self, html: str) -> str | None:
        """Return the name of the language in capitals; `None` if there is no text, or no stop list goes by that language."""
        from resiliparse.extract.html2text import extract_plain_text

        text = extract_plain_text(html)[:_ENOUGH]
        if not any(map(str.isalpha, text)):
            return None
        model = _model()
        answer = model.likeliest(text)
        return None if answer == model.prior else _NAMES.get(answer[0])


@cache
def _model() -> FastTextFile:
    return FastTextFile(default_langid_model())
