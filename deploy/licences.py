"""Prints name, version and licence of each package of a CycloneDX list, as CSV: `python deploy/licences.py SBOM`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_CLASSIFIER = "License :: OSI Approved :: "


def rows(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The packages in the order of their names; a licence that the package does not state is said to be so."""
    for each in sorted(document["components"], key=lambda component: str(component["name"]).lower()):
        stated = [_name(choice) for choice in each.get("licenses", ())]
        yield each["name"], each.get("version", ""), "; ".join(dict.fromkeys(stated)) or "not stated"


def _name(choice: Mapping[str, Any]) -> str:
    licence = choice.get("license", {})
    found = choice.get("expression") or licence.get("id") or licence.get("name") or "not stated"
    # a name may be the whole text of the licence
    return str(found).removeprefix(_CLASSIFIER).strip().split("\n")[0][:100]


if __name__ == "__main__":
    csv.writer(sys.stdout).writerows(
        [("package", "version", "licence"), *rows(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))]
    )
