"""One training sample: a photograph with a history, tampered with or not, saved, laundered, and a square of it.

authentic photograph -> history (camera, first save) -> edit by program, or a twin of one, or nothing -> save
photograph tampered with by people, with mask or scribbles --------------------------------------------------+
                                                  -> laundering (one draw for all) -> a square at any phase
photograph that people call tampered, nobody knows where, or an authentic one -> two views of the whole of it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.data import edits
from ncl_model.data.augmentation import crop_origin, turn, window_of
from ncl_model.data.laundering import launder, rescale
from ncl_model.data.resaving import JpegSettings, draw_settings, resave
from ncl_model.data.shapes import pick_region, random_shape
from ncl_model.imaging.grid import BLOCK, find_grids
from ncl_model.training.recipe import TrainConfig
from ncl_model.truth_maps import AUTHENTIC, UNKNOWN, Marks, TruthMap, label_of

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: edits by program, as shares: splices, copy-moves, removals; the rest is local retouching
_SPLICE, _COPY_MOVE, _REMOVAL = 0.45, 0.2, 0.15
#: of the authentic photographs, those that get an operation everywhere
_TWIN = 0.3
#: regions of edits that nobody outlined
_ANY_SHAPE = 0.35
#: history: probability and factors of a scale, probability and qualities of a first save
_SCALED, _FACTORS, _FIRST_SAVE, _FIRST_QUALITIES = 0.6, (0.5, 1.5), 0.85, (70, 98)
#: the save after editing
_SAVE, _QUALITIES = 0.85, (60, 98)
#: of those that are seen as a whole, the share that is tampered; and how they are reduced
_WHOLE_TAMPERED = 0.5
_KERNELS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
#: what is edited and laundered has sides of at least and at most so many pixels
_LEAST, _WINDOW = 16, 896
#: whoever edits a photograph with a side above this, in pixels, mostly publishes it smaller: probability and least side
_LARGE, _PUBLISHED, _LEAST_PUBLISHED = 512, 0.6, 256


class Photographs(Protocol):
    """What samples are made of; ``material.Material`` is one. Indexing may raise for a file that went bad."""

    @property
    def tampered(self) -> Sequence[tuple[Pixels, Mask | TruthMap]]:
        """By people: (H, W, 3) uint8 and (H, W) bool, or a truth map where only some of it is known."""

    @property
    def unmasked(self) -> Sequence[Pixels]:
        """By people, nobody knows where."""

    @property
    def authentic(self) -> Sequence[Pixels]:
        """Of every source."""

    @property
    def shapes(self) -> Sequence[tuple[int, Pixels]]:
        """(index into ``authentic``, region map (H, W) uint8) of those that have one."""

    @property
    def settings(self) -> Sequence[JpegSettings]:
        """How the files tampered with by people were saved."""


class View(NamedTuple):
    """What the network sees of a photograph."""

    #: (size, size, 3) uint8
    pixels: Pixels
    #: (2, 2) int64: phases of the two likeliest grids, see ``imaging.grid``
    grids: NDArray[np.int64]


class TrainingSample(NamedTuple):
    """A square and its truth."""

    view: View
    #: (size, size) uint8, see ``truth_maps``
    truth: TruthMap
    #: of the whole square: 1 tampered, 0 authentic, -1 unknown
    label: int
    #: another view of the same photograph, mirrored: of those that are tampered nobody knows where
    second: View | None = None


def make_sample(material: Photographs, recipe: TrainConfig, rng: np.random.Generator) -> TrainingSample:
    """One square, drawn by the recipe's shares.

    Raises what the material raises when the photograph it fell on cannot be read.
    """
    kind = rng.random()
    masked = recipe.people + recipe.synthetic
    if masked <= kind < masked + recipe.weak and material.unmasked:
        return _labelled_alone(material, recipe, rng)
    if kind < recipe.people:
        pixels, mask = _pick(material.tampered, rng)
        pixels, truth = _window(pixels, mask.astype(np.uint8), rng)
    else:
        pixels, mask = _made(material, kind < masked, rng)
        truth = mask.astype(np.uint8)
    pixels, truth = turn(pixels, truth, rng)
    if rng.random() < recipe.laundered:
        pixels, truth = launder(pixels, truth, rng, settings=material.settings)
    if recipe.framing == "resize":
        pixels, truth = _squeezed(pixels, truth, recipe.crop_size)
    grids = _grids(pixels, recipe)
    if recipe.framing == "crop":
        # a network that takes the grid for granted sees squares that begin on the file's
        step = 1 if recipe.network.grid == "estimated" else BLOCK
        top, left = crop_origin(truth, recipe.crop_size, rng, step=step)
        pixels, truth = window_of(pixels, truth, top, left, recipe.crop_size)
        if recipe.network.grid == "estimated":
            grids = (grids - (top, left)) % BLOCK
    return TrainingSample(View(pixels, grids), truth, label_of(truth))


def _labelled_alone(material: Photographs, recipe: TrainConfig, rng: np.random.Generator) -> TrainingSample:
    """Two views of a whole photograph, each reduced and saved in a way of its own; the second mirrored.

    As often of an authentic one, or being seen as a whole would say "tampered".
    """
    tampered = rng.random() < _WHOLE_TAMPERED
    pixels = _pick(material.unmasked if tampered else material.authentic, rng)
    views = [_whole(pixels, recipe, rng, mirrored=mirrored) for mirrored in (False, True)]
    truth = np.full((recipe.crop_size,) * 2, UNKNOWN if tampered else AUTHENTIC, np.uint8)
    return TrainingSample(views[0], truth, int(tampered), views[1])


def _whole(pixels: Pixels, recipe: TrainConfig, rng: np.random.Generator, *, mirrored: bool) -> View:
    size = (recipe.crop_size,) * 2
    square = np.array(Image.fromarray(pixels).resize(size, _kernel(rng)))
    if mirrored:
        square = np.ascontiguousarray(square[:, ::-1])
    if rng.random() < _SAVE:
        square = resave(square, draw_settings(rng, *_QUALITIES))
    return View(square, _grids(square, recipe))


def _grids(pixels: Pixels, recipe: TrainConfig) -> NDArray[np.int64]:
    if recipe.network.grid == "estimated":
        return np.array(find_grids(pixels), np.int64)
    return np.zeros((2, 2), np.int64)


def _made(material: Photographs, edited: bool, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A whole photograph, or a large window of one, as it left whoever tampered with it or did not."""
    host = _with_history(_pick(material.authentic, rng), None, rng)[0]
    if edited:
        pixels, mask = _edited(host, material, rng)
    else:
        twin = rng.random() < _TWIN
        pixels = edits.everywhere(host, edits.draw_operation(rng)) if twin else host
        mask = np.zeros(host.shape[:2], np.bool_)
    side = max(mask.shape)
    if side > _LARGE and rng.random() < _PUBLISHED:
        pixels, mask = rescale(pixels, mask, float(rng.uniform(_LEAST_PUBLISHED, side)) / side, _kernel(rng))
    if rng.random() < _SAVE:
        pixels = resave(pixels, draw_settings(rng, *_QUALITIES, like=material.settings))
    return pixels, mask


def _edited(host: Pixels, material: Photographs, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    kind = rng.random()
    if kind < _SPLICE:
        owner, regions = _pick(material.shapes, rng)
        donor = material.authentic[owner]
        outlined = rng.random() >= _ANY_SHAPE
        shape = pick_region(regions, rng) if outlined else _resized(random_shape(rng), donor)
        donor, shape = _with_history(donor, shape, rng)
        if shape.any():
            return edits.splice(host, donor, shape, rng)
    shape = random_shape(rng) if rng.random() < _ANY_SHAPE else pick_region(_pick(material.shapes, rng)[1], rng)
    if kind < _SPLICE + _COPY_MOVE:
        return edits.copy_move(host, shape, rng)
    if kind < _SPLICE + _COPY_MOVE + _REMOVAL:
        return edits.erase(host, shape, rng)
    return edits.retouch(host, shape, edits.draw_operation(rng), rng)


def _with_history(pixels: Pixels, shape: Mask | None, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A photograph as some camera and some program left it: scaled, cut at any phase, saved; the shape goes along."""
    mask = np.zeros(pixels.shape[:2], np.bool_) if shape is None else shape
    if rng.random() < _SCALED:
        pixels, mask = rescale(pixels, mask, float(rng.uniform(*_FACTORS)))
    pixels, mask = _window(pixels, mask, rng)
    if rng.random() < _FIRST_SAVE:
        pixels = resave(pixels, draw_settings(rng, *_FIRST_QUALITIES))
    return pixels, mask


def _window(pixels: Pixels, mask: Marks, rng: np.random.Generator) -> tuple[Pixels, Marks]:
    """At most ``_WINDOW`` pixels a side, around tampering where there is some; tiny photographs go on mirrored."""
    height, width = (min(max(side, _LEAST), _WINDOW) for side in mask.shape)
    if (height, width) == mask.shape:
        return pixels, mask
    top, left = crop_origin(mask, (height, width), rng, step=1)
    return window_of(pixels, mask, top, left, (height, width))


def _kernel(rng: np.random.Generator) -> Image.Resampling:
    return _KERNELS[int(rng.integers(len(_KERNELS)))]


def _resized(shape: Mask, like: Pixels) -> Mask:
    image = Image.fromarray(shape).resize((like.shape[1], like.shape[0]), Image.Resampling.NEAREST)
    return np.array(image)


def _squeezed(pixels: Pixels, truth: TruthMap, size: int) -> tuple[Pixels, TruthMap]:
    """All of it, bilinear, as the paper does."""
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(small), np.array(Image.fromarray(truth).resize((size, size), Image.Resampling.NEAREST))


_T = TypeVar("_T")


def _pick(items: Sequence[_T], rng: np.random.Generator) -> _T:
    return items[int(rng.integers(len(items)))]
