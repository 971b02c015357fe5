"""The page itself: the template, its style and script inlined, and a policy that forbids anything from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined

from jobs.masking import masked
from jobs.preparation.corpus import names_places
from nclscreen.html_report import histogram as layout
from nclscreen.html_report.cards import Card
from nclscreen.html_report.failures import FailureGroup
from nclscreen.html_report.histogram import Histogram
from nclscreen.html_report.summary import Summary
from nclscreen.pictures.colours import LEGEND_TITLE, TICKS, css_gradient
from nclscreen.quantities import moment_in_words, size_in_words
from nclscreen.visible_text import visible_parts, visible_text


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
    style, script = _inlined("report.css").replace("@gradient@", css_gradient()), _inlined("report.js")
    pieces = (
        _environment()
        .get_template("report.html.j2")
        .generate(
            summary=summary,
            job=summary.job,
            listed=names_places(summary.job.source),
            histogram=histogram,
            layout=layout,
            cards=cards,
            shown=shown,
            failures=failures,
            failed_shown=sum(len(group.shown) for group in failures),
            written_at=moment_in_words(written_at),
            style=style,
            script=script,
            style_hash=_hash(style),
            script_hash=_hash(script),
            legend_title=LEGEND_TITLE,
            ticks=TICKS,
        )
    )
    file.writelines(pieces)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nclscreen.html_report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"visible": lambda text: visible_text(masked(text)), "parts": visible_parts}
    environment.filters |= {**filters, "count": _count, "size": _size}
    return environment


def _inlined(name: str) -> str:
    return files("nclscreen.html_report").joinpath("templates", name).read_text("utf-8")


def _hash(text: str) -> str:
    """The text's hash as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _count(number: int, noun: str = "") -> str:
    """5312, "image" -> "5,312 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if noun else f"{number:,}"


def _size(size: int | None) -> str:
    """Bytes as people say them; a dash where nobody knows."""
    return "–" if size is None else size_in_words(size)
