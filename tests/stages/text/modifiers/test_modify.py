from __future__ import annotations

import pickle
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.stages.text.modifiers import DocumentModifier, LineRemover, Modify, NewlineNormalizer
from nemo_curator.tasks import DocumentBatch


class Upper(DocumentModifier):
    def modify_document(self, text: str) -> str:
        return text.upper()


class Joined(DocumentModifier):
    def modify_document(self, **columns: Any) -> str:
        return "|".join(f"{name}={value}" for name, value in columns.items())


def double(text: str) -> str:
    return text * 2


def join(a: Any, b: Any) -> str:
    return f"{a}+{b}"


def frame(**columns: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pd.DataFrame(columns))


def table(**columns: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table(columns))


@pytest.mark.parametrize("make", [frame, table])
def test_modifiers_apply_in_order_in_place(make: Any) -> None:
    batch = make(text=["a", "b"], n=[1, 2])
    out = Modify([Upper(), double]).process(batch)
    assert out.to_pandas().to_dict("list") == {"text": ["AA", "BB"], "n": [1, 2]}
    assert type(out.data) is type(batch.data)
    assert batch.to_pandas()["text"].tolist() == ["a", "b"]


def test_the_index_stays() -> None:
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": ["a", "b"]}, index=[4, 4]))
    assert Modify(Upper()).process(batch).to_pandas()["text"].to_dict() == {4: "B"}
    assert Modify(Upper()).process(batch).to_pandas().index.tolist() == [4, 4]


def test_several_inputs_come_by_name() -> None:
    stage = Modify([join, Joined()], [["a", "b"], ["c", "a"]], ["c", "d"])
    out = stage.process(frame(a=[1, 2], b=["x", None])).to_pandas()
    assert out["c"].tolist() == ["1+x", "2+None"]
    assert out["d"].tolist() == ["c=1+x|a=1", "c=2+None|a=2"]
    assert stage.inputs() == (["data"], ["a", "b"])
    assert stage.outputs() == (["data"], ["c", "d"])
    assert stage.outputs_are_complete


def test_fields_one_for_all_or_one_for_each() -> None:
    batch = frame(a=["x"], b=["y"])
    assert Modify([Upper(), double], ["a", "b"]).process(batch).to_pandas().iloc[0].tolist() == ["X", "yy"]
    assert Modify([Upper(), double], ["a"], [None, "c"]).process(batch).to_pandas().iloc[0].tolist() == ["X", "y", "XX"]
    assert Modify([Upper(), double], "a", "c").process(batch).to_pandas().iloc[0].tolist() == ["x", "y", "xx"]
    assert Modify([join, join], [["a", "b"]], ["c", "d"]).process(batch).to_pandas()["d"].tolist() == ["x+y"]
    assert Modify(Upper(), ["a"], ["c"]).output_fields == ["c"]


@pytest.mark.parametrize("make", [frame, table])
def test_a_missing_text_stays_missing(make: Any) -> None:
    out = Modify([Upper(), double]).process(make(text=["a", None])).to_pandas()["text"]
    assert out.iloc[0] == "AA"
    assert pd.isna(out.iloc[1])


def test_an_empty_batch_passes_and_gets_its_columns() -> None:
    for empty in (frame(text=[]), table(text=pa.array([], pa.string()))):
        out = Modify([Upper(), double], "text", [None, "twice"]).process(empty)
        assert (out.num_items, out.get_columns()) == (0, ["text", "twice"])
    stringy = table(text=pa.array([], pa.string()))
    assert Modify(Upper()).process(stringy).data.schema == stringy.data.schema


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (Modify(Upper()), "Upper"),
        (Modify(double), "double"),
        (Modify([double]), "double"),
        (Modify([Upper(), double, NewlineNormalizer()]), "modifier_chain_of_Upper_double_NewlineNormalizer"),
        (Modify(lambda text: text), "modifier_fn"),
        (Modify(Upper(), name="mine"), "mine"),
    ],
)
def test_names(stage: Modify, name: str) -> None:
    assert stage.name == name


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"modifier_fn": []}, ValueError),
        ({"modifier_fn": 3}, TypeError),
        ({"modifier_fn": Upper}, TypeError),
        ({"modifier_fn": Upper(), "input_fields": None}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": [None]}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": 3}, TypeError),
        ({"modifier_fn": Upper(), "input_fields": ["a", "b"]}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": []}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": [["a"], ["b"]]}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": [["a"], "b"]}, TypeError),
        ({"modifier_fn": Upper(), "input_fields": [[]]}, ValueError),
        ({"modifier_fn": Upper(), "input_fields": [[3]]}, TypeError),
        ({"modifier_fn": join, "input_fields": [["a", "b"]]}, ValueError),
        ({"modifier_fn": Upper(), "output_fields": ["a", "b"]}, ValueError),
        ({"modifier_fn": [Upper(), double, double], "output_fields": ["a", "b"]}, ValueError),
        ({"modifier_fn": Upper(), "output_fields": 3}, TypeError),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Modify(**arguments)


def test_stages_travel() -> None:
    stage = pickle.loads(cloudpickle.dumps(Modify([LineRemover(["x"]), double])))
    assert stage.process(frame(text=["x\na"])).to_pandas()["text"].tolist() == ["aa"]
