"""Where the credentials of a bucket come from: the usual chain, a profile of its own, a role that is assumed for it."""

from __future__ import annotations

import boto3.session
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

from jobs.storage.base import BucketAccess

_SESSION_NAME = "nclscreen"


def session_for(region: str | None, access: BucketAccess) -> boto3.session.Session:
    """A session with the bucket's credentials; those of a role are renewed before they run out.

    Raises botocore's errors.
    """
    session = boto3.session.Session(region_name=region, profile_name=access.profile)
    return session if access.role_arn is None else _assuming(session, access.role_arn)


def _assuming(session: boto3.session.Session, role_arn: str) -> boto3.session.Session:
    source = session.get_credentials()
    if source is None:
        raise NoCredentialsError
    core = botocore.session.Session()
    core.set_config_variable("region", session.region_name)
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=core.create_client,
        source_credentials=source,
        role_arn=role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME},
    )
    # botocore has no public way to hand over credentials that renew themselves
    core._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.session.Session(botocore_session=core, region_name=session.region_name)
