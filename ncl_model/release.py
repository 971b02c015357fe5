"""From a training run's weights to a file to ship: ``python -m ncl_model.release --run W --data SOURCE --out FILE``.

Chooses logit shift and score rule on the run's own validation images, fits the calibration on authentic photographs
that the run never trained on, and writes all of it down in the file. Refuses what it doubts, unless told to accept it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ncl_model.architecture.evidence_rule import EvidenceRule
from ncl_model.architecture.registry import last_bias
from ncl_model.command_line import DONE, FAILED, ProgressLines, ended
from ncl_model.copy_move.config import CopyMoveConfig
from ncl_model.data.datasets import find_sources
from ncl_model.errors import ConfigInvalid, DatasetInvalid
from ncl_model.evaluation.doubts import doubts_about
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.figures import Evaluation, summarize
from ncl_model.evaluation.release_report import release_document, rules_table, warning
from ncl_model.evaluation.selection import (
    CRITERION,
    Judged,
    RuleFigures,
    choose_rule,
    choose_shift,
    compare_rules,
)
from ncl_model.evaluation.survey import Part, Survey, examinations, survey
from ncl_model.evaluation.worst_state import worst_states
from ncl_model.inference.calibration import Calibration
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ncl_model.inference.predictor import Predictor
from ncl_model.inference.scoring import Rule
from ncl_model.release_request import Released, ReleaseRequest, held_out_parts, sources_of, split_of
from ncl_model.writing import check_writable

#: of large photographs so many blocks a side are read for each cell; one is noisier, three are no better and dearer
NATIVE_BLOCKS = 2
#: called for each image: number of the image, images of this step, name of the step
Progress = Callable[[int, int, str], None]


def untold(done: int, total: int, name: str) -> None:
    """Tell nobody."""


def release(
    run: Checkpoint,
    labelled: Sequence[Part],
    authentic: Sequence[Part],
    version: str,
    *,
    rule: str | None = None,
    device: str = "cpu",
    progress: Progress = untold,
) -> Checkpoint:
    """The checkpoint to ship; what speaks against shipping it stands in ``chosen_on_validation`` as ``doubts``.

    ``labelled``: validation images of the labelled sets, which decide shift and score rule; ``authentic``: more
    authentic ones, of other cameras, which join theirs for the calibration. ``rule``: the score rule in words, as a
    release prints it, instead of the one the criterion picks. Raises DatasetInvalid when the labelled ones lack a
    class, ConfigInvalid for a rule that is not among those compared.
    """
    _check_classes(labelled)
    steps = _Steps(progress)
    shift, shift_figures = _choose_shift(_predictor(run, device), labelled, steps)
    bias = last_bias(run.config)
    moved = dataclasses.replace(run, weights={**run.weights, bias: run.weights[bias] + shift})
    shifts = {
        "logit_shift": shift,
        "logit_shift_pixel_f1": {str(k): round(v, 4) for k, v in shift_figures.items()},
    }
    if run.config.architecture == "experts":
        return _release_experts(moved, labelled, authentic, version, device, shifts, steps)
    predictor = _predictor(moved, device)
    found, others = (
        survey(predictor, parts, seen=steps.step(f"{kind} images as they are", sum(len(p.samples) for p in parts)))
        for kind, parts in (("labelled", labelled), ("more authentic", authentic))
    )
    resaved = _resaved(predictor, labelled, steps)
    others_resaved = _resaved(predictor, authentic, steps, like=labelled)
    compared = compare_rules(
        found.scores,
        [record.label for record in found.records],
        [record.group for record in found.records],
        resaved=resaved.scores,
        others=others.scores,
    )
    chosen = choose_rule(compared).rule if rule is None else _named_rule(rule, compared)
    judged = found.judged_by(chosen)
    calibration = _calibration([(found, resaved), (others, others_resaved)], chosen)
    validation = summarize(judged, rounds=0)
    notes = {
        "doubts": doubts_about(validation, shift, chosen, asked=rule is not None),
        **shifts,
        "score_rule": str(chosen),
        "score_rule_criterion": CRITERION if rule is None else "as asked",
        "score_rules": [each.to_dict() for each in compared],
    }
    return dataclasses.replace(
        moved,
        config=chosen.set_in(moved.config),
        version=version,
        metrics=_metrics(validation, calibration),
        calibration=calibration.to_dict(),
        provenance={**run.provenance, "chosen_on_validation": notes},
    )


def _release_experts(
    moved: Checkpoint,
    labelled: Sequence[Part],
    authentic: Sequence[Part],
    version: str,
    device: str,
    shifts: Mapping[str, Any],
    steps: _Steps,
) -> Checkpoint:
    """The checkpoint of a network made of experts: its rule of evidence is fitted, there is none to choose."""
    native = NATIVE_BLOCKS if moved.config.grid == "estimated" and moved.config.geometry == "fit" else 0
    config = dataclasses.replace(moved.config, copy_move=CopyMoveConfig(), native_blocks=native, statistic="contrast")
    ready = dataclasses.replace(moved, config=config)
    parts = [*labelled, *authentic]
    untouched = sum(not sample.tampered for part in parts for sample in part.samples)
    seen = steps.step("authentic images in nine benign states", untouched)
    worst = worst_states(_predictor(ready, device), parts, seen=seen)
    try:
        rule = EvidenceRule.fit(worst.columns())
    except ValueError as error:
        raise DatasetInvalid(f"{error}; hold more groups out, or add authentic photographs") from error
    config = dataclasses.replace(ready.config, evidence=rule, score_rule="evidence")
    shipped = dataclasses.replace(ready, config=config, version=version)
    scores = np.array([max(rule.scores(each).values(), default=0.0) for each in worst.statistics])
    calibration = Calibration.fit(scores, sources=Counter(worst.sources), rule="evidence", resaved=True)
    count = sum(len(part.samples) for part in labelled)
    validation = summarize(
        survey(_predictor(shipped, device), labelled, seen=steps.step("labelled images", count)).records, rounds=0
    )
    notes = {
        "doubts": doubts_about(validation, float(shifts["logit_shift"]), Rule(map_rule=None, evidence=True)),
        **shifts,
        "score_rule": "evidence",
        "score_rules": [],
        "worst_states": {kind: dict(counted.most_common()) for kind, counted in worst.states.items()},
    }
    return dataclasses.replace(
        shipped,
        metrics=_metrics(validation, calibration),
        calibration=calibration.to_dict(),
        provenance={**moved.provenance, "chosen_on_validation": notes},
    )


def _metrics(validation: Evaluation, calibration: Calibration) -> dict[str, Any]:
    return {
        "validation": _known(dataclasses.asdict(validation)),
        "suggested_threshold": {f"fpr_{rate:.2f}": calibration.suggested(rate) for rate in (0.05, 0.20)},
        "suggested_threshold_from": f"{calibration.photographs} authentic validation images",
    }


def _calibration(pairs: Sequence[tuple[Survey, Survey]], rule: Rule) -> Calibration:
    """Fitted on the authentic images of (as they are, the authentic ones of them saved once more).

    An image counts with the larger of its two scores, so that the promise holds in both states.
    """
    scores: list[float] = []
    sources: list[str] = []
    once_more = False
    for found, resaved in pairs:
        again = {
            (source, record.name): record.score
            for source, record in zip(resaved.sources, resaved.judged_by(rule), strict=True)
        }
        once_more = once_more or bool(again)
        for source, record in zip(found.sources, found.judged_by(rule), strict=True):
            if not record.label:
                scores.append(max(record.score, again.get((source, record.name), 0.0)))
                sources.append(source)
    return Calibration.fit(np.array(scores), sources=Counter(sources), rule=str(rule), resaved=once_more)


def _resaved(predictor: Predictor, parts: Sequence[Part], steps: _Steps, *, like: Sequence[Part] = ()) -> Survey:
    """The authentic images of the parts, each saved as a tampered one of its own part was, or of ``like``."""
    found = Survey()
    for part in parts:
        saving = EqualSaving.like([sample for each in like or [part] for sample in each.samples])
        untouched = [sample for sample in part.samples if not sample.tampered]
        if saving.settings:
            seen = steps.step(f"{part.name}, saved once more", len(untouched))
            found.add(survey(predictor, [Part(name=part.name, samples=untouched)], saving, seen=seen))
    return found


def _named_rule(words: str, compared: Sequence[RuleFigures]) -> Rule:
    for figures in compared:
        if str(figures.rule) == words:
            return figures.rule
    raise ConfigInvalid("score_rule", f"{words!r} is not one of {', '.join(str(f.rule) for f in compared)}")


def _check_classes(labelled: Sequence[Part]) -> None:
    samples = [sample for part in labelled for sample in part.samples]
    missing = {
        "tampered": not any(sample.tampered for sample in samples),
        "tampered image with a mask": not any(sample.whole_mask is not None for sample in samples),
        "authentic": all(sample.tampered for sample in samples),
    }
    for kind, lacking in missing.items():
        if lacking:
            image = kind if "image" in kind else f"{kind} image"
            raise DatasetInvalid(f"no {image} among the held-out ones of the labelled sources; hold more groups out")


def _choose_shift(predictor: Predictor, labelled: Sequence[Part], steps: _Steps) -> tuple[float, dict[float, float]]:
    """Runs the tampered images alone: the shift has to stand before any score means anything."""
    tampered = [sample for part in labelled for sample in part.samples if sample.whole_mask is not None]
    seen = examinations(predictor, tampered, seen=steps.step("tampered images, for the logit shift", len(tampered)))
    return choose_shift(Judged(probabilities=examined.probabilities, mask=examined.mask) for _, examined, _ in seen)


class _Steps:
    """Names and counts what is run, step by step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def step(self, name: str, total: int) -> Callable[[], None]:
        """To be called once for each of ``total`` images."""
        numbers = itertools.count(1)
        return lambda: self._progress(next(numbers), total, name)


def _predictor(checkpoint: Checkpoint, device: str) -> Predictor:
    return Predictor(checkpoint.build(checkpoint.name), checkpoint, "float32", device)


def _known(figures: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: undefined figures are null."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in figures.items()}  # noqa: PLR0124


def release_run(request: ReleaseRequest, progress: Progress = untold) -> Released:
    """Choose, calibrate, and write the file, unless something speaks against shipping it.

    Raises CheckpointError for weights that cannot be used, DatasetInvalid for sources without a class, ConfigInvalid
    for a rule that is not compared, OutputUnwritable.
    """
    check_writable(request.out)
    run = load_checkpoint(request.run)
    held_out, seed = split_of(run, request.run)
    labelled, authentic = held_out_parts(sources_of(request.data), held_out=held_out, seed=seed)
    authentic += [Part(name=source.name, samples=source.samples) for source in find_sources(request.authentic)]
    named = run if request.name is None else dataclasses.replace(run, name=request.name)
    shipped = release(
        named, labelled, authentic, request.version, rule=request.rule, device=request.device, progress=progress
    )
    refused = bool(shipped.provenance["chosen_on_validation"]["doubts"]) and not request.accept_worse
    if not refused:
        save_checkpoint(request.out, shipped)
    return Released(checkpoint=shipped, written=not refused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints what was chosen and the validation figures as JSON, the rules compared on standard error."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="weights.safetensors of a training run")
    parser.add_argument(
        "--data", type=Path, required=True, action="append", help="a source the run was trained from; may be repeated"
    )
    parser.add_argument(
        "--authentic",
        type=Path,
        default=[],
        action="append",
        help="more authentic photographs for the calibration, none of them trained on; may be repeated",
    )
    parser.add_argument(
        "--accept-worse", action="store_true", help="write the file although something speaks against shipping it"
    )
    parser.add_argument("--rule", help="score rule, in the words this prints (default: by the criterion)")
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda, cuda:1 ...; scores of a GPU differ in the last digits"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--name", help="name to write into the file (default: the run's)")
    parser.add_argument("--version", default="1", help="version to write into the file")
    given = parser.parse_args(arguments)
    return ended(lambda: _tell(ReleaseRequest(**vars(given))))


def _tell(request: ReleaseRequest) -> int:
    released = release_run(request, ProgressLines())
    sys.stderr.write(f"{rules_table(released.chosen)}chosen: {released.chosen['score_rule']}\n")
    sys.stdout.write(json.dumps(release_document(released.checkpoint), indent=2) + "\n")
    if released.doubts:
        sys.stderr.write(warning(released.doubts, request.out, accepted=request.accept_worse))
    return DONE if released.written else FAILED


if __name__ == "__main__":
    sys.exit(main())
