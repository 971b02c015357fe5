"""Does the label hide in how the files were saved? ``python -m ncl_model.shortcuts --data SOURCE [--weights W]``.

A set whose tampered files were all saved by one program and its authentic ones by another can be ranked perfectly
without looking at a single pixel, and a high image AUC on it says little. This prints, for each set, the image AUC of
the quantisation tables alone, the model's, and the model's once every authentic JPEG photograph was saved again
exactly as some tampered one of the set was [ours].
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncl_model.datasets import find_sources
from ncl_model.decoding import decode_photo
from ncl_model.errors import NclModelError
from ncl_model.metrics import auc, recall_at_fpr
from ncl_model.predictor import Predictor
from ncl_model.records import ImageRecord, judge
from ncl_model.resaving import JpegSettings, saved, settings_of
from ncl_model.sample import Sample
from ncl_model.tables import number, text_table

_FPR = 0.05


@dataclass(frozen=True, kw_only=True)
class Shortcuts:
    """Image-level figures of one set; NaN where a class is missing or no model was asked."""

    name: str
    tampered: int
    authentic: int
    #: authentic photographs that could be saved again like a tampered one
    resaved: int
    #: of the quantisation tables alone
    tables_auc: float
    #: of the model: as the files are, and with the authentic ones saved again
    model_auc: float
    model_auc_resaved: float
    #: recall at 5 % false positives, likewise
    recall: float
    recall_resaved: float


def table_scores(settings: Sequence[JpegSettings | None], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) the share of tampered files among the *other* files saved the same way; 0.5 where there is none."""
    files = Counter(settings)
    tampered = Counter(how for how, label in zip(settings, labels, strict=True) if label)
    # one of each kind is added, so that a way of saving seen once says little
    return np.array(
        [(tampered[how] - int(label) + 1) / (files[how] - 1 + 2) for how, label in zip(settings, labels, strict=True)]
    )


def examine_set(
    name: str, samples: Sequence[Sample], predictor: Predictor | None, progress: Callable[[int, int], None]
) -> Shortcuts:
    """The figures of one set; files that cannot be read count for no model. ``progress``: done, of how many."""
    labels = np.array([sample.mask is not None for sample in samples], np.bool_)
    settings = [settings_of(sample.image.read_bytes()) for sample in samples]
    donors = [how for how, label in zip(settings, labels, strict=True) if label and how is not None]
    resaved = [bool(donors) and how is not None and not label for how, label in zip(settings, labels, strict=True)]
    plain, changed = np.full(len(samples), math.nan), np.full(len(samples), math.nan)
    if predictor is not None:
        for i, sample in enumerate(samples):
            plain[i] = changed[i] = judge(predictor, sample, "").score
            if resaved[i]:
                changed[i] = _judge_resaved(predictor, sample, donors).score
            progress(i + 1, len(samples))
    read = ~np.isnan(plain) & ~np.isnan(changed)
    return Shortcuts(
        name=name,
        tampered=int(labels.sum()),
        authentic=int((~labels).sum()),
        resaved=sum(resaved),
        tables_auc=auc(table_scores(settings, labels), labels),
        model_auc=auc(plain[read], labels[read]),
        model_auc_resaved=auc(changed[read], labels[read]),
        recall=recall_at_fpr(plain[read], labels[read], _FPR),
        recall_resaved=recall_at_fpr(changed[read], labels[read], _FPR),
    )


def _judge_resaved(predictor: Predictor, sample: Sample, donors: Sequence[JpegSettings]) -> ImageRecord:
    # by the name, so that the same file always meets the same tables
    number = int.from_bytes(hashlib.sha256(sample.image.name.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    how = donors[number % len(donors)]
    return judge(predictor, sample, "", lambda data: saved(decode_photo(data), how))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit codes: 0 done, 1 failed."""
    parser = argparse.ArgumentParser(
        prog="python -m ncl_model.shortcuts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, action="append", required=True, help="a labelled source; repeatable")
    parser.add_argument("--weights", type=Path, help="safetensors file (default: the shipped weights)")
    parser.add_argument("--tables-only", action="store_true", help="leave the model out: takes no time")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        predictor = None if given.tables_only else Predictor.setup(given.weights)
        sets = [
            examine_set(source.name, source.samples, predictor, _shown(source.name))
            for source in find_sources(given.data)
        ]
    except (NclModelError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if given.json:
        known = [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in dataclasses.asdict(each).items()}
            for each in sets
        ]
        sys.stdout.write(json.dumps(known, indent=2) + "\n")
    else:
        sys.stdout.write(_table(sets))
    return 0


def _table(sets: Sequence[Shortcuts]) -> str:
    head = [
        "set",
        "tampered",
        "authentic",
        "saved again",
        "tables AUC",
        "model AUC",
        "saved again",
        "recall",
        "saved again",
    ]
    return text_table(
        head,
        [
            [
                each.name,
                *map(str, (each.tampered, each.authentic, each.resaved)),
                *map(
                    number, (each.tables_auc, each.model_auc, each.model_auc_resaved, each.recall, each.recall_resaved)
                ),
            ]
            for each in sets
        ],
    )


def _shown(name: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if done % 25 == 0 or done == total:
            sys.stderr.write(f"{name}: {done} of {total}\n")

    return show


if __name__ == "__main__":
    sys.exit(main())
