"""The composition root: the only place that loads settings and builds engines, clients and handles."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from jobs.background import MaintenanceTask, finish_pending
from jobs.completion_reports.completion_report import REPORTS_AT_ONCE, ReportWriter
from jobs.completion_reports.report_queue import ReportQueue
from jobs.dispatcher import Dispatcher, DispatcherOptions
from jobs.domain import Container, Fingerprint, JobId
from jobs.domain.access import Project
from jobs.domain.registry import Alias
from jobs.errors import JobsError
from jobs.leased_work.held import MAX_SILENCE_S, HeldWork
from jobs.leased_work.keeper import keeping
from jobs.leased_work.leases import WorkLeases
from jobs.leased_work.task import WorkTask
from jobs.lifecycle.deleter import Deleter
from jobs.lifecycle.deletions import Deleted
from jobs.lifecycle.reflagger import Reflagger
from jobs.masking import masked
from jobs.outage import reason
from jobs.ports import ShardRunner
from jobs.preparation.preparer import PREPARATIONS_AT_ONCE, Preparer
from jobs.reviews import ReviewLeases
from jobs.screening.known_verdicts import KnownVerdicts
from jobs.screening.limits import ScreeningLimits
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import create_database_engine, database_identity
from jobs.sql.migrations import prepare_database
from jobs.storage import ObjectStorage, open_storage, parse_source
from jobs.webhooks.sender import WebhookSender
from ncl_model.imaging.guarded_decoding import DecodingLimits, GuardedDecoder
from nclscreen import cluster_options
from nclscreen.catalog import InstalledModel, ModelLibrary, ModelVersions
from nclscreen.catalog.champions import Champions, HowToRead, serving
from nclscreen.catalog.snapshot_archive import SnapshotArchive
from nclscreen.hosting.applications import HostingOptions, ServeApps
from nclscreen.hosting.model_host import ModelHost
from nclscreen.hosting.ray_connection import RayOptions
from nclscreen.hosting.relayed_scorer import RelayedScorer
from nclscreen.hosting.scorer import ServeScorer
from nclscreen.hosting.screener_plan import ScreenerPlan
from nclscreen.settings import Settings
from nclscreen.stores import Stores
from nclscreen.surroundings import load_settings, make_folder, make_private_file

#: how long somebody waits for the verdict of one photograph
LIVE_S = 60.0


class DatabaseUnusable(JobsError):
    """The database cannot be opened or brought to the current schema."""


class Wiring(Stores):
    """Everything one process needs, built on first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def project(self) -> Project | None:
        """Whose jobs are seen through it; None: those of all."""
        return None

    @cached_property
    def engine(self) -> Engine:
        """The database, at the current schema. Raises DatabaseUnusable, SchemaOutdated or SchemaTooNew."""
        with self.telling_of_the_database():
            prepare_database(self.unchecked_engine)
        return self.unchecked_engine

    @cached_property
    def unchecked_engine(self) -> Engine:
        """The database, whatever its schema."""
        if self.settings.database_url is None:
            make_folder(self.settings.home)
            make_private_file(self.settings.home / "nclscreen.sqlite")
        return create_database_engine(self.settings.effective_database_url)

    @cached_property
    def database(self) -> str:
        """Which one it is, for what is shared with others: a cluster."""
        return database_identity(self.engine)

    @contextmanager
    def telling_of_the_database(self) -> Iterator[None]:
        """Raises DatabaseUnusable for what the database or its driver says."""
        try:
            yield
        except SQLAlchemyError as error:
            why = reason(error)
            if why == "unable to open database file":  # all that SQLite says
                why += "; its folder must be there, and this user be allowed to write into it"
            shown = masked(self.unchecked_engine.url.render_as_string(hide_password=True))
            raise DatabaseUnusable(f"cannot use the database {shown}: {why}") from error

    @cached_property
    def model(self) -> InstalledModel:
        """The model of this installation; new jobs are pinned to it unless the registry names a champion."""
        settings = self.settings
        device: Literal["cpu", "cuda"] = "cuda" if settings.replica_gpus else "cpu"
        return InstalledModel(settings.weights, settings.precision, settings.threshold, device=device)

    @property
    def current_model(self) -> InstalledModel:
        """What new jobs are pinned to: the champion, else the installed model. Raises WeightsNotFound."""
        return self._champions.model(self.registry.champion())

    def model_of(self, fingerprint: Fingerprint) -> InstalledModel:
        """A version that is installed here or registered. Raises WeightsNotFound."""
        return self.model if fingerprint == self.model.fingerprint else self._champions.model(fingerprint)

    def serving_models(self) -> list[Fingerprint]:
        """What single photographs are scored by, see `serving`."""
        return serving(self.registry.history(Alias.CHAMPION), self.model.fingerprint)

    def weights_of(self, fingerprint: Fingerprint) -> Path:
        """A file of this machine with a version's weights. Raises WeightsNotFound."""
        return self._champions.model(fingerprint).weights

    @cached_property
    def _champions(self) -> Champions:
        device: Literal["cpu", "cuda"] = "cuda" if self.settings.replica_gpus else "cpu"
        how = HowToRead(folder=self.settings.home / "champions", threshold=self.settings.threshold, device=device)
        return Champions(self.model, lambda: self.versions, how)

    @cached_property
    def versions(self) -> ModelVersions:
        """Every model version that can be hosted from here."""
        self._make_home()
        parsed = parse_source(self.settings.effective_models_uri)
        library = ModelLibrary(self.open_storage(parsed.container), parsed.prefix)
        return ModelVersions(self.model, library, self.settings.s3, self.registry.canary)

    @cached_property
    def snapshot_archive(self) -> SnapshotArchive:
        """Beside the copies of weights."""
        self._make_home()
        parsed = parse_source(self.settings.effective_models_uri)
        return SnapshotArchive(self.open_storage(parsed.container), parsed.prefix)

    def _make_home(self) -> None:
        """Before a storage makes it, open to everybody. What is wrong with it is told by whoever needs it."""
        with suppress(OSError):
            self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    def open_storage(self, container: Container) -> ObjectStorage:
        return open_storage(container, self.settings.s3)

    @cached_property
    def preparer(self) -> Preparer:
        return Preparer(self.jobs, self.open_storage, storage_max_wait_s=self.settings.storage_max_wait_s)

    def dispatcher(
        self,
        runner: ShardRunner,
        models: ModelHost,
        *,
        only_job: JobId | None = None,
        more: Sequence[MaintenanceTask] = (),
    ) -> Dispatcher:
        """`more`: slow work beside that of the job layer."""
        on_request = [self.deleting(None), self.reflagging(None)] if only_job is None else []
        return Dispatcher(
            store=self.jobs,
            queue=WorkQueue(self.engine, worker_name()),
            runner=runner,
            models=models,
            known=KnownVerdicts(self.engine),
            presence=self.dispatchers,
            model_is_trained=self.runs.any_trains,
            options=DispatcherOptions(
                in_flight=cluster_options.shards_in_flight(self.settings),
                share_while_training=self.settings.screening_share_while_training,
                lease_s=self.settings.lease_s,
                max_silence_s=self.max_silence_s,
                storage_max_wait_s=self.settings.storage_max_wait_s,
                only_job=only_job,
            ),
            held_work=self.held_work,
            maintenance=[self.preparing(only_job), *self._maintenance(only_job), *on_request, *more],
        )

    @cached_property
    def held_work(self) -> HeldWork:
        """The slow work in the hands of this process."""
        leases = WorkLeases(self.engine)
        return HeldWork(leases, lease_s=self.settings.lease_s, max_silence_s=self.max_silence_s)

    @cached_property
    def review_leases(self) -> ReviewLeases:
        return ReviewLeases(self.engine, self.settings.review_lease_s)

    @property
    def max_silence_s(self) -> float:
        """How long work keeps its lease without progress: longer than a storage is waited for that says nothing."""
        return self.settings.max_silence_s or max(MAX_SILENCE_S, self.settings.s3.longest_silence_s)

    def preparing(self, only: JobId | None) -> WorkTask:
        """Freezes corpora, that of one job or of all."""
        return WorkTask(self.preparer, self.held_work, at_once=PREPARATIONS_AT_ONCE, only=only)

    def deleting(self, only: JobId | None, told: Callable[[Deleted], None] = lambda some: None) -> WorkTask:
        """Removes jobs, that one or all for which it was asked; `told` hears what each transaction removed."""
        return WorkTask(Deleter(self.jobs, told), self.held_work, only=only)

    def reflagging(self, only: JobId | None, told: Callable[[int], None] = lambda rows: None) -> WorkTask:
        """Gives jobs another threshold; `only` and `told` as in `deleting`, told of rows that were rewritten."""
        return WorkTask(Reflagger(self.jobs, told), self.held_work, only=only)

    def _maintenance(self, only: JobId | None) -> list[MaintenanceTask]:
        return [self._report_writing(only), self._webhook_sender(only)]

    def _webhook_sender(self, only: JobId | None) -> WebhookSender:
        return WebhookSender(
            self.webhooks,
            held=self.held_work,
            key=self.settings.webhook_key,
            hosts=self.settings.webhook_host_names,
            only=only,
        )

    def do_maintenance(self, job_id: JobId) -> None:
        """Tell of the end of a job for which no dispatcher runs: its report and whatever else was not tried yet."""
        with keeping([self.held_work], lease_s=self.settings.lease_s):
            finish_pending(self._maintenance(job_id), job_id)

    def _report_writing(self, only: JobId | None) -> WorkTask:
        writer = ReportWriter(
            store=self.jobs, queue=ReportQueue(self.engine), verdicts=self.verdicts, open_storage=self.open_storage
        )
        return WorkTask(writer, self.held_work, at_once=REPORTS_AT_ONCE, only=only)

    @property
    def decoding_limits(self) -> DecodingLimits:
        """What a screening worker may spend on decoding; `decoder` has it for this process alone."""
        return cluster_options.decoding_limits(self.settings)

    @cached_property
    def decoder(self) -> GuardedDecoder:
        """Decodes what is looked at or scored in this process."""
        return GuardedDecoder(replace(self.decoding_limits, workers=1))

    def hosted_scorer(self, *, attempts: int = 4, timeout_s: float = 300.0) -> ServeScorer:
        """Asks the hosted models of the cluster this process is connected to."""
        return ServeScorer(
            {self.model.fingerprint: self.model.checkpoint.config},
            decoding=self.decoding_limits,
            database=self.database,
            attempts=attempts,
            timeout_s=timeout_s,
        )

    def relayed_scorer(self) -> RelayedScorer:
        """Asks those of the cluster that the settings name, without a connection of this process's own."""
        return RelayedScorer(self.ray_options(), self.hosted_scorer(attempts=1, timeout_s=LIVE_S), timeout_s=LIVE_S)

    def screener_plan(self) -> ScreenerPlan:
        """What the screening workers build."""
        self._make_home()
        return ScreenerPlan(
            scorer=self.hosted_scorer(),
            s3=self.settings.s3,
            heatmaps_uri=self.settings.effective_heatmaps_uri,
            heatmaps=self.settings.heatmaps,
            limits=ScreeningLimits(
                fetchers=self.settings.fetchers,
                batch_size=self.settings.batch_size,
                max_image_bytes=self.settings.max_image_bytes,
            ),
        )

    def model_host(self, cluster: str, *, only_job: JobId | None = None) -> ModelHost:
        """Hosts models on the Ray cluster this process is connected to."""
        return ModelHost(
            apps=ServeApps(self.hosting_options(), self.database),
            register=self.hosted_models,
            jobs=self.jobs,
            versions=self.versions,
            cluster=cluster,
            dispatcher=worker_name(),
            most=self.settings.max_hosted_models,
            spare=self.serving_models if only_job is None else lambda: (),
            only_job=only_job,
        )

    def hosting_options(self) -> HostingOptions:
        return cluster_options.hosting_options(self.settings)

    def ray_options(self, *, models: int = 1) -> RayOptions:
        """Which Ray to use, with CPUs for so many hosted models."""
        return cluster_options.ray_options(self.settings, models=models)

    def runner(self) -> ShardRunner:
        """Runs shards on the Ray cluster this process is connected to."""
        from jobs.screening.ray_runner import RayRunner

        return RayRunner(
            self.screener_plan(),
            shards=cluster_options.shards_in_flight(self.settings),
            shards_per_worker=self.settings.shards_per_worker,
            cpus_per_shard=self.settings.shard_cpus,
            max_silence_s=self.max_silence_s,
        )


@lru_cache(maxsize=1)
def wire() -> Wiring:
    """The wiring of this process. Raises InvalidSettings."""
    return Wiring(load_settings())


def worker_name() -> str:
    """New at every call: a restarted process is another worker."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
