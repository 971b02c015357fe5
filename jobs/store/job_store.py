"""Jobs in SQL, all operations in one object. Each kind of operation has a file of its own."""

from __future__ import annotations

from jobs.store.estimates import Estimates
from jobs.store.lookups import JobLookups
from jobs.store.preparation_leases import PreparationLeases
from jobs.store.retries import Retries
from jobs.store.submissions import Submissions
from jobs.store.verbs import JobVerbs


class JobStore(Submissions, PreparationLeases, JobVerbs, JobLookups, Retries, Estimates):
    """The jobs of one database."""
