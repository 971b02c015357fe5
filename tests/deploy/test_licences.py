"""The list of licences, from a CycloneDX document as cyclonedx-py writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.deployment.documents import DEPLOY

COMPONENTS = [
    {"name": "zlib", "version": "1", "licenses": [{"license": {"id": "MIT"}}, {"license": {"id": "MIT"}}]},
    {"name": "Pillow", "version": "12", "licenses": [{"expression": "MIT-CMU"}]},
    {"name": "boto3", "version": "2", "licenses": [{"license": {"name": "License :: OSI Approved :: Apache\ntext"}}]},
    {"name": "ray", "version": "3"},
]


def test_each_package_has_its_line(tmp_path: Path) -> None:
    sbom = tmp_path / "sbom.json"
    sbom.write_text(json.dumps({"bomFormat": "CycloneDX", "components": COMPONENTS}))
    done = subprocess.run(
        [sys.executable, DEPLOY / "licences.py", sbom], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "package,version,licence",
        "boto3,2,Apache",
        "Pillow,12,MIT-CMU",
        "ray,3,not stated",
        "zlib,1,MIT",
    ]
