"""Two rounds of the campaign against a bucket that changes under the job; `make changing-bucket` has twenty."""

from __future__ import annotations

import pytest
from chaos.changing_bucket import run
from support.servers.s3_server import S3Bucket, S3Server

pytestmark = pytest.mark.s3


def test_every_verdict_is_of_bytes_that_were_frozen(s3_server: S3Server, s3_bucket: S3Bucket) -> None:
    del s3_bucket  # its fixture sets the credentials
    total = run(40, 2, s3_server, lambda line: None)
    assert total["scored"] > 0
    assert sum(total.values()) == sum(total[each] for each in ("scored", "reused", "changed", "not_found", "archived"))
