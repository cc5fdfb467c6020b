"""A web on the loopback interface, and real pages to put on it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.testing.web import LoopbackWeb

CORPUS = Path(__file__).parents[4] / "examples" / "data" / "multilingual_html"


@pytest.fixture
def web() -> Iterator[LoopbackWeb]:
    with LoopbackWeb() as server:
        yield server


@pytest.fixture(scope="session")
def pages() -> list[dict[str, Any]]:
    """The pages of a shard of the corpus: ``url``, ``declared_language``, ``html``."""
    with gzip.open(CORPUS / "part-00.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
