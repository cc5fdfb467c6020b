"""What failed, on disk: complete, checked when it is read, and not in the way of each other."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.errors import DataError, OutputError
from nemo_curator.testing import Number


def _failure(identity: str, stage: str = "invert") -> Failure:
    return Failure.of(ZeroDivisionError("by 0"), task_id=identity, stage=stage, declared_at="p.py:3", attempts=2)


def _keep(quarantine: Quarantine, identity: str, data: object = 7, stage: str = "invert") -> str:
    task = Number("n", data)  # type: ignore[arg-type]
    envelope = Envelope(identity, task, (("0_1", 5 << 60),))
    return quarantine.keep(envelope, _failure(identity, stage), reason="ZeroDivisionError", slots=None)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(str(tmp_path / "q"))


def test_an_entry_says_all_and_has_the_task(quarantine: Quarantine) -> None:
    assert quarantine.entries() == []
    name = _keep(quarantine, "0_1_2")
    (entry,) = quarantine.entries()
    assert (entry.id, entry.stage, entry.attempts, entry.reason) == ("0_1_2", "invert", 2, "ZeroDivisionError")
    assert (entry.cause, entry.declared_at, entry.file) == ("ZeroDivisionError: by 0", "p.py:3", name)
    assert entry.claims == (("0_1", 5 << 60),)
    assert quarantine.load(entry).data == 7


def test_large_payloads_lie_beside_it(quarantine: Quarantine, tmp_path: Path) -> None:
    _keep(quarantine, "0_1", b"x" * 100_000)
    (entry,) = quarantine.entries()
    assert quarantine.load(entry).data == b"x" * 100_000
    assert [path.stat().st_size for path in (tmp_path / "q").glob("*.bin")] == [100_000]


def test_what_cannot_be_kept_is_still_told(quarantine: Quarantine) -> None:
    _keep(quarantine, "0_1", threading.Lock())
    (entry,) = quarantine.entries()
    assert not entry.has_payload
    assert "lock" in entry.note
    with pytest.raises(DataError, match=r"task 0_1 of stage 'invert' was not kept: .*lock.*run its source again"):
        quarantine.load(entry)


def test_the_same_task_again_replaces_its_entry(quarantine: Quarantine) -> None:
    _keep(quarantine, "0_1", 1)
    _keep(quarantine, "0_1", 2)
    _keep(quarantine, "0_1", 3, stage="other")
    assert [quarantine.load(entry).data for entry in quarantine.entries()] == [2, 3]


def test_entries_come_by_stage_and_id(quarantine: Quarantine) -> None:
    for identity in ("0_10", "0_9", "0_9_1"):
        _keep(quarantine, identity)
    assert [entry.id for entry in quarantine.entries()] == ["0_9", "0_9_1", "0_10"]


def test_a_changed_payload_is_noticed(quarantine: Quarantine, tmp_path: Path) -> None:
    _keep(quarantine, "0_1", b"x" * 1000)
    (blob,) = (tmp_path / "q").glob("*.bin")
    blob.write_bytes(b"y" * 1000)
    with pytest.raises(DataError, match="is not what was written"):
        quarantine.load(quarantine.entries()[0])
    blob.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        quarantine.load(quarantine.entries()[0])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "id": "x"}'])
def test_a_damaged_entry_is_named(quarantine: Quarantine, text: str, tmp_path: Path) -> None:
    name = _keep(quarantine, "0_1")
    (tmp_path / "q" / name).write_text(text)
    with pytest.raises(DataError, match=f"{name} is damaged"):
        quarantine.entries()


def test_what_is_not_an_entry_is_left_alone(quarantine: Quarantine, tmp_path: Path) -> None:
    _keep(quarantine, "0_1", b"x" * 1000)
    for name in ("notes.json", "invert-00112233445566778899aabb.bin", ".invert-x.json.tmp"):
        (tmp_path / "q" / name).write_text("no entry")
    assert len(quarantine.entries()) == 1
    quarantine.remove(quarantine.entries()[0])
    assert quarantine.entries() == []
    assert len(list((tmp_path / "q").iterdir())) == 3


def test_file_names_in_the_data_are_not_believed(quarantine: Quarantine, tmp_path: Path) -> None:
    name = _keep(quarantine, "0_1")
    fields = json.loads((tmp_path / "q" / name).read_text())
    (tmp_path / "q" / name).write_text(json.dumps({**fields, "file": "../../etc/passwd"}))
    assert quarantine.entries()[0].file == name


def test_many_may_write_at_a_time(quarantine: Quarantine) -> None:
    threads = [threading.Thread(target=_keep, args=(quarantine, f"0_{n}", b"x" * 500)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.id for entry in quarantine.entries()] == [f"0_{n}" for n in range(16)]


def test_it_can_be_anywhere() -> None:
    quarantine = Quarantine("memory://kept/here")
    _keep(quarantine, "0_1", b"x" * 1000)
    (entry,) = quarantine.entries()
    assert quarantine.load(entry).data == b"x" * 1000
    quarantine.remove(entry)
    assert quarantine.entries() == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another quarantine_path"):
        _keep(Quarantine(str(tmp_path / "file")), "0_1")


def test_a_summary_for_people(quarantine: Quarantine) -> None:
    assert quarantine.summary().endswith("empty")
    for identity in ("0_1", "0_2"):
        _keep(quarantine, identity)
    assert "invert: 2 x ZeroDivisionError, for example task 0_1: ZeroDivisionError: by 0" in quarantine.summary()
