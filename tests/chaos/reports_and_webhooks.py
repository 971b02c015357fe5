"""What was told of a round: its completion report and its webhooks, held against the verdicts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import unquote

from support.reporting import read_report
from support.servers.webhook_receiver import Heard

from jobs.domain import JobId, Verdict
from jobs.storage import ObjectStorage
from jobs.webhooks.signature import signed_headers

#: what a job that nobody stops goes through
PATH = ["job.ready", "job.running", "job.completing", "job.completed"]


def report_problems(storage: ObjectStorage, prefix: str, job_id: JobId, verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong with the report: every image must be in it once, with the status of its verdict."""
    try:
        report = read_report(storage, f"{prefix}/job-{job_id}/manifest.json")
    except Exception as error:  # noqa: BLE001 - whatever it is, the report cannot be used
        return [f"the report cannot be read: {type(error).__name__}: {error}"]
    told = sorted((unquote(row[1]), row[4]) for row in report.succeeded + report.failed)
    wanted = sorted((each.key, each.error_code.value if each.error_code else "") for each in verdicts)
    return [] if told == wanted else [f"the report has {len(told)} rows, and not those of the {len(wanted)} verdicts"]


def messages_of(heard: Sequence[Heard], job_id: JobId) -> list[Heard]:
    """The requests that told of this job."""
    return [each for each in heard if json.loads(each.body)["data"]["id"] == job_id]


def webhook_problems(heard: Sequence[Heard], key: bytes, job_id: JobId) -> list[str]:
    """What is wrong with the messages: each change told at least once, under one id, and signed."""
    problems, bodies = [], defaultdict(set)
    for message in messages_of(heard, job_id):
        message_id, sent_at = message.headers["webhook-id"], int(message.headers["webhook-timestamp"])
        wanted = signed_headers(key, message_id, sent_at, message.body)
        if message.headers["webhook-signature"] != wanted["webhook-signature"]:
            problems.append(f"message {message_id} is not signed as it must be")
        bodies[message_id].add(message.body)
    problems += [f"message {each} says different things" for each, said in bodies.items() if len(said) > 1]
    told = [json.loads(said)["type"] for each in bodies.values() for said in each]
    if sorted(told) != sorted(PATH):
        problems.append(f"told were {sorted(told)}")
    return problems
