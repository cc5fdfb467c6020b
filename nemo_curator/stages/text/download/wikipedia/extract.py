"""From wikitext to text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.text.download.base import DocumentExtractor
from nemo_curator.stages.text.download.wikipedia.url_generation import check_language

__all__ = ["WikipediaExtractor", "plain_text"]

_COLUMNS = ["title", "id", "url", "language", "source_id"]
# Tags whose content is not running text.
_DROPPED_TAGS = frozenset(
    [
        "ref",
        "references",
        "table",
        "gallery",
        "timeline",
        "score",
        "imagemap",
        "math",
        "chem",
        "templatestyles",
        "mapframe",
        "graph",
        "hiero",
        "indicator",
        "script",
        "style",
        "noinclude",
        "inputbox",
    ]
)
# Links to files and categories by the names of these namespaces in the larger Wikipedias; the English ones work in all of them.
_DROPPED_LINKS = frozenset(
    [
        "file",
        "image",
        "media",
        "category",
        "datei",
        "bild",
        "kategorie",
        "fichier",
        "catégorie",
        "archivo",
        "imagen",
        "categoría",
        "ficheiro",
        "imagem",
        "categoria",
        "immagine",
        "bestand",
        "afbeelding",
        "categorie",
        "plik",
        "grafika",
        "kategoria",
        "файл",
        "изображение",
        "категория",
        "зображення",
        "категорія",
        "ファイル",
        "画像",
        "カテゴリ",
        "文件",
        "图像",
        "圖像",
        "檔案",
        "分类",
        "分類",
        "파일",
        "그림",
        "분류",
        "ملف",
        "صورة",
        "تصنيف",
        "קובץ",
        "תמונה",
        "קטגוריה",
        "پرونده",
        "رده",
        "dosya",
        "resim",
        "kategori",
        "fil",
        "tiedosto",
        "kuva",
        "luokka",
        "soubor",
        "fájl",
        "kép",
        "kategória",
        "fișier",
        "imagine",
        "slika",
        "datoteka",
        "kategorija",
        "датотека",
        "слика",
        "категорија",
        "berkas",
        "gambar",
        "चित्र",
        "श्रेणी",
        "ไฟล์",
        "ภาพ",
        "หมวดหมู่",
        "αρχείο",
        "εικόνα",
        "κατηγορία",
        "fitxer",
        "imatge",
        "fitxategi",
        "irudi",
        "vaizdas",
        "attēls",
        "pilt",
        "tập_tin",
        "hình",
        "thể_loại",
        "картинка",
        "поток",
        "վիկիպատկեր",
    ]
)
_MAGIC_WORD = re.compile(r"__[A-Z]{3,}__")
_SPACES = re.compile(r"[ \t\xa0]+")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_MAX_DEPTH = 60


class WikipediaExtractor(DocumentExtractor):
    """Takes the text out of wikitext: without templates, tables, references, files and categories; of a link what is seen of it.

    Args:
        language: The language of that Wikipedia.
    """

    def __init__(self, language: str = "en") -> None:
        self._language = check_language(language)

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the package that parses wikitext is not installed."""
        require("mwparserfromhell", extra="text-download", purpose=type(self).__name__)

    def input_columns(self) -> list[str]:
        """Return what the iterator gives."""
        return [*_COLUMNS, "raw_content"]

    def output_columns(self) -> list[str]:
        """Return the columns of documents."""
        return ["text", *_COLUMNS]

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return the document of an article; `None` if no text is left."""
        self.check_before_run()
        text = plain_text(record["raw_content"])
        return {"text": text, **{name: record[name] for name in _COLUMNS}} if text else None


def plain_text(wikitext: str) -> str:
    """Return the running text of wikitext, paragraphs with a blank line between them."""
    import mwparserfromhell

    seen = _text_of(mwparserfromhell.parse(wikitext), 0)
    lines = (_SPACES.sub(" ", line).strip() for line in _MAGIC_WORD.sub("", seen).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _text_of(wikicode: Any, depth: int) -> str:
    if wikicode is None or depth > _MAX_DEPTH:
        return ""
    # Templates, their arguments and comments are not in the table: nothing of them is text.
    return "".join(_NODES[kind](node, depth + 1) for node in wikicode.nodes if (kind := type(node).__name__) in _NODES)


def _link(node: Any, depth: int) -> str:
    title = str(node.title).strip()
    prefix = title.partition(":")[0].strip().lower().replace(" ", "_") if ":" in title else ""
    if prefix in _DROPPED_LINKS:
        return ""
    return _text_of(node.text, depth) if node.text is not None else title.removeprefix(":")


def _tag(node: Any, depth: int) -> str:
    name = str(node.tag).strip().lower()
    if name in _DROPPED_TAGS:
        return ""
    return "\n" if name == "br" else _text_of(node.contents, depth)


def _external(node: Any, depth: int) -> str:
    return _text_of(node.title if node.brackets else node.url, depth)


def _heading(node: Any, depth: int) -> str:
    return f"\n\n{_text_of(node.title, depth).strip()}\n\n"


_NODES: dict[str, Callable[[Any, int], str]] = {
    "Text": lambda node, depth: str(node.value),
    "Wikilink": _link,
    "ExternalLink": _external,
    "Tag": _tag,
    "Heading": _heading,
    "HTMLEntity": lambda node, depth: str(node.normalize()),
}
