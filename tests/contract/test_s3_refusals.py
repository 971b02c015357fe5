"""What an S3 storage refuses for good is nobody's outage: a code at once, and no waiting.

Swift has no archive, no KMS and one region: a proxy says it in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.builders import lease, picture
from support.scene import codes, screener_over
from support.servers.faulty_proxy import FaultyProxy, Refuse
from support.servers.s3_server import S3Bucket, S3Server

from jobs.domain import ImageKey, ImageRef
from jobs.errors import ErrorCode, StorageError
from jobs.storage import S3Storage

pytestmark = pytest.mark.s3

KEY = ImageKey("photo.png")

PERMANENT = [
    (Refuse(403, "InvalidObjectState"), ErrorCode.ARCHIVED),
    (Refuse(400, "KMS.DisabledException"), ErrorCode.REFUSED),
    (Refuse(400, "KMS.KMSInvalidStateException"), ErrorCode.REFUSED),
    (Refuse(400, "InvalidRequest"), ErrorCode.REFUSED),  # SSE-C: "stored using a form of Server Side Encryption"
    (Refuse(400, "InvalidArgument"), ErrorCode.REFUSED),  # "Invalid version id specified"
    (Refuse(301, "PermanentRedirect"), ErrorCode.REFUSED),
    (Refuse(400, "AuthorizationHeaderMalformed"), ErrorCode.REFUSED),
    (Refuse(400, "NobodyKnows"), ErrorCode.REFUSED),
    (Refuse(501, "NotImplemented"), ErrorCode.REFUSED),
    (Refuse(412, "PreconditionFailed"), ErrorCode.CHANGED),
    (Refuse(403, "AccessDenied"), ErrorCode.ACCESS_DENIED),
]


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server.endpoint_url)
    yield proxy
    proxy.close()


@pytest.fixture
def storage(s3_bucket: S3Bucket, proxy: FaultyProxy) -> S3Storage:
    return S3Storage(s3_bucket.container, replace(s3_bucket.options, endpoint_url=proxy.endpoint_url, max_attempts=3))


@pytest.mark.parametrize(("answer", "code"), PERMANENT, ids=str)
def test_what_is_refused_for_good_has_its_code(
    storage: S3Storage, proxy: FaultyProxy, answer: Refuse, code: ErrorCode
) -> None:
    """Found 2: all of these but one rested the job for an hour, and ended as `timeout`."""
    proxy.faults.extend([answer] * 5)
    with pytest.raises(StorageError, match=answer.code) as caught:
        storage.read(KEY)
    assert (caught.value.code, caught.value.transient) == (code, False)
    # boto asks where the bucket is, when it is sent elsewhere
    redirected = answer.status == 301 or answer.code == "AuthorizationHeaderMalformed"
    assert len(proxy.ranges) == 1 or redirected


def test_a_shard_of_such_images_ends_at_the_first_attempt(storage: S3Storage, proxy: FaultyProxy) -> None:
    storage.write(ImageKey("fine.png"), picture(0), content_type="image/png")
    refused = {f"{number:02d}.png": answer for number, (answer, _) in enumerate(PERMANENT)}
    proxy.refusals = {f"/{key}": answer for key, answer in refused.items()}
    images = [ImageRef(container=storage.container, key=ImageKey(key)) for key in ("fine.png", *refused)]
    with screener_over(storage) as screener:
        verdicts = screener.screen(lease(images))
    assert codes(verdicts) == [None, *(code for _, code in PERMANENT)]
    for verdict, answer in zip(verdicts[1:], refused.values(), strict=True):
        assert answer.code in (verdict.error_message or "")


@pytest.mark.parametrize(
    "answer", [Refuse(409, "OperationAborted"), Refuse(400, "RequestTimeout"), Refuse(408)], ids=str
)
def test_a_4xx_that_passes_is_waited_for(storage: S3Storage, proxy: FaultyProxy, answer: Refuse) -> None:
    proxy.faults.extend([answer] * 9)
    with pytest.raises(StorageError) as caught:
        storage.read(KEY)
    assert caught.value.transient
