"""What a release is made from: the request, and the photographs that the run never trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncl_model.data.datasets import find_sources, root_sources, split_by_group
from ncl_model.errors import CheckpointMismatch, ConfigInvalid
from ncl_model.evaluation.survey import Part
from ncl_model.inference.checkpoint import Checkpoint
from ncl_model.training.recipe import with_current_names


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseRequest:
    """What is to be released, from what, and where to."""

    #: weights.safetensors of a training run
    run: Path
    #: the sources it was trained from
    data: Sequence[Path]
    #: the file to write
    out: Path
    #: more authentic photographs for the calibration, none of them trained on
    authentic: Sequence[Path] = ()
    #: written into the file; None: the run's
    name: str | None = None
    version: str = "1"
    #: score rule in words, as a release prints it; None: by the criterion
    rule: str | None = None
    #: cpu, cuda, cuda:1 ...; scores of a GPU differ in the last digits
    device: str = "cpu"
    #: write the file although something speaks against shipping it
    accept_worse: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """What was chosen, and whether the file was written."""

    checkpoint: Checkpoint
    #: False: it was refused because of its doubts
    written: bool

    @property
    def chosen(self) -> Mapping[str, Any]:
        """What was chosen on validation, with the figures it was chosen by."""
        chosen: Mapping[str, Any] = self.checkpoint.provenance["chosen_on_validation"]
        return chosen

    @property
    def doubts(self) -> Sequence[str]:
        """What speaks against shipping it."""
        doubts: Sequence[str] = self.chosen["doubts"]
        return doubts


def held_out_parts(paths: Sequence[Path], *, held_out: float, seed: int) -> tuple[list[Part], list[Part]]:
    """What a run on these sources never trained on, by source: (labelled sets, sets of authentic photographs)."""
    labelled: list[Part] = []
    authentic: list[Part] = []
    for source in find_sources(paths):
        out = split_by_group(source.samples, held_out=held_out, seed=seed)[1]
        if out:
            (labelled if source.labelled else authentic).append(Part(name=source.name, samples=out))
    return labelled, authentic


def sources_of(data: Sequence[Path]) -> list[Path]:
    """The sources as given; one folder that holds the sets of the shipped weights stands for those."""
    if len(data) == 1 and (data[0] / "casia1" / "train").is_dir():
        return root_sources(data[0])
    return list(data)


def split_of(run: Checkpoint, path: Path) -> tuple[float, int]:
    """(share held out, seed) of the run's recipe, of any age. Raises CheckpointMismatch when the weights do not say."""
    try:
        recipe = with_current_names(run.provenance.get("recipe"))  # type: ignore[arg-type]
        split_seed = recipe.get("split_seed")
        return float(recipe["val_fraction"]), int(recipe["seed"] if split_seed is None else split_seed)
    except (ConfigInvalid, AttributeError, KeyError, TypeError, ValueError):
        raise CheckpointMismatch(
            path,
            "does not say which photographs were held out (no recipe with val_fraction and seed)",
            "Give the weights.safetensors that a training run wrote",
        ) from None
