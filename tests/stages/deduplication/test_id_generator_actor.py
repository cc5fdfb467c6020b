"""Ids of documents that an actor on a Ray cluster keeps, from one run to the next."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.fingerprint import StageFingerprint, fingerprints
from nemo_curator.errors import ClusterError, DataError, IdGeneratorError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication import id_generator
from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.id_generator import (
    CURATOR_DEDUP_ID_STR,
    CURATOR_ID_GENERATOR_ACTOR_NAME,
    IdGeneratorBase,
    IdsOfActor,
    create_id_generator_actor,
    get_id_generator_actor,
    kill_id_generator_actor,
    write_id_generator_to_disk,
)
from nemo_curator.stages.text.io.reader import JsonlReader, JsonlReaderStage
from nemo_curator.utils.ray_connection import joined_cluster

pytest.importorskip("ray")


def _lines(folder: Path, name: str, rows: int = 3) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for file in "abc":
        texts = [json.dumps({"text": f"{name} {file} {row}"}) for row in range(rows)]
        (folder / f"{file}.jsonl").write_text("\n".join(texts) + "\n")
    return str(folder)


def _ids(reader: JsonlReader, executor: BaseExecutor | None = None) -> dict[str, int]:
    outputs = Pipeline("ids", stages=[reader]).run(executor or LocalExecutor(mode="processes", num_workers=2)) or []
    found: dict[str, int] = {}
    for task in outputs:
        table = task.to_pyarrow()  # pyright: ignore[reportAttributeAccessIssue]
        found |= dict(zip(table["text"].to_pylist(), table[CURATOR_DEDUP_ID_STR].to_pylist(), strict=True))
    return found


# Without a cluster


@pytest.mark.parametrize(
    "call",
    [create_id_generator_actor, kill_id_generator_actor, lambda: write_id_generator_to_disk("ids.json")],
    ids=["create", "kill", "write"],
)
def test_a_cluster_must_be_named(call: Callable[[], None]) -> None:
    with pytest.raises(ClusterError, match=r"no Ray cluster was named.*RayClient"):
        call()


def test_a_reader_without_ids_says_where_it_has_looked(tmp_path: Path) -> None:
    reader = JsonlReader(_lines(tmp_path / "in", "x"), _assign_ids=True)
    with pytest.raises(
        RuntimeError, match=r"stage 'jsonl_reader'.*id_generator_path.*no Ray cluster was named"
    ) as caught:
        _ids(reader)
    assert isinstance(caught.value, IdGeneratorError)


def test_without_a_cluster_ids_begin_at_zero(tmp_path: Path) -> None:
    assert IdsOfActor().register([(["a"], 3)]) is None
    assert sorted(_ids(JsonlReader(_lines(tmp_path / "in", "x"), _generate_ids=True)).values()) == list(range(9))


def test_a_stage_notes_the_cluster_on_its_way_to_a_worker_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    stage = JsonlReaderStage(_assign_ids=True)
    sent = pickle.loads(pickle.dumps(stage))
    monkeypatch.delenv("RAY_ADDRESS")
    assert (stage._actor.address, deepcopy(stage)._actor.address) == (None, None)
    assert (sent._actor.address, pickle.loads(pickle.dumps(sent))._actor.address) == ("10.0.0.1:6379",) * 2


def test_where_the_actor_is_makes_no_other_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> list[StageFingerprint]:
        return fingerprints(compile_plan([JsonlReader("/", _assign_ids=True)]))

    before = seen()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert seen() == before


def test_groups_are_registered_as_one_by_one() -> None:
    groups = [(["a", "b"], 3), (["c"], 0), (["d"], 2), (["a", "b"], 3)]
    many, single = IdGeneratorBase(start_id=5), IdGeneratorBase(start_id=5)
    assert many.register_batches(groups) == [single.register_batch(*group) for group in groups] == [5, 8, 8, 5]
    assert many.content() == single.content()


# On a cluster


@pytest.fixture
def named_cluster(cluster: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    yield cluster
    with joined_cluster() as ray:
        for actor in ray.util.list_named_actors(all_namespaces=True):
            if actor["name"] == CURATOR_ID_GENERATOR_ACTOR_NAME:
                kill_id_generator_actor()


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_ids_go_on_from_run_to_run_and_are_found_again(named_cluster: str, tmp_path: Path) -> None:
    first, second = _lines(tmp_path / "first", "first"), _lines(tmp_path / "second", "second", 4)
    create_id_generator_actor()
    ids = _ids(JsonlReader(first, _generate_ids=True))
    assert [ids[text] for text in sorted(ids)] == list(range(9))
    # Another data set comes behind; the same again has the ids that it had.
    more = _ids(JsonlReader(second, _generate_ids=True), RayActorPoolExecutor())
    assert sorted(more.values()) == list(range(9, 21))
    assert _ids(JsonlReader(first, _generate_ids=True)) == ids
    assert _ids(JsonlReader(second, _assign_ids=True), RayActorPoolExecutor()) == more
    # What is on disk is what the actor knows, and a new actor goes on from there.
    path = str(tmp_path / "ids.json")
    write_id_generator_to_disk(path)
    kill_id_generator_actor()
    with pytest.raises(RuntimeError, match="there is no actor 'curator_deduplication_id_generator'"):
        kill_id_generator_actor()
    create_id_generator_actor(path)
    assert _ids(JsonlReader(first, _assign_ids=True)) == ids
    assert _ids(JsonlReader(first, _assign_ids=True, id_generator_path=path)) == ids
    with joined_cluster() as ray:
        actor = get_id_generator_actor()
        assert ray.get(actor.register_batch.remote(["another"], 1)) == 21
        assert ray.get(actor.get_batch_range.remote(["another"], None)) == (21, 21)
    (tmp_path / "first" / "b.jsonl").write_text('{"text": "changed"}\n')
    with pytest.raises(DataError, match=r"b\.jsonl had 3 rows when ids were given out and has 1 now"):
        _ids(JsonlReader(first, _generate_ids=True), LocalExecutor(mode="inline"))


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_where_an_actor_gives_ids_out_no_other_does(named_cluster: str, tmp_path: Path) -> None:
    folder = _lines(tmp_path / "in", "x")
    with joined_cluster() as ray:
        actor = id_generator.IdGenerator.options(
            name=CURATOR_ID_GENERATOR_ACTOR_NAME, namespace=CURATOR_ID_GENERATOR_ACTOR_NAME
        )
        kept = actor.remote(start_id=100)
        assert ray.get(kept.register_batch.remote(["a"], 1)) == 100
        with pytest.raises(IdGeneratorError, match="cannot start another"):
            create_id_generator_actor()
        workflow = ExactDeduplicationWorkflow(str(tmp_path / "out"), folder, "jsonl")
        with pytest.raises(RuntimeError, match=r"cannot number documents.*kill_id_generator_actor"):
            workflow.run(executor=RayActorPoolExecutor())
        # Its ids are not those of a run on this machine.
        assert workflow.run(executor=LocalExecutor(mode="inline")).get_metadata("num_duplicates") == 0
        kill_id_generator_actor()
        assert workflow.run(executor=RayActorPoolExecutor()).get_metadata("num_duplicates") == 0
