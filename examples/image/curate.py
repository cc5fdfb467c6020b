"""Curate photographs as they come from the web: two WebDataset archives in, clean archives and a picture of what became of each image out.

    python -m examples.image.curate [--output FOLDER] [--sheet FILE.jpg] [--quick]

The photographs are those that come with scikit-image. Into the archives go the originals, copies of them (smaller, compressed, brighter), damaged
ones (blurred, noisy, scaled up), pages of text, and what every crawl has: half a file, a web page called .jpg, a bomb of 169 megapixels in 21 kB.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from examples.image.photographs import NAMES, blurred, brighter, folder_of, jpeg, noisy, photographs, scaled
from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.deduplication import FindPerceptualDuplicates, ImageDuplicatesRemovalStage
from nemo_curator.stages.image.filters import ImageNSFWFilterStage, ImageQualityFilterStage, ImageTextFilterStage
from nemo_curator.stages.image.io import ImageReaderStage, ImageWriterStage
from nemo_curator.stages.image.transforms import ImageResizeStage
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks import ImageBatch

Source = tuple[str, bytes, Image.Image | None]

# Each copy and each damage is done to a few photographs, so that the sheet can be looked at.
CHANGES = {
    "half size": lambda image: scaled(image, 0.5),
    "JPEG 30": lambda image: jpeg(image, 30),
    "brighter": lambda image: brighter(image, 1.3),
    "blurred": lambda image: blurred(image, 3),
    "noisy": lambda image: noisy(image, 60),
    "scaled up": lambda image: scaled(scaled(image, 0.25), 4),
}
TEXTS = ("page", "text")
WORDS = {
    "truncated": "half a file",
    "not_an_image": "a web page",
    "too_many_pixels": "a bomb",
}


def sources(quick: bool) -> Iterator[Source]:
    """Yield name, file and, where there is one, the image of everything that goes into the archives."""
    # These are public domain or CC0, so that the picture of them can be shown.
    skimage = {Path(name).stem for name in NAMES["skimage"][1]} - {"motorcycle_left"}
    photos = {name: photo for name, photo in photographs().items() if name in skimage}
    photos = dict(list(photos.items())[:3]) if quick else photos
    for number, (name, photo) in enumerate(photos.items()):
        yield _source(name, photo)
        for at, (change, make) in enumerate(CHANGES.items()):
            if (at + number) % 3 == 0:
                yield _source(f"{name}, {change}", make(photo))
    for name in TEXTS:
        yield _source(name, Image.open(folder_of("skimage", "data") / f"{name}.png").convert("RGB"))
    whole = _file(photos["astronaut"])
    yield WORDS["truncated"], whole[: len(whole) // 2], None
    yield WORDS["not_an_image"], b"<html><title>404 Not Found</title></html>", None
    bomb = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(bomb, "PNG")
    yield WORDS["too_many_pixels"], bomb.getvalue(), None


def _source(name: str, image: Image.Image) -> Source:
    return name, _file(image), image


def _file(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write_archives(found: list[Source], folder: Path) -> dict[str, Source]:
    """Write everything into two archives, unless they are there; return it by the id that the reader will give it."""
    folder.mkdir(parents=True, exist_ok=True)
    by_id = {}
    for archive in range(2):
        part = found[archive::2]
        by_id |= {f"crawl-{archive}_{number:06d}": source for number, source in enumerate(part)}
        target = folder / f"crawl-{archive}.tar"
        # An archive that is written again is another one, of which a checkpoint knows nothing.
        if target.exists():
            continue
        aside = target.with_suffix(".part")
        with tarfile.open(aside, "w") as tar:
            for number, (_, content, _) in enumerate(part):
                member = tarfile.TarInfo(f"{number:04d}.jpg")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        aside.replace(target)
    return by_id


class Note(ProcessingStage[ImageBatch, ImageBatch]):
    """Notes which images came this far, in a file named after the task, so that doing it again changes nothing."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.name = f"note {name}"

    def process(self, task: ImageBatch) -> ImageBatch:
        """Write the ids down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / task.task_id).write_text("\n".join(image.image_id for image in task.data))
        return task


def came_to(folder: Path, name: str) -> set[str]:
    """Return the ids that a `Note` has noted."""
    return {line for path in (folder / name).glob("*") for line in path.read_text().splitlines()}


def filtered(folder: Path, name: str) -> Pipeline:
    """Return the first stages of both pipelines: read, leave out what is bad, unsafe, poor, or mostly text."""
    notes = folder / "notes"
    return (
        Pipeline(name)
        .add_stage(FilePartitioningStage(str(folder / "in"), files_per_partition=1, file_extensions=[".tar"]))
        # What would crash or hang the decoder costs one image.
        .add_stage(ImageReaderStage(dali_batch_size=8, verbose=False, isolate_decoder=True))
        .add_stage(Note(notes, "read"))
        .add_stage(ImageNSFWFilterStage())
        .add_stage(Note(notes, "nsfw"))
        .add_stage(ImageQualityFilterStage(score_threshold=20))
        .add_stage(Note(notes, "quality"))
        .add_stage(ImageTextFilterStage())
        .add_stage(Note(notes, "text"))
    )


def curate(folder: Path, executor: BaseExecutor, checkpoint: str | None = None) -> dict[str, int]:
    """Find near-duplicates, then write what is left; return what was left out in this run, by reason."""
    found = (
        filtered(folder, "find")
        .add_stage(FindPerceptualDuplicates())
        .add_stage(ParquetWriter(str(folder / "duplicates")))
    )
    # Of what is alike, all is known or nothing: this pass has no source to go on from.
    found.run(executor)
    write = (
        filtered(folder, "curate")
        .add_stage(ImageDuplicatesRemovalStage(str(folder / "duplicates")))
        .add_stage(Note(folder / "notes", "duplicate"))
        .add_stage(ImageResizeStage(shorter_side=256))
        .add_stage(ImageWriterStage(str(folder / "out"), images_per_tar=100))
    )
    write.run(executor, checkpoint_path=checkpoint)
    assert write.last_report is not None
    dropped: dict[str, int] = {}
    for stage in write.last_report.stages:
        for reason, count in stage.counts.items_dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return dropped


def verdicts(folder: Path, by_id: dict[str, Source]) -> dict[str, str]:
    """Return for every id at which stage it was left out, ``kept`` if at none."""
    steps = ["read", "nsfw", "quality", "text", "duplicate"]
    reached = {step: came_to(folder / "notes", step) for step in steps}
    first_lost = {each: next((step for step in steps if each not in reached[step]), "kept") for each in by_id}
    return {each: "bad file" if step == "read" else step for each, step in first_lost.items()}


def contact_sheet(by_id: dict[str, Source], found: dict[str, str], columns: int = 8, side: int = 112) -> Image.Image:
    """Return a picture of all images, framed in green where they were kept, in red with the reason where they were not."""
    line, gap = 13, 6
    cell = side + 2 * line + 2 * gap
    order = sorted(by_id, key=lambda each: (found[each] != "kept", found[each], by_id[each][0]))
    sheet = Image.new("RGB", (columns * (side + 2 * gap), -(-len(order) // columns) * cell), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for number, each in enumerate(order):
        name, _, image = by_id[each]
        left, top = number % columns * (side + 2 * gap) + gap, number // columns * cell + gap
        kept = found[each] == "kept"
        colour = (0, 140, 60) if kept else (200, 30, 30)
        thumbnail = Image.new("RGB", (side, side), (235, 235, 235))
        if image is not None:
            small = image.copy()
            small.thumbnail((side, side))
            thumbnail.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
        sheet.paste(thumbnail, (left, top))
        draw.rectangle((left - 2, top - 2, left + side + 1, top + side + 1), outline=colour, width=3)
        draw.text((left, top + side + 2), name, fill="black", font=font)
        draw.text((left, top + side + 2 + line), found[each], fill=colour, font=font)
    return sheet


def run(
    folder: Path, executor: BaseExecutor, *, quick: bool = False, checkpoint: str | None = None
) -> tuple[dict[str, Source], dict[str, str], dict[str, int]]:
    """Make the archives in a folder and curate them; return what there was, what became of it, and what was left out by reason.

    With a checkpoint, a run that was killed finds near-duplicates anew and goes on writing where it was.
    """
    by_id = write_archives(list(sources(quick)), folder / "in")
    dropped = curate(folder, executor, checkpoint)
    return by_id, verdicts(folder, by_id), dropped


def main() -> None:
    """Run the example and say what became of the images."""
    parser = argparse.ArgumentParser(description="Curate photographs as they come from the web.")
    parser.add_argument("--output", type=Path, help="where archives go; a temporary folder by default")
    parser.add_argument("--sheet", type=Path, help="where the picture goes")
    parser.add_argument("--quick", action="store_true", help="three photographs instead of eight")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        by_id, found, dropped = run(folder, LocalExecutor(), quick=options.quick)
        rows = sum(pq.read_metadata(path).num_rows for path in (folder / "out").glob("*.parquet"))
        print(f"{len(by_id)} files, {rows} images written")
        for reason, count in sorted(dropped.items()):
            print(f"  {count:3} left out: {reason}")
        if options.sheet:
            contact_sheet(by_id, found).save(options.sheet, quality=85)
            print(f"picture: {options.sheet}")


if __name__ == "__main__":
    main()
