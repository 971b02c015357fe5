"""What a training run draws from: photographs kept as the bytes of their files, decoded when they are asked for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ncl_model.data.checking import Progress, decode_regions, no_progress, usable_sources
from ncl_model.data.datasets import Source, split_by_group
from ncl_model.data.file_bytes import read_file
from ncl_model.data.masks import MaskColour, decode_mask
from ncl_model.data.problems import tell
from ncl_model.data.resaving import JpegSettings, settings_of
from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.imaging.decoding import decode_photo
from ncl_model.truth_maps import TruthMap, truth_map

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: files kept in memory, in bytes; whatever comes after them is read from the disk each time it is drawn
KEPT_BYTES = 4_000_000_000

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Key = TypeVar("_Key")
_Out = TypeVar("_Out")


class LazySequence(Sequence[_Item], Generic[_Key, _Item]):
    """A sequence whose items are made when they are asked for; pickled and forked at the price of its keys."""

    def __init__(self, keys: Sequence[_Key], make: Callable[[_Key], _Item]) -> None:
        self._keys = keys
        self._make = make

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> LazySequence[_Key, _Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | LazySequence[_Key, _Item]:
        if isinstance(index, slice):
            return LazySequence(self._keys[index], self._make)
        return self._make(self._keys[index])

    def __iter__(self) -> Iterator[_Item]:
        return map(self._make, self._keys)


@dataclass(frozen=True, kw_only=True)
class Material:
    """Training photographs at native size, and the samples kept for validation.

    Asking for an item raises ImageUnreadable or DatasetInvalid when its file went bad since it was looked at.
    """

    #: (pixels (H, W, 3) uint8, mask (H, W) bool) of photographs tampered with by people; truth maps of scribbled ones
    tampered: Sequence[tuple[Pixels, Mask | TruthMap]]
    #: pixels (H, W, 3) uint8 of authentic photographs of every source
    authentic: Sequence[Pixels]
    #: (index into ``authentic``, region map (H, W) uint8) of those that have one
    shapes: Sequence[tuple[int, Pixels]]
    #: never trained on
    validation: list[Sample]
    #: pixels (H, W, 3) uint8 of photographs tampered with by people, nobody knows where
    unmasked: Sequence[Pixels] = ()
    #: how the files tampered with by people were saved, for saving authentic photographs like them
    settings: Sequence[JpegSettings] = ()
    #: counts, for the log and the checkpoint's provenance; plain JSON types, no folders of this machine
    described: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        sources: Sequence[Path],
        *,
        held_out: float,
        seed: int,
        work: Path | None = None,
        leave_out_bad: bool = False,
        grey_masks: bool = False,
        labels_alone: bool = False,
        progress: Progress = no_progress,
    ) -> Self:
        """Read every file of the sources, look into it, and keep its bytes.

        Validation is the held-out groups of every source (``split_by_group``). PACKs are unpacked into ``work``.
        Raises one DatasetInvalid that lists the problems of all files, unless ``leave_out_bad``: then such samples
        are left out, with a warning. Raises DatasetInvalid too when there is nothing tampered and no way to
        synthesise it, nothing authentic, or nothing on one side of the split. ``grey_masks`` as in
        ``checking.look_at``. ``labels_alone``: a tampered photograph without a mask is no problem, but one of
        ``unmasked``, unless its group is held out.
        """
        store = _Store(KEPT_BYTES)
        found, problems = usable_sources(
            sources,
            work=work,
            leave_out_bad=leave_out_bad,
            grey_masks=grey_masks,
            masks_needed=not labels_alone,
            read=store.read,
            progress=progress,
        )
        left_out = len({problem.where for problem in problems})
        if problems:
            _log.warning("%d photographs are left out:\n%s", left_out, tell(problems))
        return cls._made(found, store, held_out=held_out, seed=seed, left_out=left_out)

    @classmethod
    def _made(cls, sources: list[Source], store: _Store, *, held_out: float, seed: int, left_out: int) -> Self:
        _check_classes(sources)
        split = [split_by_group(source.samples, held_out=held_out, seed=seed) for source in sources]
        validation = [
            sample for _, out in split for sample in out if sample.tampered == (sample.whole_mask is not None)
        ]
        kept = [(source, side) for source, (side, _) in zip(sources, split, strict=True)]
        _check_sides(sum(len(side) for _, side in kept), len(validation), held_out)
        tampered = [s for _, side in kept for s in side if s.mask is not None]
        plain = [s for source, side in kept if not source.labelled for s in side]
        others = [s for source, side in kept if source.labelled for s in side if not s.tampered]
        unmasked = [s.image for _, side in kept for s in side if s.unmasked]
        authentic = plain + others
        shapes = [(i, s.regions) for i, s in enumerate(authentic) if s.regions is not None]
        settings = [how for s in tampered if (how := settings_of(store.read(s.image))) is not None]
        described = {
            "sources": [_described(source) for source in sources],
            "tampered": len(tampered),
            "authentic": len(authentic),
            "scribbled": sum(s.known is not None for s in tampered),
            "unmasked": len(unmasked),
            "unmasked_in_all": sum(s.unmasked for source in sources for s in source.samples),
            "shapes": len(shapes),
            "validation": len(validation),
            "validation_tampered": sum(s.mask is not None for s in validation),
            "left_out": left_out,
            "held_out": held_out,
            "seed": seed,
        }
        store.forget(validation)
        return cls(
            tampered=LazySequence(tampered, store.pair),
            authentic=LazySequence([s.image for s in authentic], store.photo),
            shapes=LazySequence(shapes, store.shape),
            unmasked=LazySequence(unmasked, store.photo),
            validation=validation,
            described=described,
            settings=settings,
        )

    def check_shares(self, *, people: float, synthetic: float, weak: float = 0.0) -> None:
        """Whether samples can be drawn with these shares of a batch; the rest of a batch is authentic.

        Raises DatasetInvalid that says which source is lacking.
        """
        if people > 0 and not self.tampered:
            raise DatasetInvalid(
                "no source holds photographs tampered with by people, but a share of "
                f"{people:g} of each batch is to be such: add a labelled source, or set people to 0"
            )
        if synthetic > 0 and not self.shapes:
            raise DatasetInvalid(
                f"no photograph has a region map, but a share of {synthetic:g} of each batch is to be synthesised from "
                "their shapes: add a source with regions, or set synthetic to 0"
            )
        if weak > 0 and not self.described.get("unmasked_in_all"):
            raise DatasetInvalid(
                f"a share of {weak:g} of each batch is to be learnt from by its label alone (weak), but every tampered "
                "photograph has a mask: set weak to 0"
            )
        if weak > 0 and not self.unmasked:
            _log.warning("all photographs without a mask are held out: authentic ones are drawn in their place")


class _Store:
    """Bytes of files, in memory up to a limit; a file beyond it is read whenever it is needed."""

    def __init__(self, limit: int) -> None:
        self._kept: dict[Path, bytes] = {}
        self._room = limit

    def read(self, path: Path) -> bytes:
        data = self._kept.get(path)
        if data is None:
            data = read_file(path)
            if len(data) <= self._room:  # two threads may both pass here: the limit is no hard one
                self._room -= len(data)
                self._kept[path] = data
        return data

    def forget(self, samples: Sequence[Sample]) -> None:
        """Free what only these samples need."""
        for sample in samples:
            for path in (sample.image, sample.mask, sample.known, sample.regions):
                if path is not None:
                    self._kept.pop(path, None)

    def photo(self, path: Path) -> Pixels:
        return self._decoded(path, decode_photo)

    def pair(self, sample: Sample) -> tuple[Pixels, Mask | TruthMap]:
        pixels = self.photo(sample.image)
        assert sample.mask is not None  # noqa: S101 - these are the tampered ones
        tampered = self._marks(sample.mask, sample, pixels)
        if sample.known is None:
            return pixels, tampered
        return pixels, truth_map(tampered, self._marks(sample.known, sample, pixels, "white"))

    def _marks(self, path: Path, sample: Sample, pixels: Pixels, colour: MaskColour | None = None) -> Mask:
        mask = self._decoded(path, partial(decode_mask, colour=colour or sample.tampered_colour))
        if mask.tampered.shape != pixels.shape[:2]:
            raise DatasetInvalid(f"{path}: is no longer of the size of {sample.image}; was one of them replaced?")
        return mask.tampered

    def shape(self, key: tuple[int, Path]) -> tuple[int, Pixels]:
        index, path = key
        return index, self._decoded(path, decode_regions)

    def _decoded(self, path: Path, decode: Callable[[bytes], _Out]) -> _Out:
        try:
            return decode(self.read(path))
        except ImageUnreadable as error:
            raise ImageUnreadable(error.code, f"{path}: {error}") from error
        except OSError as error:
            raise DatasetInvalid(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_classes(sources: list[Source]) -> None:
    """Refuse material that cannot show both kinds of photographs."""
    names = ", ".join(source.name for source in sources) or "no source"
    samples = [sample for source in sources for sample in source.samples]
    if not any(sample.mask is None for sample in samples):
        raise DatasetInvalid(
            f"{names}: every photograph is tampered. Without authentic ones the network cannot learn what an untouched "
            "photograph looks like, nothing can be synthesised, and no threshold for false alarms can be chosen: add a "
            "folder of authentic photographs as a source"
        )
    if not any(sample.mask is not None or sample.regions is not None for sample in samples):
        raise DatasetInvalid(
            f"{names}: every photograph is authentic, and none has a region map to cut shapes with, so there is "
            "nothing tampered to learn from: add a labelled source, or region maps"
        )


def _check_sides(kept: int, validation: int, held_out: float) -> None:
    if not kept:
        raise DatasetInvalid(f"all groups are held out (val_fraction {held_out:g}): lower it, or take another seed")
    if held_out > 0 and not validation:
        raise DatasetInvalid(
            f"no group is held out for validation (val_fraction {held_out:g}): raise it, take another seed, add sources"
        )


def _described(source: Source) -> dict[str, Any]:
    names = "\n".join(f"{s.image.name}|{s.mask is not None}|{s.group}" for s in source.samples)
    return {
        "name": source.name,
        "layout": source.layout,
        "tampered": sum(s.mask is not None for s in source.samples),
        "authentic": sum(s.mask is None for s in source.samples),
        "groups": len({s.group for s in source.samples}),
        "names_sha256": hashlib.sha256(names.encode()).hexdigest()[:16],
    }
