"""Templates of this program: everything in them is escaped, and what is missing is a fault."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from jobs.masking import masked
from nclscreen.html_parts import histogram
from nclscreen.pictures.colours import LEGEND_TITLE, TICKS, css_gradient
from nclscreen.quantities import counted, rounded, score_in_words, size_in_words
from nclscreen.visible_text import visible_parts, visible_text


def template_environment(package: str) -> Environment:
    """Templates of `package`, and those of this one behind them."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader("nclscreen.html_parts", "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _visible, "parts": visible_parts, "count": _count, "size": _size}
    environment.filters |= {"score": score_in_words, "rounded": rounded}
    environment.globals |= {"layout": histogram, "legend_title": LEGEND_TITLE, "ticks": TICKS}
    return environment


def look() -> str:
    """The style that report and pages have in common."""
    style = files("nclscreen.html_parts").joinpath("templates", "look.css").read_text("utf-8")
    return style.replace("@gradient@", css_gradient())


def _visible(text: str) -> str:
    """Text from outside on one line, without its secrets."""
    return visible_text(masked(text))


def _count(number: int, noun: str = "") -> str:
    """5312, "image" -> "5,312 images"."""
    return counted(number, noun) if noun else f"{number:,}"


def _size(size: int | None) -> str:
    """Bytes as people say them; a dash where nobody knows."""
    return "–" if size is None else size_in_words(size)
