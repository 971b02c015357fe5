"""Training batches: everything decoded into memory once, then cropped, mixed and distorted.

Batch number n of a seed is always the same, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ncl_model.augmentation import augment, crop_window
from ncl_model.datasets import Sample, load_image, load_mask, training_split
from ncl_model.recipe import TrainConfig
from ncl_model.synthesis import synthesize

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Training photographs in memory, uint8 at native size, and the samples kept for validation."""

    #: tampered by people, with masks
    tampered: list[tuple[Pixels, Mask]]
    #: authentic, of every source
    authentic: list[Pixels]
    #: photographs for synthesis, and (index into them, region map) of those that have one
    photos: list[Pixels]
    shapes: list[tuple[int, Pixels]]
    #: never trained on
    validation: list[Sample]

    @classmethod
    def load(cls, root: Path, *, held_out: float, seed: int) -> Self:
        """Read ``casia1/train``, ``authentic/bsds500`` and ``authentic/imagenet_sample`` below ``root``.

        Validation is the held-out groups of ``casia1/train`` and as large a share of the authentic sets.
        Raises DatasetInvalid when one of them is missing.
        """
        (people, validation), (kept, out) = training_split(root, held_out=held_out, seed=seed)
        photos = [load_image(s.image) for s in kept]
        shapes = [(i, m) for i, s in enumerate(kept) if (m := _region_map(s.image)) is not None]
        tampered = [_load(s) for s in people if s.mask is not None]
        authentic = photos + [load_image(s.image) for s in people if s.mask is None]
        return cls(tampered=tampered, authentic=authentic, photos=photos, shapes=shapes, validation=validation + out)


def make_sample(material: Material, recipe: TrainConfig, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """One crop (crop, crop, 3) uint8 with its mask (crop, crop) bool, drawn by the recipe's shares."""
    kind = rng.random()
    if kind < recipe.people:
        pixels, mask = _pick(material.tampered, rng)
        pixels, mask = crop_window(pixels, mask, recipe.crop, rng)
    elif kind < recipe.people + recipe.synthetic:
        pixels, mask = synthesize(material.photos, material.shapes, recipe.crop, rng)
    else:
        pixels = _pick(material.authentic, rng)
        mask = np.zeros(pixels.shape[:2], np.bool_)
        pixels, mask = crop_window(pixels, mask, recipe.crop, rng)
    return augment(pixels, mask, rng, jpeg=recipe.jpeg)


def make_batch(material: Material, recipe: TrainConfig, number: int) -> tuple[Tensor, Tensor]:
    """Batch ``number``: pixels (B, 3, H, W) uint8, channels last, and masks (B, 1, H, W) float32."""
    rng = np.random.default_rng((recipe.seed, number))
    samples = [make_sample(material, recipe, rng) for _ in range(recipe.batch)]
    pixels = torch.from_numpy(np.stack([p for p, _ in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([m for _, m in samples])).unsqueeze(1).float()
    return pixels, masks


_T = TypeVar("_T")


def _pick(items: Sequence[_T], rng: np.random.Generator) -> _T:
    return items[int(rng.integers(len(items)))]


def _load(sample: Sample) -> tuple[Pixels, Mask]:
    pixels = load_image(sample.image)
    return pixels, load_mask(sample, (pixels.shape[0], pixels.shape[1]))


def _region_map(image: Path) -> Pixels | None:
    """The person-drawn region map beside a BSDS photograph, (H, W) uint8; None for other photographs."""
    path = image.parent.parent / "regions" / f"{image.stem}.png"
    if not path.is_file():
        return None
    with Image.open(path) as regions:
        return np.array(regions)
