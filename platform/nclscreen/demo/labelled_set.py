"""A demo corpus as a labelled set: what models are trained on, and judged by."""

from __future__ import annotations

import csv
import os
from itertools import islice
from pathlib import Path

from nclscreen.demo.corpus import DemoCorpus, DemoImage


def write_labelled_set(corpus: DemoCorpus, most: int | None = None) -> Path:
    """Write `index.csv` into the corpus's folder and give that folder; `most` of each kind, authentic and tampered.

    Images of one photograph are of one group: they are never divided between training and validation. Odd files are
    left out.
    """
    tampered = islice((image for image in corpus.images if image.mask is not None), most)
    authentic = islice((image for image in corpus.images if image.group == "authentic"), most)
    path = corpus.folder / "index.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "mask", "group"))
        writer.writerows((image.key, _mask(corpus, image), image.photograph) for image in (*tampered, *authentic))
    return corpus.folder


def _mask(corpus: DemoCorpus, image: DemoImage) -> str:
    return "" if image.mask is None else os.path.relpath(image.mask, corpus.folder)
