"""The plain training loop: one process, on a CPU or one GPU. Needs torch, numpy, pillow and safetensors alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncl_model.training.devices import default_loaders, describe, pick_device
from ncl_model.training.loading import Loading, batches
from ncl_model.training.loop import Loop, never
from ncl_model.training.material import Material
from ncl_model.training.recipe import TrainConfig
from ncl_model.training.run_files import RunFiles
from ncl_model.training.run_log import RunLog, no_echo
from ncl_model.training.run_recorder import RunRecorder, unheard
from ncl_model.training.trainer import Trainer
from ncl_model.writing import sole_writer

_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run computes, and how its folder is kept."""

    #: "auto", "cpu" or "cuda"
    device: str = "auto"
    #: processes that prepare batches; None: none on a CPU, as many as there are cores for a GPU
    loaders: int | None = None
    #: also write state and weights in parts of so many megabytes
    part_mb: float | None = None
    #: leave out files that cannot be read, instead of refusing to start
    leave_out_bad: bool = False
    #: write TensorBoard files where the package for it is installed
    tensorboard: bool = True


def train(
    recipe: TrainConfig,
    sources: Sequence[Path],
    out: Path,
    place: Place | None = None,
    *,
    start_from: Path | None = None,
    stop: Callable[[], bool] = never,
    noted: Callable[[dict[str, Any]], None] = unheard,
    echo: Callable[[str], None] = no_echo,
) -> bool:
    """Train in this process until the recipe's budget is used up (True) or ``stop`` says so (False).

    ``out`` gets ``state.pt`` (to go on from), ``weights.safetensors`` (to predict with), ``log.jsonl``,
    ``metrics.csv`` and ``curves.png``. A saved state there is taken up; ``start_from`` counts only without one.
    ``noted`` gets every row of the metrics, before them ``resumed_from``, the step of a state that was taken up, and
    while validating ``validated`` and ``to_validate``;
    ``echo`` every line of the log. Raises ConfigInvalid, DatasetInvalid, CheckpointError, OutputUnwritable,
    FolderInUse when another run is at work in ``out``, and TrainingDiverged when the loss stays beyond all numbers.
    """
    place = place or Place()
    device = pick_device(place.device)
    files = RunFiles(out=out, part_bytes=None if place.part_mb is None else max(1, int(place.part_mb * _MB)))
    trainer = Trainer(recipe, device)
    with sole_writer(out):
        state = files.load_state()
        grown: tuple[str, ...] = ()
        if state is not None:
            trainer.load_state(state, files.state)
        elif start_from is not None:
            grown = trainer.start_from(start_from)
        log = RunLog(out, step=trainer.step, tensorboard=place.tensorboard, echo=echo)
        try:
            if state is None and start_from is not None:
                log.event("started_from", weights=start_from.name, grown=grown)
            log.event(
                "start", resumed=state is not None, step=trainer.step, device=describe(device), recipe=recipe.to_dict()
            )
            if state is not None:
                noted({"resumed_from": trainer.step})
            if trainer.finished and files.has_weights_of(trainer.step):
                return True
            material = load_material(recipe, sources, out, leave_out_bad=place.leave_out_bad)
            log.event("material", **material.described)
            provenance = {"material": material.described, "device": describe(device), "workers": 1}
            if start_from is not None:
                provenance["started_from"] = start_from.name
            processes = default_loaders(device) if place.loaders is None else place.loaders
            loading = Loading(processes=processes, pinned=device.type == "cuda")
            recorder = RunRecorder(files, log, material.validation, provenance)
            if trainer.finished:  # it ended between its last state and its weights
                recorder.save(trainer, validate=True, noted=noted)
                return True
            loop = Loop(trainer, recorder, stop=stop, noted=noted)
            finished = loop.run(batches(material, recipe, trainer.step, loading))
            log.event("end", finished=finished, step=trainer.step)
            return finished
        finally:
            log.close()


def load_material(recipe: TrainConfig, sources: Sequence[Path], out: Path, *, leave_out_bad: bool) -> Material:
    """What the sources hold, checked against the recipe; PACKs are unpacked below ``out``. Raises DatasetInvalid."""
    material = Material.load(
        sources,
        held_out=recipe.val_fraction,
        seed=recipe.split,
        work=out / "data",
        leave_out_bad=leave_out_bad,
        labels_alone=recipe.weak > 0,
    )
    material.check_shares(people=recipe.people, synthetic=recipe.synthetic, weak=recipe.weak)
    return material
