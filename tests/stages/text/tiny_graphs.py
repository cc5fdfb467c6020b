"""Small ONNX graphs with a tokenizer, for tests of what runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

WORDS = {"[UNK]": 0, "good": 1, "bad": 2, "fine": 3, "awful": 4}
TOKENS = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)


def tiny_graph(folder: Path, *, pooled: bool) -> Path:
    """Write a graph that gives each word a vector of 2, pooled to their mean or not; and its tokenizer beside it."""
    onnx = pytest.importorskip("onnx")
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    steps = [helper.make_node("Gather", ["table", "input_ids"], ["tokens"])]
    if pooled:
        steps += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["tokens", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "second"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["mask", "second"], ["count"], keepdims=1),
            helper.make_node("Div", ["total", "count"], ["logits"]),
        ]
    shape = ["texts", 2] if pooled else ["texts", "tokens", 2]
    graph = helper.make_graph(
        steps,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits" if pooled else "tokens", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(TOKENS, "table"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "second"),
        ],
    )
    path = folder / "tiny.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path
