"""What our dashboards ask, as Grafana would ask it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DASHBOARDS = sorted((Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards").glob("*.json"))


def panels(page: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(page.read_text(encoding="utf-8"))["panels"]
    return found


def questions() -> list[tuple[str, str]]:
    """(who asks, what) of every panel, with its variables as they are."""
    return [
        (f"{page.stem}: {panel['title']}", target["expr"])
        for page in DASHBOARDS
        for panel in panels(page)
        for target in panel["targets"]
    ]


def filled_in(expr: str) -> str:
    """With the values of a page that was just opened."""
    return expr.replace("$__rate_interval", "5m").replace("$job", "nclscreen")
