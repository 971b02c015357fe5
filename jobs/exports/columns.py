"""What an export says of each verdict, the same in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from jobs.masking import masked
from jobs.sql.rows import tampered_area
from jobs.verdicts import FoundVerdict

Cell = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One value of each row."""

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    #: None where the verdict has none
    value: Callable[[FoundVerdict], Cell]
    #: for people
    about: str


def row(found: FoundVerdict) -> dict[str, Cell]:
    """The verdict by the names of the columns, in their order."""
    return {column.name: column.value(found) for column in COLUMNS}


def _text(name: str, value: Callable[[FoundVerdict], str | None], about: str) -> Column:
    return Column(name=name, kind=str, value=value, about=about)


def _number(name: str, value: Callable[[FoundVerdict], float | None], about: str) -> Column:
    return Column(name=name, kind=float, value=value, about=about)


def _count(name: str, value: Callable[[FoundVerdict], int | None], about: str) -> Column:
    return Column(name=name, kind=int, value=value, about=about)


def _yes_no(name: str, value: Callable[[FoundVerdict], bool], about: str) -> Column:
    return Column(name=name, kind=bool, value=value, about=about)


def _evidence(found: FoundVerdict) -> str | None:
    evidence = found.verdict.evidence
    return None if evidence is None else json.dumps(evidence, separators=(",", ":"))


def _signals(found: FoundVerdict) -> str | None:
    signals = found.verdict.signals
    return None if signals is None else json.dumps(signals, separators=(",", ":"))


def _review(found: FoundVerdict) -> str | None:
    return None if found.review is None else found.review.value


def _error_code(found: FoundVerdict) -> str | None:
    code = found.verdict.error_code
    return None if code is None else code.value


def _error_message(found: FoundVerdict) -> str | None:
    message = found.verdict.error_message
    return None if message is None else masked(message)


COLUMNS: tuple[Column, ...] = (
    _text("ref", lambda f: str(f.ref), "JOB/NUMBER, as every command takes it"),
    _text("job", lambda f: f.job_id, "the job's id"),
    _count("ordinal", lambda f: f.verdict.ordinal, "place in the job's manifest, from 0"),
    _text("container", lambda f: f.verdict.container, "s3://bucket or file:///folder"),
    _text("key", lambda f: f.verdict.key, "name below the container"),
    _number("score", lambda f: f.verdict.score, "in [0, 1], not rounded; empty where there is an error code"),
    _yes_no("flagged", lambda f: f.verdict.flagged, "whether the score reached the threshold"),
    _number("threshold", lambda f: f.threshold, "of the job"),
    _number("tampered_area", lambda f: tampered_area(f.verdict), "share of pixels at probability 0.5 or more"),
    _text("evidence", _evidence, "kinds of evidence, a JSON document; see evidence.md"),
    _count("width", lambda f: f.verdict.width, "pixels, upright"),
    _count("height", lambda f: f.verdict.height, "pixels, upright"),
    _count("size", lambda f: f.verdict.size, "bytes"),
    _text("sha256", lambda f: f.verdict.sha256, "of the bytes that were scored"),
    _text("etag", lambda f: f.verdict.etag, "of the object that was read"),
    _text("version_id", lambda f: f.verdict.version_id, "of the object that was read"),
    _text("map_uri", lambda f: f.verdict.map_uri, "where the heatmap lies, if it was kept"),
    _text("model", lambda f: f.model.name, "name and version"),
    _text("model_fingerprint", lambda f: f.verdict.fingerprint, "weights, preprocessing and arithmetic"),
    _yes_no("reused", lambda f: f.verdict.reused, "taken over from an earlier job"),
    _text("signals", _signals, "what the file says of itself, a JSON document; never part of the score"),
    _text("case", lambda f: f.verdict.case, "the claim, paper or listing it belongs to"),
    _text("review", _review, "the decision that holds: confirmed, rejected, unsure"),
    _text("error_code", _error_code, "why there is no score"),
    _text("error_message", _error_message, "the same in words"),
)
