"""Reviews: what people say of verdicts. Append-only; nothing here is deleted with a job."""

from jobs.reviews.review_store import ReviewStore

__all__ = ["ReviewStore"]
