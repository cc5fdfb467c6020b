"""Texts that break careless code: for tests of everything that takes a text."""

from __future__ import annotations

TEXTS = {
    "empty": "",
    "white space": " \t\r\n\u00a0\u3000\n\n ",
    "line ends": "\n\n\n",
    "one word": "word",
    "one character": ".",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。\n他们赋有理性和良心。",  # noqa: RUF001
    "Japanese": "すべての人間は、生まれながらにして自由である。",
    "Arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق۔\nوقد وهبوا عقلاً وضميراً.",  # noqa: RUF001
    "Hebrew": "כל בני האדם נולדו בני חורין\u200f.",
    "emoji": "👩‍👩‍👧‍👦 🇺🇳 👍🏽\n🎉🎉🎉",
    "surrogates": "a \ud800 b \udfff\n\ud83d",
    "zero bytes": "a\x00b\x00\n\x07",
    "combining marks": "e\u0301" * 50,
    "numbers": "1 2 3 4.5 ٣ ½",
    "marks": "... … [...] \"\" '' ?!. # ## • - * {} [1]",
    "URLs": "https://example.org/%20 http:// www.x https://" + "a" * 100,
    "Python": "# a\ndef f():\n    '''b'''\n    return '#'\n",
    "open": "/* \"a 'b `c <!-- <p [1 {",
    "HTML": "<html><script>x</script><p>" + "a word " * 30 + "</p></html>",
    "prose": "\n\n".join(f"This is sentence number {n}, and it is one of many that we have here." for n in range(30)),
}

# What takes quadratic time in a careless search: a million characters of one kind, or of a few in turn.
PATTERNS = {
    "one word": "a",
    "words": "a word and ",
    "full stops": ".",
    "quotes": '"\\',
    "spaces": " ",
    "line ends": "\n",
    "citations": "[1](",
    "comments": "/*",
    "tags": "<a ",
    "Chinese": "自由。",
}

# Ten megabytes and a little more.
TEN_MEGABYTES = "\n".join(
    f"Line {number} says that this café is {number % 97} of many, and no other." for number in range(190_000)
)
