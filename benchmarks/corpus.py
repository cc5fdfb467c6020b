"""JSON Lines of any size, made of real text: the corpus of the examples without its tags, over and over, never twice the same."""

from __future__ import annotations

import gzip
import html
import itertools
import json
import os
import random
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

__all__ = ["OUT", "SHARDS", "describe_folder", "make_copies", "make_corpus", "make_short_documents"]

OUT = ROOT / "benchmarks" / "out"
"""Everything that benchmarks write; not in version control."""

SHARDS = ROOT / "examples" / "data" / "multilingual_html"
"""The folder of the example corpus's files."""
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
_LONGEST_WORD = 20
_TAG = re.compile(r"<[^>]*>")
_MIB = 1024**2


def make_corpus(megabytes: int, files: int) -> Path:
    """Return a folder with `files` files of about ``megabytes / files`` MiB each; made once, the same every time.

    Every further copy of a document has its lines in another order, so that neither compression nor caches meet it again.
    """
    folder = OUT / f"corpus-{megabytes}mb-{files}"
    if folder.exists():
        return folder
    aside = OUT / f".{folder.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    lines = _endless_lines()
    for number in range(files):
        with (aside / f"part-{number:03}.jsonl").open("wb") as out:
            while out.tell() < megabytes * _MIB // files:
                out.write(next(lines))
    os.replace(aside, folder)
    return folder


def make_copies(megabytes: int, files: int, every: int = 5, edited: float = 0.0) -> Path:
    """Return a corpus like `make_corpus` of which one document in `every` comes again, in another file, under another id.

    Args:
        megabytes: Size without the copies.
        files: Number of files.
        every: How many documents there are to a copy.
        edited: The share of a copy's words that are others, from 0 to 1.
    """
    folder = OUT / f"copies-{megabytes}mb-{files}-{every}-{edited:g}"
    if folder.exists():
        return folder
    source = make_corpus(megabytes, files)
    aside = OUT / f".{folder.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    chance = random.Random(1)
    copies: list[bytes] = []
    for path in sorted(source.glob("*.jsonl")):
        with path.open("rb") as lines, (aside / path.name).open("wb") as out:
            # The copies of the file before: they are never beside what they were made of.
            out.writelines(copies)
            copies = []
            for number, line in enumerate(lines):
                out.write(line)
                if number % every == 0:
                    copies.append(_copy(line, edited, chance))
    with (aside / "part-last.jsonl").open("wb") as out:
        out.writelines(copies)
    os.replace(aside, folder)
    return folder


def _copy(line: bytes, edited: float, chance: random.Random) -> bytes:
    record = json.loads(line)
    words = record["text"].split(" ")
    for at in chance.sample(range(len(words)), round(edited * len(words))):
        words[at] = f"edit{chance.randrange(10**6)}"
    copy = {**record, "id": f"{record['id']}-copy", "text": " ".join(words)}
    return json.dumps(copy, ensure_ascii=False).encode() + b"\n"


def make_short_documents(number: int, files: int) -> Path:
    """Return a folder with so many documents of 10 to 60 words of real pages, of which every tenth is nearly one that came before.

    A document is made of stretches of ten words from anywhere, so that documents have no more in common than by chance.
    """
    folder = OUT / f"short-{number}-{files}"
    if folder.exists():
        return folder
    aside = OUT / f".{folder.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    chance = random.Random(2)
    # Scripts without spaces have "words" as long as sentences.
    words = [word for document in _documents() for word in document["text"].split() if len(word) <= _LONGEST_WORD]
    before: list[str] = []
    for part, count in enumerate(number // files + (at < number % files) for at in range(files)):
        with (aside / f"part-{part:03}.jsonl").open("w", encoding="utf-8") as out:
            for at in range(count):
                begins = [chance.randrange(len(words) - 10) for _ in range(chance.randint(1, 6))]
                text = " ".join(word for begin in begins for word in words[begin : begin + 10])
                if at % 10 == 9 and before:
                    text = f"{chance.choice(before)} end"
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                if at % 10 == 0:
                    before = [*itertools.islice(before, max(len(before) - 999, 0), None), text]
    os.replace(aside, folder)
    return folder


def _endless_lines() -> Iterator[bytes]:
    documents = list(_documents())
    order = random.Random(0)
    copy = 0
    while True:
        for document in documents:
            paragraphs = document["text"].splitlines()
            if copy:
                order.shuffle(paragraphs)
            record = {**document, "id": f"{document['id']}#{copy}", "text": "\n".join(paragraphs)}
            yield json.dumps(record, ensure_ascii=False).encode() + b"\n"
        copy += 1


def _documents() -> Iterator[dict[str, Any]]:
    for shard in sorted(SHARDS.glob("*.jsonl.gz")):
        with gzip.open(shard, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                text = html.unescape(_TAG.sub("", _SCRIPT.sub("", record.pop("html"))))
                yield {"id": record.pop("id"), "text": text.strip(), **record}


def describe_folder(folder: Path) -> dict[str, Any]:
    """Return how many documents a folder of JSON Lines holds, and a sum over their ids and texts that no order changes."""
    documents = total = 0
    for path in folder.rglob("*.jsonl"):
        with path.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                documents += 1
                total += zlib.crc32(f"{record['id']}\n{record['text']}".encode())
    return {"documents": documents, "content": f"{total:x}"}
