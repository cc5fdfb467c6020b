"""`PiiStage`: takes personal data out of documents, or says where it is."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.pii.finders import Finder, Finding, PatternFinder, without_overlaps
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PiiStage"]

_HASH_CHARACTERS = 16
_SHORTEST_KEY = 16


class PiiStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Finds personal data and acts on it.

    Actions:
        redact: ``[EMAIL]`` in its place.
        hash: ``[EMAIL:3f5a0c1d2b4e6f78]``: the first 64 bits of HMAC-SHA-256 (RFC 2104) of the kind and what was found, without regard
            to case, under your key. The same address is the same everywhere under one key, and cannot be guessed without it.
        tag: the text stays, and a column says what is where: a list of structs ``{start, end, kind}``, in characters.

    How many of each kind were found is logged as the metrics ``pii_<kind>``, and ``pii_documents`` with any at all. A missing text
    stays missing.

    Args:
        action: ``redact``, ``hash`` or ``tag``.
        finders: Who looks; `PatternFinder` by default. Of what overlaps, the earlier start is taken, then the longer.
        text_field: Column of the text.
        output_field: Column for the changed text; the same by default. Not for ``tag``.
        tag_field: Column for what was found, with ``tag``.
        key: Secret for ``hash``, 16 bytes or more. It travels to the workers with the stage, but is not shown.
        name: Name of the stage.
    """

    outputs_are_complete = True

    def __init__(
        self,
        action: Literal["redact", "hash", "tag"] = "redact",
        finders: Sequence[Finder] | None = None,
        *,
        text_field: str = "text",
        output_field: str | None = None,
        tag_field: str = "pii",
        key: str | bytes | None = None,
        name: str = "pii",
    ) -> None:
        if action not in {"redact", "hash", "tag"}:
            message = f"action must be 'redact', 'hash' or 'tag', got {action!r}"
            raise OptionError(message)
        secret = key.encode() if isinstance(key, str) else key
        if action == "hash" and len(secret or b"") < _SHORTEST_KEY:
            message = f"action='hash' needs a key of {_SHORTEST_KEY} bytes or more: without a secret, short data is found out by trying"
            raise OptionError(message)
        self.action = action
        self.finders: list[Finder] = list(finders) if finders is not None else [PatternFinder()]
        self.text_field = text_field
        self.output_field = output_field or text_field
        self.tag_field = tag_field
        self.name = name
        self._key = secret

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column that is written."""
        return ["data"], [self.tag_field if self.action == "tag" else self.output_field]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: finders load what they need once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether what the finders need is there."""
        for finder in self.finders:
            finder.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load what the finders need."""
        for finder in self.finders:
            finder.load()

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the changed texts, or with what was found."""
        texts: list[str | None] = Rows(task).texts(self.text_field, self.name, missing=None)
        order = [kind for finder in self.finders for kind in finder.kinds]
        found = [self._find(text, order) if text else [] for text in texts]
        self._count(found, order)
        if self.action == "tag":
            return with_columns(task, {self.tag_field: _tags(found)})
        put = self._hashed if self.action == "hash" else _redacted
        rows = Rows(task)
        changed = [replace(text, each, put) if text else text for text, each in zip(texts, found, strict=True)]
        rows.set_column(self.output_field, changed)
        return rows.to_batch()

    def _find(self, text: str, order: list[str]) -> list[Finding]:
        return without_overlaps([finding for finder in self.finders for finding in finder.find(text)], order)

    def _count(self, found: Sequence[Sequence[Finding]], order: Sequence[str]) -> None:
        counts = Counter(finding.kind for findings in found for finding in findings)
        for kind in order:
            self._log_metric(f"pii_{kind.lower()}", counts[kind])
        self._log_metric("pii_documents", sum(bool(findings) for findings in found))

    def _hashed(self, kind: str, data: str) -> str:
        said = f"{kind}\0{data.casefold()}".encode("utf-8", "surrogatepass")
        return f"[{kind}:{hmac.new(self._key or b'', said, sha256).hexdigest()[:_HASH_CHARACTERS]}]"


def replace(text: str, findings: Sequence[Finding], put: Callable[[str, str], str]) -> str:
    """Return the text with ``put(kind, data)`` in place of everything found. Findings are in order and do not overlap."""
    parts: list[str] = []
    at = 0
    for start, end, kind in findings:
        parts += [text[at:start], put(kind, text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def _redacted(kind: str, data: str) -> str:
    return f"[{kind}]"


def _tags(found: Sequence[Sequence[Finding]]) -> pa.Array:
    import pyarrow as pa

    kind = pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64()), ("kind", pa.string())]))
    return pa.array([[finding._asdict() for finding in findings] for findings in found], kind)
