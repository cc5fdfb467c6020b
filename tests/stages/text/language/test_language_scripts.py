from __future__ import annotations

import unicodedata

import pytest

from nemo_curator.stages.text.language import dominant_script, script_shares


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The quick brown fox", "Latn"),
        ("Straße, œuvre, İstanbul, Việt Nam", "Latn"),
        ("Быстрая лиса", "Cyrl"),
        ("Γρήγορη αλεπού", "Grek"),
        ("الثعلب البني السريع", "Arab"),
        ("השועל החום המהיר", "Hebr"),
        ("तेज़ भूरी लोमड़ी", "Deva"),
        ("สุนัขจิ้งจอกสีน้ำตาล", "Thai"),
        ("敏捷的棕色狐狸", "Hani"),
        ("日本語の文章です", "Jpan"),
        ("カタカナ", "Jpan"),
        ("안녕하세요", "Kore"),
        ("大韓民國의 憲法", "Kore"),
        ("ეს ქართულია", "Geor"),
        ("ይህ አማርኛ ነው", "Ethi"),
        ("𞤀𞤣𞤤𞤢𞤥", "Adlm"),
    ],
)
def test_script_of_a_text(text: str, script: str) -> None:
    assert dominant_script(text) == script


@pytest.mark.parametrize("text", ["", " \n\t", "123 + 4", "😀👍🏽", "?!…", "\ud800", "\0"])
def test_a_text_without_letters_has_no_script(text: str) -> None:
    assert dominant_script(text) == "Zyyy"
    assert script_shares(text) == {}


def test_most_letters_decide_and_ties_are_the_same_everywhere() -> None:
    assert dominant_script("ab вг д") == "Cyrl"
    assert dominant_script("ab вг") == dominant_script("вг ab") == "Cyrl"
    assert script_shares("ab вг д!") == {"Cyrl": 0.6, "Latn": 0.4}


def test_a_quoted_kana_does_not_make_chinese_japanese() -> None:
    assert dominant_script("这个日语字母读作の而不是别的什么字母" * 2) == "Hani"


def test_the_table_says_what_the_names_of_the_characters_say() -> None:
    names = {
        "LATIN": "Latn",
        "CYRILLIC": "Cyrl",
        "ARABIC": "Arab",
        "TAMIL": "Taml",
        "KATAKANA": "Kana",
        "HANGUL": "Hang",
    }
    for point in range(0x20000):
        character = chr(point)
        first = unicodedata.name(character, "").split(" ")[0]
        if first in names and unicodedata.category(character) in {"Lu", "Ll", "Lo"}:
            assert list(script_shares(character)) == [names[first]], hex(point)
