"""`Modify`: modifiers and plain functions as a stage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.modifiers.base import DocumentModifier
from nemo_curator.stages.text.utils.arguments import name_of, one_per_function
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

__all__ = ["Modify"]

_Modifier = DocumentModifier | Callable[..., Any]


class Modify(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Writes what a function makes of one column, or of several, into a column.

    With one input column the function gets the value as its only argument, and a missing value stays missing without a call.
    With several it gets them as keyword arguments named after the columns, missing ones as `None`. Several functions apply
    in order; a later one sees what an earlier one wrote.

    Args:
        modifier_fn: A `DocumentModifier`, a function, or a list of those.
        input_fields: Column for all functions; a list with one column for each function; or a list of lists, with the
            columns of each function. A list of length one is for all functions.
        output_fields: Column for the result, or a list with one for each function; `None` writes back into the column that
            was read, where it is only one.
        name: Name of the stage; by default that of the modifier or function.

    Raises:
        ValueError: No function, no input, a wrong number of fields, or no output for several inputs.
        TypeError: An argument of another kind.
    """

    outputs_are_complete = True

    def __init__(
        self,
        modifier_fn: _Modifier | list[_Modifier],
        input_fields: str | list[str] | list[list[str]] = "text",
        output_fields: str | list[str | None] | None = None,
        name: str | None = None,
    ) -> None:
        self.modifier_fn: list[_Modifier] = _as_functions(modifier_fn)
        count = len(self.modifier_fn)
        self.input_fields: list[list[str]] = _as_groups(input_fields, count)
        given = one_per_function(output_fields, count, what="output_fields", kind=str, optional=True)
        self.output_fields: list[str] = [
            _output(output, inputs) for output, inputs in zip(given, self.input_fields, strict=True)
        ]
        self.name = name or _stage_name(self.modifier_fn)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that are read, without those that an earlier function of this stage writes."""
        needed: set[str] = set()
        for at, columns in enumerate(self.input_fields):
            needed.update(set(columns).difference(self.output_fields[:at]))
        return ["data"], sorted(needed)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that are written."""
        return ["data"], sorted(set(self.output_fields))

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the results."""
        rows = Rows(task)
        for function, inputs, output in zip(self.modifier_fn, self.input_fields, self.output_fields, strict=True):
            apply = function.modify_document if isinstance(function, DocumentModifier) else function
            wants_text = isinstance(function, DocumentModifier) and len(inputs) == 1
            with rows.as_texts(inputs[0], self.name) if wants_text else nullcontext():
                rows.set_column(output, _results(rows, apply, inputs))
        return rows.to_batch()


def _results(rows: Rows, apply: Callable[..., Any], inputs: list[str]) -> list[Any]:
    columns = [rows.column(name) for name in inputs]
    if len(columns) == 1:
        return [None if value is None else apply(value) for value in columns[0]]
    return [apply(**dict(zip(inputs, values, strict=True))) for values in zip(*columns, strict=True)]


def _as_functions(value: Any) -> list[_Modifier]:
    functions = list(value) if isinstance(value, list) else [value]
    if not functions:
        message = "modifier_fn is an empty list"
        raise ValueError(message)
    for each in functions:
        forgot_parentheses = isinstance(each, type) and issubclass(each, DocumentModifier)
        if forgot_parentheses or not (isinstance(each, DocumentModifier) or callable(each)):
            message = f"modifier_fn must be a DocumentModifier, a function or a list of those; got {each!r}"
            raise TypeError(message)
    return functions


def _as_groups(value: Any, count: int) -> list[list[str]]:
    if isinstance(value, list) and any(isinstance(each, list) for each in value):
        groups = one_per_function(value, count, what="input_fields", kind=list)
        for group in groups:
            if not group or not all(isinstance(name, str) for name in group):
                error = TypeError if group else ValueError
                message = f"input_fields must name at least one column for each function, got {group!r}"
                raise error(message)
        return [list(group) for group in groups]
    return [[name] for name in one_per_function(value, count, what="input_fields", kind=str)]


def _output(output: str | None, inputs: list[str]) -> str:
    if output is not None:
        return output
    if len(inputs) > 1:
        message = f"a function of several columns ({', '.join(inputs)}) needs an output field"
        raise ValueError(message)
    return inputs[0]


def _stage_name(functions: list[_Modifier]) -> str:
    names = [name_of(function, "modifier_fn") for function in functions]
    return names[0] if len(names) == 1 else f"modifier_chain_of_{'_'.join(names)}"
