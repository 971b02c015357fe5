"""Jobs in SQL, all operations in one object. Each kind of operation has a file of its own."""

from __future__ import annotations

from jobs.lifecycle.deletions import Deletions
from jobs.lifecycle.estimates import Estimates
from jobs.lifecycle.lookups import JobLookups
from jobs.lifecycle.preparation_leases import PreparationLeases
from jobs.lifecycle.reflagging import Reflagging
from jobs.lifecycle.retries import Retries
from jobs.lifecycle.submissions import Submissions
from jobs.lifecycle.verbs import JobVerbs


class JobStore(Submissions, PreparationLeases, JobVerbs, JobLookups, Retries, Deletions, Reflagging, Estimates):
    """The jobs of one database."""
