"""A whole evaluation: from sources to tables, records, figure sheets and the robustness suite, in one folder.

Whatever stops it, what was judged until then is on disk: records are written line by line, everything else is put
in place whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import numpy as np

from ncl_model.data.datasets import find_sources
from ncl_model.data.file_bytes import read_file
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.evaluation.comparison import Difference, compare_sets
from ncl_model.evaluation.comparison_tables import comparison_csv, comparison_markdown
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.figures import LabelledSet
from ncl_model.evaluation.out_folder import RecordFile, file_stem, place
from ncl_model.evaluation.records import ImageRecord, examine
from ncl_model.evaluation.reporting import (
    described,
    figures_csv,
    figures_markdown,
    robustness_chart,
    robustness_csv,
    robustness_markdown,
    sheet_titles,
)
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.robustness import SUITE
from ncl_model.evaluation.set_judge import SetJudge
from ncl_model.evaluation.sheet import Panel, chosen_cases, draw_sheet
from ncl_model.evaluation.treated_tables import treated_chart, treated_csv, treated_markdown
from ncl_model.evaluation.treatments import Suite, Versions
from ncl_model.imaging.decoding import decode_photo
from ncl_model.inference.calibration import default_threshold
from ncl_model.inference.predictor import Predictor
from ncl_model.writing import sole_writer, writing

#: called after each image: images of this set done, images of this set, name of the set
Progress = Callable[[int, int, str], None]


def read_sets(paths: Sequence[Path], limit: int | None = None) -> list[LabelledSet]:
    """The sets at the given sources, under names that differ; at most ``limit`` images of each, spread evenly.

    Raises DatasetInvalid for a path that is no source. Files that its lists name and that are missing show up as
    images that cannot be read.
    """
    sets: list[LabelledSet] = []
    taken: set[str] = set()
    for source in find_sources(paths):
        folders = [sample.image.absolute().parent for sample in source.samples]
        if not folders:
            raise DatasetInvalid(f"{source.name}: no images")
        name, number = source.name, 2
        while file_stem(name) in taken:
            name, number = f"{source.name} ({number})", number + 1
        taken.add(file_stem(name))
        labelled = LabelledSet(name=name, samples=source.samples, root=Path(os.path.commonpath(folders)))
        sets.append(labelled.limited(limit))
    return sets


class EvaluationRun:
    """Judges sets one after the other and writes what it finds into ``out`` (None: nothing is written)."""

    def __init__(
        self,
        predictor: Predictor,
        out: Path | None = None,
        *,
        robustness: bool = False,
        resave: bool = False,
        suites: Sequence[Suite] = (),
        against: Predictor | None = None,
    ) -> None:
        """What is measured beside the photographs as they are.

        ``robustness``: under the paper's distortions. ``resave``: image-level figures after ``EqualSaving``.
        ``suites``: everything after these treatments. ``against``: another model judges the same photographs, as
        they are and after the suites.
        """
        self.predictor = predictor
        self.against = against
        self.results: list[SetResult] = []
        #: by name of the set, where there is another model
        self.differences: dict[str, list[Difference]] = {}
        self._out = out
        self.robustness = robustness
        self._distortions = SUITE if robustness else ()
        self.suites = suites
        self._resave = resave

    def run(self, sets: Sequence[LabelledSet], progress: Progress = lambda done, total, name: None) -> None:
        """Judge every set. Whatever is raised inside (Ctrl-C too) leaves the figures of what was judged behind.

        Raises OutputUnwritable when the folder cannot be written, FolderInUse when another run is writing there.
        """
        with self._alone(), writing(self._out), ExitStack() as stack:
            files = self._opened(stack)
            for labelled in sets:
                result = _empty(labelled, self.predictor)
                other = None if self.against is None else _empty(labelled, self.against)
                self.results.append(result)
                try:
                    self._judge(result, other, files, progress)
                finally:
                    result.summarize()
                    if other is not None:
                        self.differences[labelled.name] = compare_sets(result, other)
                    self._write()
                self._draw(result)

    def _alone(self) -> AbstractContextManager[None]:
        return nullcontext() if self._out is None else sole_writer(self._out)

    def _opened(self, stack: ExitStack) -> dict[str, RecordFile]:
        """Files of records: of the photographs as they are, under "", and by suite."""
        files = {"": RecordFile(self._out)}
        for suite in self.suites:
            files[suite.name] = RecordFile(self._out, f"{suite.name}_images.csv", columns=("set", "treatment"))
        return {name: stack.enter_context(file) for name, file in files.items()}

    def _judge(
        self, result: SetResult, other: SetResult | None, files: Mapping[str, RecordFile], progress: Progress
    ) -> None:
        labelled = result.labelled
        saving = EqualSaving.like(labelled.samples) if self._resave else None
        judge = SetJudge(self.predictor, result, distortions=self._distortions, saving=saving)
        second = None if other is None or self.against is None else SetJudge(self.against, other)
        for sample in labelled.samples:
            versions = Versions(sample, self.suites)
            record, treated = judge.add(sample, versions)
            files[""].add([labelled.name], record)
            for suite, treatment, each in treated:
                files[suite].add([labelled.name, treatment], each)
            if second is not None:
                second.add(sample, versions)
            progress(len(result.records), len(labelled.samples), labelled.name)

    def _write(self) -> None:
        if self._out is None:
            return
        for name, page in self._pages().items():
            place(self._out / name, page)

    def _pages(self) -> dict[str, str]:
        """All tables, by file name."""
        pages = {
            "figures.csv": figures_csv(self.results),
            "figures.md": figures_markdown(self.predictor, self.results),
        }
        for suite in self.suites:
            pages[f"{suite.name}.csv"] = treated_csv(suite, self.results)
            pages[f"{suite.name}.md"] = treated_markdown(described(self.predictor), suite, self.results)
        if self._distortions:
            pages["robustness.csv"] = robustness_csv(self.results)
            pages["robustness.md"] = robustness_markdown(self.predictor, self.results)
        if self.against is not None:
            pages["comparison.csv"] = comparison_csv(self.differences)
            pages["comparison.md"] = comparison_markdown((self.predictor, self.against), self.differences)
        return pages

    def _draw(self, result: SetResult) -> None:
        if self._out is None:
            return
        stem = file_stem(result.labelled.name)
        if bands := chosen_cases(result.records):
            sheet = draw_sheet(*sheet_titles(self.predictor, result), bands, self._panels(result.labelled))
            place(self._out / f"sheet_{stem}.jpg", sheet)
        for suite in self.suites:
            chart = treated_chart(described(self.predictor), suite, result)
            place(self._out / f"{suite.name}_{stem}.png", chart)
        if self._distortions:
            place(self._out / f"robustness_{stem}.png", robustness_chart(self.predictor, result))

    def _panels(self, labelled: LabelledSet) -> Callable[[ImageRecord], Panel]:
        """Maps are not kept: the few that are shown are computed once more."""
        by_name = {labelled.name_of(sample): sample for sample in labelled.samples}

        def panel(record: ImageRecord) -> Panel:
            sample = by_name[record.name]
            try:
                data = read_file(sample.image)
                examined = examine(self.predictor, sample, data)
                return Panel(photo=decode_photo(data), mask=examined.mask, probabilities=examined.probabilities)
            except (OSError, ImageUnreadable, DatasetInvalid):  # it went away since it was judged
                return Panel(
                    photo=np.full((3, 4, 3), 128, np.uint8), mask=None, probabilities=np.zeros((3, 4), np.float32)
                )

        return panel


def _empty(labelled: LabelledSet, predictor: Predictor) -> SetResult:
    return SetResult(labelled=labelled, threshold=default_threshold(predictor.checkpoint.metrics))
