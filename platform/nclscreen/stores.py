"""What is kept in SQL, each kind by its store, on one engine."""

from __future__ import annotations

from functools import cached_property, partial

from sqlalchemy import Engine

from jobs.access import AuditLog, KeyStore, ProjectStore
from jobs.lifecycle.job_store import JobStore
from jobs.registry.dispatchers import Dispatchers
from jobs.registry.hosted_models import HostedModels
from jobs.registry.model_registry import ModelRegistry
from jobs.retraining.run_store import RunStore
from jobs.reviews import AuditStore, DrawingStore, ReviewLeases, ReviewStore, SecondLooks
from jobs.schedules.schedule_store import ScheduleStore
from jobs.verdicts import VerdictStore
from jobs.verdicts.replay_table import ReplayTable
from jobs.verdicts.replay_tables import ReplayTables, recorded_shards
from jobs.verdicts.untestable import UntestableCounts
from jobs.webhooks.outbox import WebhookOutbox


class Stores:
    """The stores of one database, built on first use."""

    @cached_property
    def engine(self) -> Engine:
        """The database, at the current schema."""
        raise NotImplementedError

    @cached_property
    def jobs(self) -> JobStore:
        return JobStore(self.engine)

    @cached_property
    def verdicts(self) -> VerdictStore:
        return VerdictStore(self.engine)

    @cached_property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.engine)

    @cached_property
    def replay_tables(self) -> ReplayTables:
        return ReplayTables(partial(recorded_shards, self.engine), partial(ReplayTable.load, self.engine))

    @cached_property
    def untestable(self) -> UntestableCounts:
        return UntestableCounts(self.verdicts.untestable_counts)

    @cached_property
    def schedules(self) -> ScheduleStore:
        return ScheduleStore(self.engine)

    @cached_property
    def runs(self) -> RunStore:
        return RunStore(self.engine)

    @cached_property
    def hosted_models(self) -> HostedModels:
        return HostedModels(self.engine)

    @cached_property
    def dispatchers(self) -> Dispatchers:
        """Who works on the database."""
        return Dispatchers(self.engine)

    @cached_property
    def reviews(self) -> ReviewStore:
        return ReviewStore(self.engine)

    @cached_property
    def drawings(self) -> DrawingStore:
        """What people drew where they say that images were tampered with."""
        return DrawingStore(self.engine)

    @cached_property
    def review_leases(self) -> ReviewLeases:
        """Who looks at which image."""
        raise NotImplementedError

    @cached_property
    def audits(self) -> AuditStore:
        """Samples of jobs; whose they are is known by their jobs."""
        return AuditStore(self.engine)

    @cached_property
    def second_looks(self) -> SecondLooks:
        return SecondLooks(self.engine)

    @cached_property
    def projects(self) -> ProjectStore:
        return ProjectStore(self.engine)

    @cached_property
    def keys(self) -> KeyStore:
        return KeyStore(self.engine)

    @cached_property
    def audit_log(self) -> AuditLog:
        return AuditLog(self.engine)

    @cached_property
    def webhooks(self) -> WebhookOutbox:
        return WebhookOutbox(self.engine)
