"""Measure how many changed copies of photographs are found, by perceptual hash and by embedding.

    python -m examples.image.near_duplicates

Every photograph of scikit-image and scikit-learn is copied with a change and compared with its original. What must not be found are pairs of
different photographs. A third way, OpenAI's CLIP or the like, needs a model that no package ships; it is given to `ImageEmbeddingStage`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from PIL import Image

from examples.image.photographs import COPIES, folder_of, photographs
from nemo_curator.stages.image.deduplication import PerceptualHashStage
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.tasks import ImageBatch, ImageObject

MAX_DISTANCE = 8
MIN_LIKENESS = 0.9
# Beside the photographs, so that there are more pairs that must not be found.
OTHERS = (
    "camera",
    "cell",
    "clock_motion",
    "coins",
    "color",
    "horse",
    "ihc",
    "logo",
    "microaneurysms",
    "moon",
    "motorcycle_right",
    "page",
    "text",
)


def marked(images: list[Image.Image]) -> tuple[list[int], np.ndarray]:
    """Return hashes and embeddings of images."""
    batch = ImageBatch("photographs", [ImageObject(image_data=np.asarray(image)) for image in images])
    PerceptualHashStage().process(batch)
    ImageEmbeddingStage().process(batch)
    embeddings = [image.embedding for image in batch.data if image.embedding is not None]
    return [int(image.metadata["phash"], 16) for image in batch.data], np.stack(embeddings)


def main() -> None:
    """Print what share of copies is found, and how many pairs of different images."""
    photos = photographs()
    hashes, embeddings = marked(list(photos.values()))
    print(f"{'':32} {f'hash, at most {MAX_DISTANCE} bits':>22} {f'embedding, {MIN_LIKENESS} or more':>26}")
    for name, change in COPIES.items():
        copied_hashes, copied_embeddings = marked([change(photo) for photo in photos.values()])
        bits = np.array([(one ^ other).bit_count() for one, other in zip(hashes, copied_hashes, strict=True)])
        likeness = (embeddings * copied_embeddings).sum(axis=1)
        by_hash = f"{(bits <= MAX_DISTANCE).sum()} of {len(bits)} (to {bits.max()})"
        by_embedding = f"{(likeness >= MIN_LIKENESS).sum()} of {len(bits)} (from {likeness.min():.2f})"
        print(f"{name:32} {by_hash:>22} {by_embedding:>26}")
    data = folder_of("skimage", "data")
    others = [Image.open(data / f"{name}.png").convert("RGB") for name in OTHERS if name not in photos]
    more_hashes, more_embeddings = marked(others)
    names = [*photos, *(name for name in OTHERS if name not in photos)]
    all_hashes, all_embeddings = hashes + more_hashes, np.concatenate([embeddings, more_embeddings])
    # The two views of one motorcycle are one picture to most eyes.
    pairs = [
        pair
        for pair in combinations(range(len(names)), 2)
        if not all(names[at].startswith("motorcycle") for at in pair)
    ]
    bits = [(all_hashes[one] ^ all_hashes[other]).bit_count() for one, other in pairs]
    likeness = [float(all_embeddings[one] @ all_embeddings[other]) for one, other in pairs]
    wrong = sum(each <= MAX_DISTANCE for each in bits), sum(each >= MIN_LIKENESS for each in likeness)
    print(
        f"{'different images':32} {f'{wrong[0]} of {len(pairs)} (from {min(bits)})':>22} {f'{wrong[1]} of {len(pairs)} (to {max(likeness):.2f})':>26}"
    )


if __name__ == "__main__":
    main()
