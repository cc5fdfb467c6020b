"""Tasks on disk: what goes in comes out, and a wrong file does nothing."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import math
import random
import sys
import threading
import uuid
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.codec import CodecError, decode, encode
from nemo_curator.tasks import DocumentBatch, FileGroupTask, Task
from nemo_curator.testing import Number
from nemo_curator.utils.performance_utils import StagePerfStats


class Colour(Enum):
    RED = 1


@dataclass
class Frame:
    pixels: Any
    colour: Colour = Colour.RED
    notes: list[str] = field(default_factory=list)


@dataclass(repr=False)
class Anything(Task[Any]):
    @property
    def num_items(self) -> int:
        return 1

    def validate(self) -> bool:
        return True


def _back(data: Any) -> Any:
    tree, blobs = encode(Anything("d", data))
    return decode(json.loads(json.dumps(tree)), blobs).data


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters()),
    st.binary(max_size=600),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
keys = st.one_of(st.integers(), st.text(), st.booleans(), st.tuples(st.integers(), st.text()))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.frozensets(st.integers(), max_size=4),
        st.sets(st.text(), max_size=4),
    ),
    max_leaves=12,
)


@given(values)
def test_plain_values_come_back(value: Any) -> None:
    back = _back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"abc"),
        Path("/a/b"),
        -math.inf,
        "\ud800 alone",
        1 << 200,
        {"$": "dict", "items": []},
        Colour.RED,
        uuid.UUID(int=5),
        decimal.Decimal("1.50"),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    ],
)
def test_odd_values_come_back(value: Any) -> None:
    assert _back(value) == value


def test_not_a_number_comes_back() -> None:
    assert math.isnan(_back(math.nan))


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(3, 4), np.array(["a", "bc"]), np.zeros((0, 3), dtype="u1")])
def test_arrays_come_back(array: Any) -> None:
    back = _back({"pixels": [array]})["pixels"][0]
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_scalars_of_numpy_come_back() -> None:
    assert _back(np.float32(1.5)) == np.float32(1.5)
    assert type(_back(np.float32(1.5))) is np.float32


def test_tables_and_tasks_come_back() -> None:
    frame = pd.DataFrame({"text": ["a", None], "n": [1.5, 2.0]})
    batch = DocumentBatch("d", frame, _metadata={"source_files": ["x.jsonl"]})
    batch.task_id = "0_3"
    batch._stage_perf.append(StagePerfStats("read", num_items_processed=2))
    tree, blobs = encode(batch)
    back = decode(tree, blobs)
    assert type(back) is DocumentBatch
    assert back.to_pandas().equals(frame)
    assert (back.task_id, back._metadata, back._stage_perf) == ("0_3", batch._metadata, batch._stage_perf)
    table = pa.table({"n": [1, 2]})
    assert _back(table) == table
    group = FileGroupTask("d", ["a", "b"])
    assert decode(*encode(group)).data == ["a", "b"]


def test_dataclasses_come_back_without_their_constructor() -> None:
    back = _back([Frame(np.ones(3), notes=["n"])])[0]
    assert type(back) is Frame
    assert back.notes == ["n"]
    assert back.colour is Colour.RED
    assert back.pixels.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"lock": threading.Lock()}, r"task\.data\['lock'\] is a _thread\.lock, which cannot be kept"),
        ([1, lambda: 0], r"task\.data\[1\] is a builtins\.function"),
        (np.array([object()], dtype=object), "ndarray"),
    ],
)
def test_what_cannot_be_kept_is_named(value: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        encode(Anything("d", value))


def test_what_holds_itself_is_told() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CodecError, match="holds itself"):
        encode(Anything("d", loop))


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:Popen", "antigravity:x", "nemo_curator.engine.codec:encode", "", "a:b:c", 3]
)
def test_only_classes_that_are_loaded_and_are_tasks_are_made(name: Any) -> None:
    tree, blobs = encode(Number("n", 1))
    tree["class"] = name
    with pytest.raises(CodecError, match="import its module first"):
        decode(tree, blobs)
    assert "antigravity" not in sys.modules


def test_a_deep_tree_is_refused() -> None:
    tree, blobs = encode(Number("n", 1))
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    tree["attributes"]["data"] = deep
    with pytest.raises(CodecError, match="levels deep"):
        decode(tree, blobs)


def test_a_pickle_in_an_array_is_not_read() -> None:
    import io

    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    tree, _blobs = encode(Anything("d", np.ones(2)))
    with pytest.raises(CodecError, match="allow_pickle"):
        decode(tree, [file.getvalue()])


def _mutate(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, dict):
        mutated = {key: _mutate(item, chance) for key, item in tree.items() if chance.random() > 0.05}
        if chance.random() < 0.1:
            mutated["$"] = chance.choice(["object", "array", "frame", "enum", "int", "dict", "tuple", "path", 7, None])
        return mutated
    if isinstance(tree, list):
        return [_mutate(item, chance) for item in tree if chance.random() > 0.05]
    return chance.choice([tree, tree, tree, -1, "x", None, [], {}, 10**9])


@given(st.integers(0, 10**9))
def test_a_wrong_tree_is_told_and_nothing_else_happens(seed: int) -> None:
    chance = random.Random(seed)
    data = {"a": (1, b"x" * 300), "b": [Frame(np.ones(2)), Colour.RED, pd.DataFrame({"n": [1]}), 1 << 90]}
    tree, blobs = encode(Anything("d", data))
    modules = set(sys.modules)
    with contextlib.suppress(CodecError):
        decode(_mutate(tree, chance), blobs[: chance.randint(0, len(blobs))])
    assert set(sys.modules) == modules
