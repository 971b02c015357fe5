"""Lays a patch over a file of Ray's cluster launcher, which knows no patches itself:

    python deploy/ray/merge.py ray_cluster.yaml deploy/ray/gcp.yaml > cluster.yaml && ray up cluster.yaml

As RFC 7396 merges JSON: mappings are merged, null removes, all else replaces.
"""

from __future__ import annotations

import sys
from functools import reduce
from pathlib import Path
from typing import Any

import yaml


def merged(target: Any, patch: Any) -> Any:
    """What the patch makes of the target; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def merged_files(paths: list[Path]) -> Any:
    """The first file, and each further one as a patch over what came before."""
    return reduce(merged, (yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths))


if __name__ == "__main__":
    yaml.safe_dump(merged_files([Path(name) for name in sys.argv[1:]]), sys.stdout, sort_keys=False)
