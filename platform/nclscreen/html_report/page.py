"""The page itself: the template, its style and script inlined, and a policy that forbids anything from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TextIO

from jinja2 import Environment

from jobs.preparation.corpus import names_places
from nclscreen.html_parts.environment import look, template_environment
from nclscreen.html_parts.histogram import Histogram
from nclscreen.html_report.cards import Card
from nclscreen.html_report.failures import FailureGroup
from nclscreen.html_report.summary import Summary
from nclscreen.quantities import moment_in_words


def write_page(
    file: TextIO,
    *,
    summary: Summary,
    histogram: Histogram,
    cards: Iterable[Card],
    shown: int,
    failures: Sequence[FailureGroup],
    written_at: float,
) -> None:
    """Stream the page into the file; `cards` is consumed one by one, `shown` says how many it will give."""
    style, script = look() + _inlined("report.css"), _inlined("report.js")
    pieces = (
        _environment()
        .get_template("report.html.j2")
        .generate(
            summary=summary,
            job=summary.job,
            listed=names_places(summary.job.source),
            histogram=histogram,
            cards=cards,
            shown=shown,
            failures=failures,
            failed_shown=sum(len(group.shown) for group in failures),
            written_at=moment_in_words(written_at),
            style=style,
            script=script,
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )
    file.writelines(pieces)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return template_environment("nclscreen.html_report")


def _inlined(name: str) -> str:
    return files("nclscreen.html_report").joinpath("templates", name).read_text("utf-8")


def _hash(text: str) -> str:
    """The text's hash as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
