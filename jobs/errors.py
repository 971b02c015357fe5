"""Errors of the job layer. Each carries its data; the message says what happened and what to do."""

from __future__ import annotations

from enum import StrEnum

from jobs.masking import masked
from ncl_model.picklable import PicklableError


class ErrorCode(StrEnum):
    """Why an image has no score. Stored with the verdict; explained in docs/jobs.md."""

    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    EMPTY = "empty"
    ARCHIVED = "archived"
    CHANGED = "changed"
    REFUSED = "refused"
    UNSUPPORTED_FORMAT = "unsupported_format"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    MODEL_ERROR = "model_error"


class JobsError(PicklableError):
    """Base class of everything this package raises on purpose."""


class InvalidSource(JobsError):
    """The corpus source cannot be understood or used."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"cannot use {masked(source)!r}: {reason}")


class EmptyCorpus(JobsError):
    """The source was read to its end and holds no image that passes the filters."""

    def __init__(self, source: str, ignored: int, looked_for: str) -> None:
        self.source = source
        self.ignored = ignored
        #: the filters in words
        self.looked_for = looked_for
        others = f" ({ignored} other files were ignored)" if ignored else ""
        super().__init__(
            f"no images found in {source!r}{others}; looked for {looked_for}. "
            "Check the path or prefix, and the filters; other endings have to be asked for, as have archived objects"
        )


class BadManifestLines(JobsError):
    """Lines of a manifest name no image, and nobody said that the job may go on without them."""

    def __init__(self, source: str, job_id: str, count: int, first: list[str]) -> None:
        self.source = source
        self.job_id = job_id
        self.count = count
        #: the first few, as "line 3: why"
        self.first = first
        lines = "1 line names" if count == 1 else f"{count} lines name"
        more = ", ..." if count > len(first) else ""
        super().__init__(
            f"{lines} no image in {source}, {', '.join(first)}{more}. They are kept with the job; mend the list, "
            "or submit it again and have bad lines skipped"
        )


class InvalidInventory(JobsError):
    """An S3 Inventory cannot be read; `uri` is its manifest or the data file at fault."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = uri
        self.reason = reason
        super().__init__(f"cannot use the inventory {uri}: {reason}")


class StorageError(JobsError):
    """Object storage refused or failed. `uri` is the object, bucket or folder concerned."""

    #: the code an image gets when reading it fails this way: what no later try can mend is the object's fault, or ours
    code = ErrorCode.REFUSED
    #: whether trying again later can help
    transient = False

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = uri
        self.reason = reason
        super().__init__(f"{uri}: {reason}")


class ObjectNotFound(StorageError):
    """The object is not there (any more)."""

    code = ErrorCode.NOT_FOUND


class AccessDenied(StorageError):
    """The object may not be read with these permissions."""

    code = ErrorCode.ACCESS_DENIED


class InvalidCredentials(AccessDenied):
    """The storage does not know these credentials, or there are none."""


class ObjectArchived(StorageError):
    """The object lies in an archive; it has to be restored before it can be read."""

    code = ErrorCode.ARCHIVED


class ObjectChanged(StorageError):
    """The object is another one than the corpus was frozen with, or became another while it was read."""

    code = ErrorCode.CHANGED


class ContainerNotFound(ObjectNotFound):
    """The bucket or folder is not there."""


class ListingUnordered(StorageError):
    """The storage lists keys in another order than S3's, so that a listing cannot be taken up again where it broke off.

    S3's directory buckets (Express One Zone) do.
    """


class ObjectTooLarge(StorageError):
    """The object has more bytes than the limit allows."""

    code = ErrorCode.TOO_LARGE


class StorageUnavailable(StorageError):
    """The storage cannot be reached, throttles, or broke off in mid-body, also after retries."""

    code = ErrorCode.TIMEOUT
    transient = True


class StorageAway(StorageUnavailable):
    """The storage of a shard's images does not answer at all: no fault of the images, so they are waited for."""


class HeatmapsUnavailable(StorageUnavailable):
    """Heatmaps cannot be kept now: no fault of the images, so nothing is recorded of them yet."""


class JobNotFound(JobsError):
    """There is no job of this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"there is no job {job_id!r}")


class TokenReused(JobsError):
    """The token of this request belongs to a job that was asked for otherwise."""

    def __init__(self, token: str, job_id: str) -> None:
        self.token = token
        self.job_id = job_id
        super().__init__(
            f"the token {token!r} belongs to job {job_id}, which was asked for with another source, filters, model, "
            "threshold or options"
        )


class NotAwaitingConfirmation(JobsError):
    """Only a prepared job that waits for a person can be confirmed."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id = job_id
        self.state = state
        super().__init__(f"job {job_id} is {state}; only a job that is awaiting_confirmation can be confirmed")


class VerdictNotFound(JobsError):
    """The job has no verdict for this image."""

    def __init__(self, job_id: str, image: str) -> None:
        self.job_id = job_id
        #: its key, address or ordinal, as it was asked for
        self.image = image
        super().__init__(f"job {job_id} has no verdict for {image!r}")


class ReviewConflict(JobsError):
    """Somebody else has reviewed the same verdict meanwhile."""

    def __init__(self, ref: str, number: int) -> None:
        self.ref = ref
        #: reviews there are by now
        self.number = number
        super().__init__(f"somebody else has reviewed {ref} meanwhile: look at it again, and decide then")


class NothingToUndo(JobsError):
    """No decision holds for this verdict."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"{ref} has no review that could be taken back")


class AmbiguousImage(JobsError):
    """Several images of a job are meant by the same words."""

    def __init__(self, job_id: str, said: str, candidates: list[tuple[int, str]], *, more: bool) -> None:
        self.job_id = job_id
        self.said = said
        #: ordinal and address of the first few
        self.candidates = candidates
        listed = ", ".join(f"{job_id}/{ordinal} ({uri!r})" for ordinal, uri in candidates)
        super().__init__(f"{said!r} can be several images: {listed}{', ...' if more else ''}")


class InvalidFilter(JobsError):
    """No list is kept in an order that serves these filters."""


class InvalidCursor(JobsError):
    """This cursor does not continue this list."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the cursor cannot be used: {reason}")


class IllegalTransition(JobsError):
    """A job may not go from this state to that one."""

    def __init__(self, current: str, wanted: str) -> None:
        self.current = current
        self.wanted = wanted
        super().__init__(f"a job that is {current} cannot become {wanted}")


class RequestRefused(JobsError):
    """What was asked of a job makes no sense in the state it is in."""

    def __init__(self, job_id: str, verb: str, state: str, why: str) -> None:
        self.job_id = job_id
        self.verb = verb
        self.state = state
        super().__init__(f"cannot {verb} job {job_id}, which is {state}: {why}")


class VerdictsRemoved(RequestRefused):
    """The job is cleared out: what is left of its verdicts does not stand for all of them."""

    def __init__(self, job_id: str, verb: str, state: str) -> None:
        super().__init__(job_id, verb, state, "it is old, and its verdicts were cleared out")


class NothingToRetry(JobsError):
    """The job has no image of the kind that was asked for."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"nothing to retry: job {job_id} has no such images")


class LeaseLost(JobsError):
    """The shard was given to somebody else (or its job ended) while this worker had it: the late result is dropped."""

    def __init__(self, shard_id: int, fence: int) -> None:
        self.shard_id = shard_id
        self.fence = fence
        super().__init__(f"shard {shard_id} is no longer held with fence {fence}")


class WorkLost(JobsError):
    """Somebody else has this piece of work now, or nobody wants it any more: whoever had it must stop."""

    def __init__(self, kind: str, subject: str) -> None:
        self.kind = kind
        self.subject = subject
        super().__init__(f"the {kind.replace('_', ' ')} of {subject} was taken over or is not wanted any more")


class ModelUnavailable(JobsError):
    """The hosted model cannot be reached now; trying again later can help."""


class ModelMismatch(JobsError):
    """The hosted model is another one than the job is pinned to."""

    def __init__(self, wanted: str, served: str) -> None:
        self.wanted = wanted
        self.served = served
        super().__init__(f"the job is pinned to model {wanted[:12]}, but {served[:12]} is being served")


class ModelFailed(JobsError):
    """The model raised on this batch: the batch is at fault, or one image in it."""


class SchemaOutdated(JobsError):
    """The database was made by an older version of this program, and others may be using it."""

    def __init__(self, revision: str, needed: str) -> None:
        self.revision = revision
        self.needed = needed
        super().__init__(f"the database schema is at revision {revision}, this version of nclscreen needs {needed}")


class SessionShared(JobsError):
    """The upgrade of a database in use needs a session of its own."""

    def __init__(self) -> None:
        super().__init__(
            "a pooler that deals out connections by the transaction (PgBouncer, pool_mode = transaction) is between us "
            "and PostgreSQL: the upgrade of a database in use needs a session of its own. Give it the address of the "
            "server itself, or of a pool with pool_mode = session"
        )


class SchemaTooNew(JobsError):
    """The database was made by a newer version of this program."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database schema is at revision {revision}, which this version of nclscreen does not know; "
            "upgrade nclscreen"
        )


#: how the revision of a database begins into which another one is being copied
UNFINISHED_COPY = "copying-"


class CopyUnfinished(JobsError):
    """Another database is being copied into this one, or that broke off."""

    def __init__(self) -> None:
        super().__init__("the database is an unfinished copy of another one, and of no use before it is whole")
