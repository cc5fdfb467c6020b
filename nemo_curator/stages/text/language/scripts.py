"""The script that a text is written in, by the code points of its letters."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    _Numbers = np.ndarray[Any, Any]

__all__ = ["NO_SCRIPT", "dominant_script", "script_shares"]

NO_SCRIPT = "Zyyy"
"""ISO 15924: undetermined. What a text without letters is written in."""

# Alphabetic code points by script, from the property Script of the Unicode Character Database, version 14 (Scripts.txt); scripts of
# languages that are written today. Python's own `unicodedata` does not know the property.
_RANGES = """
Latn 41-5A 61-7A AA BA C0-D6 D8-F6 F8-2B8 2E0-2E4 1D00-1D25 1D2C-1D5C 1D62-1D65 1D6B-1D77 1D79-1DBE 1E00-1EFF
    2071 207F 2090-209F 212A-212B 2132 214E 2160-2188 2C60-2C7F A722-A787 A78B-A7FF AB30-AB5A AB5C-AB64 AB66-AB69
    AB6C-AB6D FB00-FB06 FF21-FF3A FF41-FF5A 10780-107BF 1DF00-1DFF2 1DFF5-1DFFF
Grek 370-373 376-37D 37F 386 388-3E1 3F0-3F5 3F7-3FF 1D26-1D2A 1D5D-1D61 1D66-1D6A 1DBF 1F00-1FBC 1FBE
    1FC2-1FCC 1FD0-1FDB 1FE0-1FEC 1FF2-1FFC 2126 AB65 10140-10174 1DFF3-1DFF4
Copt 3E2-3EF 2C80-2CE4 2CEB-2CEE 2CF2-2CF3
Cyrl 400-481 48A-52F 1C80-1C8A 1D2B 1D78 2DE0-2DFF A640-A66E A674-A67B A67F-A69F 1E030-1E08F
Armn 531-559 560-588 58B-58C FB13-FB17
Hebr 5B0-5BD 5BF 5C1-5C2 5C4-5C5 5C7-5F2 FB1D-FB28 FB2A-FB4F
Arab 610-61A 620-63F 641-64A 656-657 659-65F 66E-66F 671-6D3 6D5-6DC 6E1-6E8 6ED-6EF 6FA-6FC 6FF 750-77F
    870-887 889-88F 897 8A0-8C9 8D4-8DF 8E3-8E9 8F0-8FF FB50-FBB1 FBD3-FD3D FD50-FDC7 FDF0-FDFB FE70-FEFC
    10EC2-10EFC 1EE00-1EEBB
Syrc 710-73F 74D-74F 860-86A
Thaa 780-7B1
Nkoo 7CA-7EA 7F4-7F5 7FA
Deva 900-93B 93D-94C 94E-950 955-963 971-97F A8F2-A8F7 A8FB A8FD-A8FF 11B0A
Beng 980-9B9 9BD-9CC 9CE-9E3 9F0-9F1 9FC 11DF0-11DF1
Guru A01-A39 A3E-A4C A51-A5E A70-A75
Gujr A81-AB9 ABD-ACC AD0-AE3 AF9-AFC
Orya B01-B39 B3D-B4C B56-B63 B71
Taml B82-BCC BD0-BD7
Telu C00-C39 C3D-C4C C55-C63
Knda C80-C83 C85-CB9 CBD-CCC CD5-CE3 CF1-CF3
Mlym D00-D3A D3D-D4C D4E D54-D57 D5F-D63 D7A-D7F
Sinh D81-DC6 DCF-DDF DF2-DF3
Thai E01-E3A E40-E46 E4D
Laoo E81-EB9 EBB-EC6 ECD EDC-EDF
Tibt F00 F40-F83 F88-FBC
Mymr 1000-1036 1038 103B-103F 1050-108F 109A-109D A9E0-A9EF A9FA-A9FE AA60-AA76 AA7A-AA7F
Geor 10A0-10FA 10FC-10FF 1C90-1CBF 2D00-2D2D
Hang 1100-11FF 3131-318E A960-A97C AC00-D7FB FFA0-FFDC
Ethi 1200-135A 1380-138F 2D80-2DDE AB01-AB2E 1E7E0-1E7FE
Cher 13A0-13FD AB70-ABBF
Cans 1401-166C 166F-167F 18B0-18F5 11AB0-11ABF
Tglg 1700-1713 171F
Khmr 1780-17B3 17B6-17C8 17D7 17DC
Mong 1820-18AA
Limb 1900-1938
Tale 1950-1974
Talu 1980-19C9
Lana 1A20-1A5E 1A61-1A74 1AA7
Bali 1B00-1B33 1B35-1B43 1B45-1B4C
Sund 1B80-1BA9 1BAC-1BAF 1BBA-1BBF
Batk 1BC0-1BE5 1BE7-1BF1
Lepc 1C00-1C36 1C4D-1C4F
Olck 1C5A-1C7D
Tfng 2D30-2D6F
Hani 3005 3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAD9 16FE3 16FF0-16FF6 20000-33479
Hira 3041-3096 309D-309F 1B001-1B11F 1B123 1B132-1B152
Kana 30A1-30FA 30FD-30FF 31F0-31FF FF66-FF6F FF71-FF9D 1AFF0-1B000 1B120-1B122 1B124-1B128 1B155-1B168
Bopo 3105-312F 31A0-31BF
Yiii A000-A48C
Lisu A4D0-A4FD 11FB0
Vaii A500-A60C A610-A61F A62A-A62B
Bamu A6A0-A6EF 16800-16A38
Sylo A800-A805 A807-A827
Saur A880-A8C3 A8C5
Java A980-A9B2 A9B4-A9BF
Cham AA00-AA4D
Mtei AAE0-AAEF AAF2-AAF5 ABC0-ABEA
Goth 10330-1034A
Osge 104B0-104FB
Rohg 10D00-10D27
Cakm 11100-11132 11144-11147
Hmnp 1E100-1E12C 1E137-1E13D 1E14E
Adlm 1E900-1E943 1E947 1E94B
"""
# One Han character among kana is Japanese. A Chinese text may quote some kana, so a single one does not make it so.
_JAPANESE_SHARE = 0.1


def script_shares(text: str) -> dict[str, float]:
    """Return for every script in the text its share of the letters, the largest first; empty for a text without letters.

    Keys are codes of ISO 15924. Han, Hiragana and Katakana count each for itself here; `dominant_script` joins them.
    """
    import numpy as np

    starts, ends, scripts, names = _table()
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    at = np.searchsorted(starts, points, side="right") - 1
    known = (at >= 0) & (points <= ends[at])
    counts = np.bincount(scripts[at[known]], minlength=len(names))
    total = int(counts.sum())
    order = np.argsort(-counts, kind="stable")
    return {names[index]: int(counts[index]) / total for index in order if counts[index]}


def dominant_script(text: str) -> str:
    """Return the script of most letters, as a code of ISO 15924 (``Latn``, ``Cyrl``, ``Arab``, ...); ``Zyyy`` without letters.

    Two codes name a mix: ``Jpan`` for Han with kana, where kana are a tenth of both or more, ``Kore`` for Hangul with or without
    Han. ``Hani`` says nothing about simplified or traditional characters.
    """
    shares = script_shares(text)
    if not shares:
        return NO_SCRIPT
    kana, han, hangul = (
        shares.get("Hira", 0.0) + shares.get("Kana", 0.0),
        shares.get("Hani", 0.0),
        shares.get("Hang", 0.0),
    )
    joined = {name: share for name, share in shares.items() if name not in {"Hira", "Kana", "Hani", "Hang"}}
    if kana > 0 and kana >= _JAPANESE_SHARE * (kana + han):
        joined["Jpan"] = kana + han
    elif hangul > 0 and hangul >= _JAPANESE_SHARE * (hangul + han):
        joined["Kore"] = hangul + han
    else:
        joined |= {"Hani": han, "Hira": kana, "Kore": hangul}
    # Ties go to the first in the order of the codes, so that they are the same everywhere.
    return max(sorted(joined), key=joined.__getitem__)


@lru_cache(maxsize=1)
def _table() -> tuple[_Numbers, _Numbers, _Numbers, list[str]]:
    import numpy as np

    names: list[str] = []
    rows: list[tuple[int, int, int]] = []
    for word in _RANGES.split():
        if len(word) == 4 and word[0].isupper() and word[1:].islower() and word.isalpha():
            names.append(word)
            continue
        first, _, last = word.partition("-")
        rows.append((int(first, 16), int(last or first, 16), len(names) - 1))
    rows.sort()
    starts, ends, scripts = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return starts, ends, scripts, names
