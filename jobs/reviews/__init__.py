"""Reviews: what people say of verdicts. Append-only; nothing here is deleted with a job, but samples drawn of it."""

from jobs.reviews.audit_store import AuditStore
from jobs.reviews.drawing_store import DrawingStore
from jobs.reviews.review_leases import ReviewLeases
from jobs.reviews.review_store import ReviewStore
from jobs.reviews.second_look_store import SecondLooks

__all__ = ["AuditStore", "DrawingStore", "ReviewLeases", "ReviewStore", "SecondLooks"]
