"""What one project sees: its jobs and its verdicts, through the same engine, model and storages."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Engine

from jobs.domain.access import Project
from jobs.lifecycle.job_store import JobStore
from jobs.verdicts import VerdictStore
from jobs.verdicts.replay_tables import ReplayTables
from jobs.verdicts.untestable import UntestableCounts
from ncl_model.imaging.guarded_decoding import GuardedDecoder
from nclscreen.catalog import InstalledModel, ModelVersions
from nclscreen.catalog.champions import Champions
from nclscreen.wiring import Wiring


class ProjectWiring(Wiring):
    """A wiring in which nothing of other projects is there."""

    def __init__(self, whole: Wiring, project: Project) -> None:
        """`whole`: builds what is shared, once."""
        super().__init__(whole.settings)
        self._whole = whole
        self._project = project

    @property
    def project(self) -> Project:
        return self._project

    @cached_property
    def jobs(self) -> JobStore:
        return JobStore(self.engine, project=self._project.name)

    @cached_property
    def verdicts(self) -> VerdictStore:
        return VerdictStore(self.engine, project=self._project.name)

    @cached_property
    def engine(self) -> Engine:
        return self._whole.engine

    @cached_property
    def unchecked_engine(self) -> Engine:
        return self._whole.unchecked_engine

    @cached_property
    def model(self) -> InstalledModel:
        return self._whole.model

    @cached_property
    def _champions(self) -> Champions:
        return self._whole._champions

    @cached_property
    def replay_tables(self) -> ReplayTables:
        return self._whole.replay_tables

    @cached_property
    def untestable(self) -> UntestableCounts:
        return self._whole.untestable

    @cached_property
    def versions(self) -> ModelVersions:
        return self._whole.versions

    @cached_property
    def decoder(self) -> GuardedDecoder:
        return self._whole.decoder
