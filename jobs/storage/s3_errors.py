"""What botocore raises, in the words of `jobs.errors`."""

from __future__ import annotations

import socket

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from jobs.errors import (
    AccessDenied,
    ContainerNotFound,
    InvalidCredentials,
    ObjectArchived,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)

#: everything a client call or the reading of a body can raise
BOTO_ERRORS = (boto.ClientError, boto.BotoCoreError, ResponseParserError)

_WHAT_TO_SET = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_PROFILE, "
    "and that the endpoint is the storage they belong to"
)

_BY_CODE: dict[type[StorageError], frozenset[str]] = {
    ContainerNotFound: frozenset({"NoSuchBucket", "InvalidBucketName"}),
    ObjectNotFound: frozenset(
        {"NoSuchKey", "NoSuchVersion", "NotFound", "404", "KeyTooLongError", "InvalidURI", "MethodNotAllowed"}
    ),
    InvalidCredentials: frozenset(
        {
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
            "TokenRefreshRequired",
            "InvalidSecurity",
            "MissingSecurityHeader",
            "RequestTimeTooSkewed",
        }
    ),
    AccessDenied: frozenset({"AccessDenied", "Forbidden", "403", "AllAccessDisabled", "AccountProblem"}),
    ObjectArchived: frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"}),
    ObjectChanged: frozenset({"PreconditionFailed", "412"}),
    StorageUnavailable: frozenset(
        {
            "SlowDown",
            "ServiceUnavailable",
            "InternalError",
            "RequestTimeout",
            "RequestTimeoutException",
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "TooManyRequests",
            "OperationAborted",
            "ConditionalRequestConflict",
            "IncompleteBody",
            "KMS.ThrottlingException",
            "KMS.DependencyTimeoutException",
            "KMS.KMSInternalException",
            "InvalidRange",
        }
    ),
}

#: what the storage means, where its own words leave it open
_HINTS = {
    "PermanentRedirect": "; the bucket is in another region or at another endpoint: see NCLSCREEN_S3_REGION",
    "AuthorizationHeaderMalformed": "; see NCLSCREEN_S3_REGION",
    "UserKeyMustBeSpecified": "; the object is encrypted with a key of its owner (SSE-C)",
}

_BAD_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ProfileNotFound,
)
_CONNECTION = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, ResponseParserError)


def storage_error(uri: str, error: Exception) -> StorageError:
    """The error of this package for one of BOTO_ERRORS about `uri`."""
    if isinstance(error, boto.ClientError):
        return _answered(uri, error)
    if isinstance(error, _BAD_CREDENTIALS):
        return _unknown(uri, str(error))
    if isinstance(error, boto.SSLError):
        return StorageError(uri, f"{error}; check the endpoint and AWS_CA_BUNDLE")  # no retry mends a certificate
    if isinstance(error, _CONNECTION):
        return StorageUnavailable(uri, str(error))
    return StorageError(uri, str(error))


def _unknown(uri: str, reason: str) -> InvalidCredentials:
    # of a cluster's nodes one may have credentials that another lacks
    return InvalidCredentials(uri, f"{reason}; {_WHAT_TO_SET}, on {socket.gethostname()}")


def _answered(uri: str, error: boto.ClientError) -> StorageError:
    """The storage answered, with an error document or at least a status."""
    details = error.response.get("Error", {})
    code = details.get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = f"{details.get('Message') or error} ({code or status}){_HINTS.get(code, '')}"
    for kind, codes in _BY_CODE.items():
        if code in codes:
            return _unknown(uri, reason) if kind is InvalidCredentials else kind(uri, reason)
    return _by_status(status)(uri, reason)


def _by_status(status: int) -> type[StorageError]:
    """For codes nobody has heard of: every storage invents some."""
    if status in (408, 425, 429, 500) or status > 501:  # 501 is "not implemented": waiting does not help
        return StorageUnavailable
    return {401: InvalidCredentials, 403: AccessDenied, 404: ObjectNotFound, 412: ObjectChanged}.get(
        status, StorageError
    )
