"""Where a job's news are to go, looked at before it is submitted. Gives notes for the submitter."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.errors import ContainerNotFound, StorageError
from jobs.storage import parse_source
from jobs.storage.uris import folder_path
from jobs.webhooks.urls import check_webhook_url
from nclscreen.folders import may_write, nearest
from nclscreen.services.errors import InvalidRequest
from nclscreen.wiring import Wiring


def check_receiver(wiring: Wiring, url: str | None) -> list[str]:
    """What this installation says to a webhook.

    Raises InvalidWebhook for a host that is not listed, and InvalidRequest where a project asks and none is listed:
    whoever has a key must not choose what this machine calls.
    """
    if url is None:
        return []
    check_webhook_url(url, wiring.settings.webhook_host_names)
    if wiring.project is not None and not wiring.settings.webhook_host_names:
        raise InvalidRequest("webhook", "NCLSCREEN_WEBHOOK_HOSTS names no host here that projects may have called")
    if wiring.settings.webhook_key is not None:
        return []
    return ["note: NCLSCREEN_WEBHOOK_SECRET is not set here; where the dispatcher runs, it has to be"]


def check_report_place(wiring: Wiring, uri: str | None) -> list[str]:
    """Whether a completion report can go there.

    Raises ContainerNotFound for a bucket that is not there, InvalidRequest for a place that is not the project's.
    """
    if uri is None:
        return []
    parsed = parse_source(uri)
    if wiring.project is not None and not wiring.project.places.has(parsed.container, parsed.prefix):
        raise InvalidRequest("completion_report", f"{uri} is in no place of its project: {wiring.project.places}")
    if not parsed.container.startswith("s3:"):
        there = nearest(Path(os.fsdecode(folder_path(parsed.container))))
        return [] if may_write(there) else [f"note: you may not write into {there}; who runs the dispatcher must"]
    try:
        wiring.open_storage(parsed.container).check(parsed.prefix)
    except ContainerNotFound:
        raise
    except StorageError:
        pass  # who may write there need not be allowed to look
    return []
