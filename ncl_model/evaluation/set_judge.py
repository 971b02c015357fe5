"""One model judges the photographs of one set, in every state that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ncl_model.data.sample import Sample
from ncl_model.errors import DatasetInvalid, ImageUnreadable
from ncl_model.evaluation.equal_saving import EqualSaving
from ncl_model.evaluation.records import ImageRecord, judge, judge_bytes
from ncl_model.evaluation.results import SetResult
from ncl_model.evaluation.robustness import Distortion
from ncl_model.evaluation.treatments import Versions
from ncl_model.imaging.benign import AS_IT_IS
from ncl_model.inference.predictor import Predictor


class TreatedRecord(NamedTuple):
    """The figures of one version of a photograph."""

    suite: str
    treatment: str
    record: ImageRecord


class SetJudge:
    """Fills a ``SetResult``, photograph by photograph."""

    def __init__(
        self,
        predictor: Predictor,
        result: SetResult,
        *,
        distortions: Sequence[Distortion] = (),
        saving: EqualSaving | None = None,
    ) -> None:
        """``distortions``: the robustness suite. ``saving``: authentic photographs are judged after it once more."""
        self.result = result
        self._predictor = predictor
        self._distortions = distortions
        self._saving = saving

    def add(self, sample: Sample, versions: Versions) -> tuple[ImageRecord, list[TreatedRecord]]:
        """Judge one more: its record, and those of its ``versions``, made when it can be judged as it is."""
        record = judge(self._predictor, sample, self.result.labelled.name_of(sample))
        treated: list[TreatedRecord] = []
        if record.problem is None:
            self._add_distorted(sample, record)
            treated = self._add_treated(sample, record, versions)
        if self._saving is not None and self._saving.settings:
            again = record.problem is None and not record.label
            self.result.resaved.append(judge(self._predictor, sample, record.name, self._saving) if again else record)
        self.result.records.append(record)
        return record, treated

    def _add_distorted(self, sample: Sample, record: ImageRecord) -> None:
        for distortion in self._distortions:
            clean = distortion.kind == "clean"
            each = record if clean else judge(self._predictor, sample, record.name, distortion)
            self.result.distorted.setdefault(distortion.name, []).append(each)

    def _add_treated(self, sample: Sample, record: ImageRecord, versions: Versions) -> list[TreatedRecord]:
        try:
            treated = versions.all
        except (OSError, ImageUnreadable, DatasetInvalid):  # it went away since it was judged
            return []
        found = []
        for version in treated:
            by_name = self.result.treated.setdefault(version.suite, {AS_IT_IS: []})
            each = judge_bytes(self._predictor, sample, record.name, version.data, version.mask)
            by_name.setdefault(version.treatment, []).append(each)
            found.append(TreatedRecord(version.suite, version.treatment, each))
        for suite in {version.suite for version in treated}:
            self.result.treated[suite][AS_IT_IS].append(record)
        return found
