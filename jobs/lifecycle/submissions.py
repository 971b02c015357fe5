"""Submitting a job, and letting go one that waits for a person."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from jobs.domain import Job, JobId, NewJob, WorkKind
from jobs.domain.access import DEFAULT_PROJECT, ProjectName
from jobs.domain.states import CONFIRMED, JobState
from jobs.errors import InvalidSource, NotAwaitingConfirmation, TokenReused
from jobs.leased_work.enqueueing import enqueue_new
from jobs.lifecycle.job_table import JobTable, is_frozen
from jobs.spans import note, span, traceparent
from jobs.sql.database import writing
from jobs.sql.rows import filters_to_json, job_from_row, options_to_row
from jobs.sql.tables import jobs
from jobs.sql.transitions import move_job
from jobs.stored_text import is_storable
from jobs.webhooks.urls import check_webhook_url

#: options that came later
_NEWER = ("trust_etags", "allow_outside", "case_from", "places", "retry_images")
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """What became of a request."""

    job_id: JobId
    #: the token was known: this is the job of the earlier, equal request
    again: bool


def new_job_id() -> JobId:
    """A new id: 9 characters of time, so that ids sort by age, and 7 of chance; easy to read out and to type."""
    milliseconds = time.time_ns() // 1_000_000
    digits = [_ID_ALPHABET[(milliseconds >> shift) & 31] for shift in range(40, -1, -5)]
    return JobId("".join(digits) + "".join(secrets.choice(_ID_ALPHABET) for _ in range(7)))


class Submissions(JobTable):
    """How jobs come into being."""

    def submit(self, new: NewJob) -> JobId:
        """Enqueue a job; whoever runs a dispatcher on this database takes it from here. Raises as `request`."""
        return self.request(new).job_id

    def request(self, new: NewJob) -> Submitted:
        """Enqueue a job, unless one was made with the same token already.

        Raises:
            InvalidSource: the source is not text; such a folder can be given as file:/// with %XX in it.
            InvalidWebhook: the webhook is no http:// or https:// address.
            TokenReused: the token belongs to a job that was asked for otherwise.
        """
        if not is_storable(new.source):
            raise InvalidSource(new.source, "it is not text; write it as file:///path with %XX for the odd bytes")
        if new.options.webhook is not None:
            check_webhook_url(new.options.webhook)
        digest = request_digest(new)
        with span("submit"):
            submitted = self._request(new, digest)
            note(job=submitted.job_id)
        return submitted

    def _request(self, new: NewJob, digest: str) -> Submitted:
        try:
            with writing(self._engine) as connection:
                return self._known(connection, new, digest) or Submitted(
                    job_id=self._insert(connection, new, digest), again=False
                )
        except IntegrityError:
            # another process used the token between the look and the insert
            with writing(self._engine) as connection:
                known = self._known(connection, new, digest)
            if known is None:
                raise
            return known

    def _insert(self, connection: Connection, new: NewJob, digest: str) -> JobId:
        job_id = new_job_id()
        row = {
            "id": job_id,
            "state": JobState.PREPARING.value,
            "source": new.source,
            "filters": filters_to_json(new.filters),
            "model_name": new.model.name,
            "model_fingerprint": new.model.fingerprint,
            "threshold": new.threshold,
            "project": self._owner(new),
            "policy": new.policy,
            "heatmaps_from": new.heatmaps_from,
            "token": self._token(new),
            "request_digest": digest,
            "reads_frozen": True,
            "traceparent": traceparent(),
            **options_to_row(new.options),
        }
        connection.execute(insert(jobs).values(**row, created_at=self._clock()))
        enqueue_new(connection, WorkKind.PREPARATION, job_id, job_id=job_id, priority=new.options.priority)
        return job_id

    def _known(self, connection: Connection, new: NewJob, digest: str) -> Submitted | None:
        """The job of an earlier request with this token. Raises TokenReused."""
        if new.token is None:
            return None
        wanted = select(jobs.c.id, jobs.c.request_digest).where(jobs.c.token == self._token(new))
        found = connection.execute(wanted).one_or_none()
        if found is None:
            return None
        if found.request_digest != digest:
            raise TokenReused(new.token, found.id)
        return Submitted(job_id=JobId(found.id), again=True)

    def _owner(self, new: NewJob) -> ProjectName:
        return self._project or new.project

    def _token(self, new: NewJob) -> str | None:
        """As it is kept: projects do not hear of each other's tokens. The default one's are as they always were."""
        if new.token is None or self._owner(new) == DEFAULT_PROJECT:
            return new.token
        return hashlib.sha256(f"{self._owner(new)}\0{new.token}".encode()).hexdigest()

    def confirm(self, job_id: str) -> Job:
        """Let a job go that waits for a person; one that was let go already stays as it is.

        Raises JobNotFound, NotAwaitingConfirmation.
        """
        with writing(self._engine) as connection:
            job = job_from_row(self._locked(connection, job_id))
            if job.state is JobState.AWAITING_CONFIRMATION:
                move_job(connection, job.id, job.state, JobState.READY, self._clock)
            elif (
                not job.options.confirm
                or job.state not in CONFIRMED
                or (job.state is JobState.PAUSED and not is_frozen(connection, job.id))
            ):
                raise NotAwaitingConfirmation(job.id, job.state)
        return self.get(job_id)


def request_digest(new: NewJob) -> str:
    """What was asked for, as 64 hex digits; a moment that was given as a duration counts as it was written.

    What older programs did not know is left out where it was not asked for: tokens outlive an upgrade.
    """
    options = options_to_row(replace(new.options, places=None))
    document: dict[str, Any] = {
        "source": new.source,
        "filters": {**filters_to_json(new.filters), **new.relative},
        "model": new.model.fingerprint,
        "threshold": new.threshold,
        "policy": new.policy,
        "options": {name: value for name, value in options.items() if value or name not in _NEWER},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
