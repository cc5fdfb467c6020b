"""Hashes, signatures, what they promise, and components, each against something that is known or counted out."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components as by_scipy

from nemo_curator.errors import OptionError
from nemo_curator.stages.deduplication.fuzzy import components, hash_functions, signatures
from nemo_curator.stages.deduplication.fuzzy.components import connected_components
from nemo_curator.stages.deduplication.fuzzy.detection import describe_detection, detection_probability, threshold
from nemo_curator.stages.deduplication.fuzzy.hash_functions import PRIME, WIDE_PRIME
from nemo_curator.stages.deduplication.fuzzy.murmur import murmur3_32, murmur3_64
from nemo_curator.stages.deduplication.fuzzy.signatures import MinHasher

# Published test vectors of MurmurHash3_x86_32.
VECTORS = [
    (b"", 0, 0),
    (b"", 1, 0x514E28B7),
    (b"", 0xFFFFFFFF, 0x81F16F39),
    (b"\xff\xff\xff\xff", 0, 0x76293B50),
    (b"!Ce\x87", 0, 0xF55B516B),
    (b"!Ce\x87", 0x5082EDEE, 0x2362F9DE),
    (b"!Ce", 0, 0x7E4A8634),
    (b"!C", 0, 0xA0F7B07A),
    (b"!", 0, 0x72661CF4),
    (b"\0\0\0\0", 0, 0x2362F9DE),
    (b"aaaa", 0x9747B28C, 0x5A97808A),
    (b"aaa", 0x9747B28C, 0x283E0130),
    (b"aa", 0x9747B28C, 0x5D211726),
    (b"a", 0x9747B28C, 0x7FA09EA6),
    (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
]


# First halves of published values of MurmurHash3_x64_128.
WIDE_VECTORS = [
    (b"", 0, 0),
    (b"foo", 0, 0xE271865701F54561),
    (b"The quick brown fox jumps over the lazy dog", 0, 0xE34BBC7BBC071B6C),
]


def _murmur(slices: list[bytes], seed: int, murmur: Any = murmur3_32) -> list[int]:
    lengths = np.array([len(one) for one in slices], np.int64)
    starts = np.cumsum(lengths) - lengths
    return murmur(np.frombuffer(b"".join(slices), np.uint8), starts, lengths, seed).tolist()


def test_wide_murmur_gives_the_published_values() -> None:
    for text, seed, wanted in WIDE_VECTORS:
        assert _murmur([text], seed, murmur3_64) == [wanted]
    # Slices of all lengths at once are what they are one by one.
    some = [bytes(range(length)) for length in [*range(40), 0, 200]]
    assert _murmur(some, 7, murmur3_64) == [_murmur([one], 7, murmur3_64)[0] for one in some]
    assert len(set(_murmur(some[:40], 7, murmur3_64))) == 40
    assert _murmur([], 5, murmur3_64) == []


def test_murmur_gives_the_published_values() -> None:
    for text, seed, wanted in VECTORS:
        assert _murmur([text], seed) == [wanted]
    # Slices of all lengths at once.
    some = [(text, wanted) for text, seed, wanted in VECTORS if seed == 0x9747B28C]
    assert _murmur([text for text, _ in some], 0x9747B28C) == [wanted for _, wanted in some]
    assert _murmur([], 5) == []


@given(
    data=st.binary(max_size=60),
    usual=st.integers(0, 20),
    others=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
def test_slices_that_overlap_are_hashed_as_if_alone(
    data: bytes, usual: int, others: list[tuple[int, int]], seed: int
) -> None:
    # As n-grams are: most of one length and one from almost every byte on, some shorter or longer.
    slices = [(start, usual) for start in range(len(data) - usual + 1)]
    slices += [(start, min(length, len(data) - start)) for start, length in others if start <= len(data)]
    starts, lengths = (np.array([one[at] for one in slices], np.int64) for at in range(2))
    found = murmur3_32(np.frombuffer(data, np.uint8), starts, lengths, seed)
    assert found.tolist() == [_murmur([data[start : start + length]], seed)[0] for start, length in slices]


def _by_hand(text: str, hasher: MinHasher) -> list[int]:
    n = hasher.char_ngrams
    grams = {text[at : at + n] for at in range(max(1, len(text) - n + 1))}
    murmur, prime = (murmur3_64, WIDE_PRIME) if hasher.wide else (murmur3_32, PRIME)
    hashes = _murmur([gram.encode() for gram in grams], int(hasher.a[0]) % 2**32, murmur)
    pairs = list(zip(hasher.a.tolist(), hasher.b.tolist(), strict=True))
    return [min((a * h + b) % prime for h in hashes) for a, b in pairs]


# The ends of the circle too: values of zero and p - 1 must not wrap around, and the largest hashes are the least exact.
EDGES = st.sampled_from([1, 2, PRIME - 2, PRIME - 1])
NARROW = st.one_of(EDGES, st.integers(1, PRIME - 1))


@given(
    hashes=st.lists(st.one_of(EDGES, st.integers(0, 2**32 - 1)), min_size=1, max_size=9),
    functions=st.lists(st.tuples(NARROW, st.one_of(st.just(0), NARROW)), min_size=1, max_size=20),
    zeros=st.booleans(),
)
def test_functions_as_fractions_of_the_circle_are_exact(
    hashes: list[int], functions: list[tuple[int, int]], zeros: bool
) -> None:
    if zeros:
        # Every other function takes a hash to zero, or to p - 1.
        functions = [(a, (-a * hashes[0] - at % 2) % PRIME) for at, (a, _) in enumerate(functions)]
    a, b = (np.array(column, np.uint64) for column in zip(*functions, strict=True))
    edges = sorted({0, len(hashes) // 2})
    found = hash_functions.NarrowFunctions(a, b).smallest(np.array(hashes, np.uint32), np.array(edges))
    groups = [hashes[: edges[-1]], hashes[edges[-1] :]][-len(edges) :]
    assert found.T.tolist() == [[min((x * h + y) % PRIME for h in group) for x, y in functions] for group in groups]


@given(h=st.integers(0, WIDE_PRIME - 1), a=st.integers(1, WIDE_PRIME - 1), b=st.integers(0, WIDE_PRIME - 1))
def test_wide_functions_do_not_overflow(h: int, a: int, b: int) -> None:
    functions = hash_functions.WideFunctions(np.array([a], np.uint64), np.array([b], np.uint64))
    assert functions.smallest(np.array([h], np.uint64), np.array([0])).tolist() == [[(a * h + b) % WIDE_PRIME]]


TEXTS = st.lists(st.text(st.sampled_from("ab é\u1e9e\u65e5\U0001f600"), max_size=30), max_size=8)


@given(texts=TEXTS, ngrams=st.integers(1, 12), wide=st.booleans())
def test_signatures_are_the_smallest_of_every_function(texts: list[str], ngrams: int, wide: bool) -> None:
    hasher = MinHasher(7, ngrams, seed=3, wide=wide)
    found = hasher.signatures(pa.array(texts, pa.large_string()))
    assert found.tolist() == [_by_hand(text, hasher) for text in texts]
    sliced = pa.array(["x", *texts], pa.large_string())[1:]
    assert hasher.signatures(sliced).tolist() == found.tolist()


@given(texts=TEXTS, ngrams=st.integers(1, 12))
def test_texts_in_pieces_have_the_same_signatures(texts: list[str], ngrams: int) -> None:
    hasher = MinHasher(5, ngrams, seed=11)
    whole = hasher.signatures(pa.array(texts, pa.large_string()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signatures, "_PIECE", 8)
        patch.setattr(hash_functions, "_HASHES", 5)
        assert hasher.signatures(pa.array(texts, pa.large_string())).tolist() == whole.tolist()


def test_agreement_of_signatures_is_the_jaccard_similarity() -> None:
    chance = random.Random(1)
    first = "".join(chance.choice("abcdefgh ") for _ in range(3000))
    second = first[:2000] + "".join(chance.choice("abcdefgh ") for _ in range(1000))
    sets = [{text[at : at + 8] for at in range(len(text) - 7)} for text in (first, second)]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    one, other = MinHasher(4000, 8, seed=42).signatures(pa.array([first, second], pa.large_string()))
    # Four standard errors of a share of 4000.
    assert abs(float(np.mean(one == other)) - jaccard) < 4 * (jaccard * (1 - jaccard) / 4000) ** 0.5


def test_functions_depend_on_the_seed_alone() -> None:
    texts = pa.array(["some text of more than one n-gram"], pa.large_string())
    assert MinHasher(9, 5, 1).signatures(texts).tolist() == MinHasher(9, 5, 1).signatures(texts).tolist()
    assert MinHasher(9, 5, 1).signatures(texts).tolist() != MinHasher(9, 5, 2).signatures(texts).tolist()


def test_the_curve_of_bands_and_rows() -> None:
    assert detection_probability(1, 20, 13) == 1
    assert detection_probability(0, 20, 13) == 0
    assert detection_probability(0.8, 20, 5) == pytest.approx(1 - (1 - 0.8**5) ** 20)
    assert threshold(16, 4) == pytest.approx(0.5)
    assert "20 bands of 13 find, of pairs with a Jaccard similarity of 0.5: 0.2%" in describe_detection(20, 13)
    with pytest.raises(OptionError, match="from 0 to 1, got"):
        detection_probability(1.5, 20, 13)
    with pytest.raises(OptionError, match="at least one band"):
        detection_probability(0.5, 0, 13)


def _chunks(edges: list[tuple[int, int]], size: int) -> Any:
    array = np.array(edges, np.int64).reshape(-1, 2)
    return lambda: ((array[at : at + size, 0], array[at : at + size, 1]) for at in range(0, len(array), size))


@settings(max_examples=150)
@given(
    edges=st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), max_size=60),
    size=st.integers(1, 20),
    fewest=st.sampled_from([1, 1 << 20]),
)
def test_components_are_those_that_scipy_finds(edges: list[tuple[int, int]], size: int, fewest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "_FEWEST_EDGES", fewest)
        nodes, roots = connected_components(_chunks(edges, size))
    assert nodes.tolist() == sorted({node for edge in edges for node in edge})
    if not edges:
        return
    at = {node: number for number, node in enumerate(nodes.tolist())}
    x, y = ([at[edge[side]] for edge in edges] for side in (0, 1))
    _, labels = by_scipy(coo_matrix((np.ones(len(x)), (x, y)), shape=(len(at), len(at))), directed=False)
    smallest: dict[int, int] = {}
    for node, label in zip(nodes.tolist(), labels.tolist(), strict=True):
        smallest.setdefault(label, node)
    assert roots.tolist() == [smallest[label] for label in labels.tolist()]


def test_long_paths_in_any_order() -> None:
    chance = random.Random(5)
    names = chance.sample(range(10**9), 20_000)
    edges = list(pairwise(names))
    chance.shuffle(edges)
    nodes, roots = connected_components(_chunks(edges, 3000))
    assert (len(nodes), set(roots.tolist())) == (20_000, {min(names)})
