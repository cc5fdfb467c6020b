"""JSON Lines of any size, made of real text: the corpus of the examples without its tags, over and over, never twice the same."""

from __future__ import annotations

import gzip
import html
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

__all__ = ["OUT", "SHARDS", "describe_folder", "make_corpus"]

OUT = ROOT / "benchmarks" / "out"
"""Everything that benchmarks write; not in version control."""

SHARDS = ROOT / "examples" / "data" / "multilingual_html"
"""The folder of the example corpus's files."""
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL | re.IGNORECASE)
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
