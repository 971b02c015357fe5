"""The plain training loop: ``python -m ncl_model.training --config small --data SOURCE --minutes 25 --out DIR``.

Needs torch, numpy, pillow and safetensors alone, on a CPU or one GPU. DIR receives ``state.pt`` (to go on from),
``weights.safetensors`` (to predict with), ``log.jsonl``, ``metrics.csv`` and ``curves.png``. The same command
goes on where the last saved state ended; a run that has used up its budget is left as it is.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncl_model.desk import Desk
from ncl_model.devices import DEVICES, default_loaders, describe, pick_device
from ncl_model.errors import ConfigInvalid, NclModelError
from ncl_model.interruption import heeding_signals
from ncl_model.loading import Loading, batches
from ncl_model.loop import Loop, never, unheard
from ncl_model.material import Material
from ncl_model.recipe import TrainConfig, ready_recipes
from ncl_model.run_files import RunFiles
from ncl_model.run_log import RunLog, no_echo
from ncl_model.trainer import Trainer

_MB = 1_000_000
_EPILOG = "Ctrl-C or SIGTERM saves and ends (exit code 130 or 143); one more, seconds later, ends at once."


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

    ``out`` gets the files named above; a saved state there is taken up, and ``start_from`` counts only without
    one. ``noted`` gets every row of the metrics, ``echo`` every line of the log. Raises ConfigInvalid,
    DatasetInvalid, CheckpointError, and TrainingDiverged when the loss stays beyond all numbers.
    """
    place = place or Place()
    device = pick_device(place.device)
    files = RunFiles(out=out, part_bytes=None if place.part_mb is None else max(1, int(place.part_mb * _MB)))
    trainer = Trainer(recipe, device)
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
        if trainer.finished:
            return True
        material = load_material(recipe, sources, out, leave_out_bad=place.leave_out_bad)
        log.event("material", **material.described)
        provenance = {"material": material.described, "device": describe(device), "workers": 1}
        if start_from is not None:
            provenance["started_from"] = start_from.name
        processes = default_loaders(device) if place.loaders is None else place.loaders
        loading = Loading(processes=processes, pinned=device.type == "cuda")
        loop = Loop(trainer, Desk(files, log, material.validation, provenance), stop=stop, noted=noted)
        finished = loop.run(batches(material, recipe, trainer.step, loading))
        log.event("end", finished=finished, step=trainer.step)
        return finished
    finally:
        log.close()


def load_material(recipe: TrainConfig, sources: Sequence[Path], out: Path, *, leave_out_bad: bool) -> Material:
    """What the sources hold, checked against the recipe; PACKs are unpacked below ``out``. Raises DatasetInvalid."""
    material = Material.load(
        sources, held_out=recipe.held_out, seed=recipe.seed, work=out / "data", leave_out_bad=leave_out_bad
    )
    material.check_shares(people=recipe.people, synthetic=recipe.synthetic)
    return material


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 and 143 interrupted and saved."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    place = Place(device=given.device, loaders=given.workers, part_mb=given.part_mb, leave_out_bad=given.leave_out_bad)
    try:
        recipe = TrainConfig.load(given.config).with_budget(minutes=given.minutes, steps=given.steps)
        with heeding_signals() as stop:
            train(recipe, given.data, given.out, place, start_from=given.start_from, stop=stop, echo=_print)
    except ConfigInvalid as error:
        return _told(error, 2)
    except (NclModelError, OSError) as error:
        return _told(error, 1)
    if stop.signal is not None:
        sys.stderr.write(f"saved in {given.out}; the same command goes on from there\n")
        return 128 + stop.signal
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ncl_model.training",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ready = ", ".join(ready_recipes())
    parser.add_argument("--config", default="small", help=f"{ready}, or a YAML or JSON file (default: small)")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="index.csv, folder or PACK; repeatable"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="wall time of training (default: the recipe's)")
    budget.add_argument("--steps", type=int, help="optimizer steps, instead of a time")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default: auto)")
    parser.add_argument("--workers", type=int, help="processes that prepare batches (default: as the device needs)")
    parser.add_argument(
        "--start-from", type=Path, help="weights.safetensors to begin with, of the same or of a smaller network"
    )
    parser.add_argument("--part-mb", type=float, help="also write state and weights in parts of so many megabytes")
    parser.add_argument("--leave-out-bad", action="store_true", help="go on without files that cannot be read")
    return parser


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _told(error: Exception, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
