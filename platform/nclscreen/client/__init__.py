"""The API from Python: `nclscreen.client.Client`. Needs urllib3 alone; no Ray, torch or database comes along."""

from nclscreen.client.client import Client, ExportKind
from nclscreen.client.errors import ApiError, ApiUnreachable
from nclscreen.client.records import Job, Review, Verdict

__all__ = ["ApiError", "ApiUnreachable", "Client", "ExportKind", "Job", "Review", "Verdict"]
