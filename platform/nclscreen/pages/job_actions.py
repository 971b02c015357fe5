"""What a person may tell a job in its state."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain import Job
from jobs.domain.states import FINAL, TRANSITIONS, JobState

_S = JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """A button."""

    #: the last part of the address that it is sent to
    verb: str
    label: str
    #: what cannot be taken back is asked for once more, with this sentence
    warning: str | None = None


def actions(job: Job) -> list[Action]:
    """Those that make sense now, the likeliest first."""
    following = TRANSITIONS[job.state]
    may_rest = bool(following & {_S.PAUSING, _S.PAUSED}) and job.state is not _S.PAUSING
    possible = [
        (job.state is _S.AWAITING_CONFIRMATION, Action(verb="confirm", label="Start screening")),
        (may_rest, Action(verb="pause", label="Pause")),
        (job.state in (_S.PAUSED, _S.PAUSING), Action(verb="resume", label="Resume")),
        (
            job.state in FINAL - {_S.DELETING} and job.counts.failed > 0,
            Action(verb="retry", label="Try failed images again"),
        ),
        (
            job.state in FINAL - {_S.DELETING} and job.counts.done > 0,
            Action(
                verb="rescreen",
                label="Screen again",
                warning="All of its images once more, by the current model, as a new job. This one stays as it is.",
            ),
        ),
        (
            _S.CANCELLING in following,
            Action(verb="cancel", label="Cancel", warning="It stops for good; verdicts so far are kept."),
        ),
        (
            _S.DELETING in following,
            Action(verb="delete", label="Delete", warning="The job and its verdicts are removed; reviews are kept."),
        ),
    ]
    return [action for makes_sense, action in possible if makes_sense]
