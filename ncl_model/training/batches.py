"""Training batches: photographs of some material, framed, mixed and distorted.

Sample k of batch n of a seed is always the same, whoever makes it: a resumed run sees what an unbroken one would
have seen, and several workers see together what one would see alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ncl_model.data.augmentation import augment, crop_window, recompress, rescale
from ncl_model.data.resaving import JpegSettings, resave
from ncl_model.data.synthesis import synthesize
from ncl_model.errors import DatasetInvalid, NclModelError
from ncl_model.training.recipe import TrainConfig

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: other photographs that are tried when one cannot be read
_TRIES = 20
#: of the photographs that are saved once more, those that are saved as tampered files were
_LIKE_TAMPERED = 0.7
#: synthetic samples are saved once more less often than authentic ones: some were recompressed before
_RESAVED_SYNTHETIC = 0.5
#: factors that photographs are rescaled by, if they are
_RESCALED_BY = (0.6, 1.6)


class Photographs(Protocol):
    """What batches are made of; ``material.Material`` is one. Indexing may raise for a file that went bad."""

    @property
    def tampered(self) -> Sequence[tuple[Pixels, Mask]]:
        """By people: (H, W, 3) uint8 and (H, W) bool."""

    @property
    def authentic(self) -> Sequence[Pixels]:
        """Of every source."""

    @property
    def shapes(self) -> Sequence[tuple[int, Pixels]]:
        """(index into ``authentic``, region map (H, W) uint8) of those that have one."""

    @property
    def settings(self) -> Sequence[JpegSettings]:
        """How the files tampered with by people were saved."""


class Batch(NamedTuple):
    """One worker's share of a batch."""

    #: (B, 3, H, W) uint8, channels last
    pixels: Tensor
    #: (B, 1, H, W) bool, True = tampered
    masks: Tensor
    #: why photographs were left out and others taken instead
    left_out: tuple[str, ...]


def make_sample(material: Photographs, recipe: TrainConfig, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """One square (size, size, 3) uint8 with its mask (size, size) bool, drawn by the recipe's shares.

    Raises what the material raises when the photograph it fell on cannot be read.
    """
    kind = rng.random()
    if kind < recipe.people:
        pixels, mask = _frame(*_pick(material.tampered, rng), recipe, rng)
    elif kind < recipe.people + recipe.synthetic:
        pixels, mask = synthesize(material.authentic, material.shapes, recipe.size, rng)
        pixels = _resaved(pixels, material, recipe.resaved * _RESAVED_SYNTHETIC, rng)
    else:
        pixels = _pick(material.authentic, rng)
        pixels, mask = _frame(pixels, np.zeros(pixels.shape[:2], np.bool_), recipe, rng)
        pixels = _resaved(pixels, material, recipe.resaved, rng)
    return augment(pixels, mask, rng, jpeg=recipe.jpeg)


def make_batch(material: Photographs, recipe: TrainConfig, number: int, rank: int = 0, workers: int = 1) -> Batch:
    """Batch ``number``, of which worker ``rank`` of ``workers`` takes the samples k with k % workers == rank.

    A photograph that cannot be read is left out and another taken. Raises DatasetInvalid when many in a row fail.
    """
    left_out: list[str] = []
    samples = []
    for k in range(rank, recipe.batch, workers):
        rng = np.random.default_rng((recipe.seed, number * recipe.batch + k))
        samples.append(_readable(partial(make_sample, material, recipe, rng), left_out))
    pixels = torch.from_numpy(np.stack([p for p, _ in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([m for _, m in samples])).unsqueeze(1)
    return Batch(pixels, masks, tuple(left_out))


_T = TypeVar("_T")


def _readable(make: Callable[[], _T], left_out: list[str]) -> _T:
    for _ in range(_TRIES):
        try:
            return make()
        except (NclModelError, OSError) as error:
            left_out.append(str(error))
    raise DatasetInvalid(f"{_TRIES} photographs in a row cannot be read; the last: {left_out[-1]}")


def _resaved(pixels: Pixels, material: Photographs, share: float, rng: np.random.Generator) -> Pixels:
    """Saved once more, with probability ``share``; mostly as a file was that people tampered with.

    Whatever program saved the tampered files, authentic ones then come from it too, and only tampering tells them
    apart.
    """
    if rng.random() >= share:
        return pixels
    if material.settings and rng.random() < _LIKE_TAMPERED:
        return resave(pixels, _pick(material.settings, rng))
    return recompress(np.ascontiguousarray(pixels), int(rng.integers(60, 99)))


def _frame(pixels: Pixels, mask: Mask, recipe: TrainConfig, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """The recipe's square of a photograph: a native-size window, or all of it resized."""
    if rng.random() < recipe.rescaled:
        pixels, mask = rescale(pixels, mask, float(rng.uniform(*_RESCALED_BY)))
    if recipe.framing == "crop":
        return crop_window(pixels, mask, recipe.size, rng)
    side = (recipe.size, recipe.size)
    small = Image.fromarray(pixels).resize(side, Image.Resampling.BILINEAR)
    truth = Image.fromarray(mask.astype(np.uint8) * 255).resize(side, Image.Resampling.NEAREST)
    return np.asarray(small), np.asarray(truth) > 127


def _pick(items: Sequence[_T], rng: np.random.Generator) -> _T:
    return items[int(rng.integers(len(items)))]
