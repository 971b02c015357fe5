"""Jobs in SQL, all operations in one object. Each kind of operation has a file of its own."""

from __future__ import annotations

from jobs.estimates import Estimates
from jobs.job_lookups import JobLookups
from jobs.job_verbs import JobVerbs
from jobs.preparation_leases import PreparationLeases
from jobs.retries import Retries
from jobs.submissions import Submissions


class JobStore(Submissions, PreparationLeases, JobVerbs, JobLookups, Retries, Estimates):
    """The jobs of one database."""
