"""When so many images fail that going on makes no sense, and what a person is told then."""

from __future__ import annotations

from jobs.domain import Counts, FailureThreshold
from jobs.error_codes import NOTES
from jobs.errors import ErrorCode


def too_many_failed(counts: Counts, threshold: FailureThreshold) -> bool:
    """Whether the job gives up: enough images have their verdict, and more than the share allowed of them failed.

    Enough is `threshold.sample`, or all images of a smaller job: of a job whose images all failed nobody wants to
    read that it was completed, however small it was.
    """
    enough = min(threshold.sample, counts.total)
    return counts.done >= enough > 0 and counts.failed > threshold.ratio * counts.done


def give_up_reason(counts: Counts, threshold: FailureThreshold, codes: dict[ErrorCode, int]) -> str:
    """What failed, how often, and what to do. `codes`: failed images by code, not empty."""
    code = max(codes, key=lambda each: codes[each])
    after = "submit it again" if counts.done < counts.total else "retry the images that failed"
    return (
        f"{counts.failed:,} of {counts.done:,} images failed, more than the {threshold.ratio:.0%} this job allows; "
        f"most often {code} ({codes[code]:,}): {NOTES[code].remedy.replace('`', '')}. Afterwards: {after}"
    )
