"""Large files in small parts, for machines that give back only small ones.

``python -m ncl_model.training.parts DIR/weights.safetensors`` puts the parts beside that name together again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ncl_model.errors import CheckpointCorrupt, CheckpointMissing
from ncl_model.writing import replacing

_REMEDY = "Copy all parts and the list again; they were written together"
_BLOCK = 1024 * 1024


def split_file(path: Path, part_bytes: int) -> list[Path]:
    """Write ``path`` also as ``NAME.part00``, ``NAME.part01``, ... and ``NAME.parts.json``; gives all of them.

    The list names sizes and checksums and is written last, so half-written parts are noticed. Parts of an
    earlier, longer file are removed.
    """
    parts: list[Path] = []
    listed: list[dict[str, object]] = []
    with path.open("rb") as file:
        while data := file.read(part_bytes):
            part = path.with_name(f"{path.name}.part{len(parts):02d}")
            with replacing(part) as partial:
                partial.write_bytes(data)
            parts.append(part)
            listed.append({"name": part.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    index = _index(path)
    with replacing(index) as partial:
        partial.write_text(json.dumps({"name": path.name, "parts": listed}, indent=1), encoding="utf-8")
    for old in path.parent.glob(f"{path.name}.part[0-9]*"):
        if old not in parts:
            old.unlink()
    return [*parts, index]


def has_parts(path: Path) -> bool:
    """Whether ``path`` could be put together from parts beside it."""
    return _index(path).is_file()


def join_parts(path: Path) -> Path:
    """Put ``path`` together from its parts; atomic. Gives ``path``.

    Raises CheckpointMissing when the list or a part is away, CheckpointCorrupt when one is not what was written.
    """
    index = _index(path)
    if not index.is_file():
        raise CheckpointMissing(index, "no such file", _REMEDY)
    try:
        listed = [(str(p["name"]), str(p["sha256"])) for p in json.loads(index.read_text(encoding="utf-8"))["parts"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointCorrupt(index, f"not a list of parts ({error})", _REMEDY) from error
    with replacing(path) as partial, partial.open("wb") as file:
        for name, digest in listed:
            part = path.with_name(Path(name).name)
            if not part.is_file():
                raise CheckpointMissing(part, "no such file", _REMEDY)
            if _copy(part, file) != digest:
                raise CheckpointCorrupt(part, "not the part that was written", _REMEDY)
    return path


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts.json")


def _copy(part: Path, file: BinaryIO) -> str:
    digest = hashlib.sha256()
    with part.open("rb") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: put files together from their parts."""
    parser = argparse.ArgumentParser(prog="python -m ncl_model.training.parts", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="the whole files to write, beside their parts")
    for path in parser.parse_args(arguments).files:
        try:
            joined = join_parts(path)
        except (CheckpointMissing, CheckpointCorrupt) as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stdout.write(f"{joined}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
