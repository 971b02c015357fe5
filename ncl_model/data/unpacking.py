"""Reading a PACK: a folder of tar shards and ``pack.json``, which names them with their checksums.

Inside the shards is one folder per source, each with an index.csv. Nothing of the tars is trusted: names, types and
sizes of members are checked before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncl_model.errors import DatasetInvalid

PACK_FILE = "pack.json"
PACK_VERSION = 1
_MEMBER = re.compile(
    r"\d{2,}-[\w.-]{1,80}/(index\.csv|(images|masks|regions|known)/[A-Za-z0-9][\w.-]{0,120})", re.ASCII
)
_FOLDER = re.compile(r"\d{2,}-[\w.-]{1,80}", re.ASCII)
_SHARD = re.compile(r"shard-\d{3,}\.tar", re.ASCII)
#: what an interrupted unpacking left behind is removed after so many seconds
_STALE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class PackContents:
    """What ``pack.json`` says."""

    #: sha256 over the checksums of the shards: the identity of the whole
    digest: str
    #: (file name, bytes, sha256), in order
    shards: tuple[tuple[str, int, str], ...]
    #: folder of each source inside the shards, in order
    folders: tuple[str, ...]


def is_pack(path: Path) -> bool:
    """Whether ``path`` is the folder of a PACK."""
    return (path / PACK_FILE).is_file()


def unpack(pack: Path, work: Path | None = None) -> list[Path]:
    """The folders of a PACK's sources, each with its index.csv, below ``work`` (default: the user's cache).

    Done once: when the same PACK was unpacked there before, its folders are returned as they are. An interrupted
    unpacking leaves nothing that a later one would take for complete. Raises DatasetInvalid when a shard is
    missing or not what was packed, or holds anything else than its files.
    """
    contents = read_contents(pack)
    base = work if work is not None else _cache()
    target = base / f"pack-{contents.digest[:16]}"
    if not target.is_dir():
        try:
            base.mkdir(parents=True, exist_ok=True)
            _sweep(base)
            _unpack_into(target, pack, contents)
        except OSError as error:
            raise DatasetInvalid(f"{pack}: cannot be unpacked into {base} ({error})") from error
    return [target / folder for folder in contents.folders]


def read_contents(pack: Path) -> PackContents:
    """``pack.json``, checked. Raises DatasetInvalid when it is not one, or of a version this program does not know."""
    path = pack / PACK_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = found["version"]
        shards = tuple((str(s["name"]), int(s["bytes"]), str(s["sha256"])) for s in found["shards"])
        folders = tuple(str(source["folder"]) for source in found["sources"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetInvalid(f"{path}: is not the index of a PACK ({type(error).__name__}: {error})") from error
    if version != PACK_VERSION:
        raise DatasetInvalid(f"{path}: version {version} of a PACK; this program reads version {PACK_VERSION}")
    if not all(_SHARD.fullmatch(name) for name, _, _ in shards) or not all(_FOLDER.fullmatch(f) for f in folders):
        raise DatasetInvalid(f"{path}: names files that no PACK has; pack the data anew")
    return PackContents(digest=pack_digest([sha for _, _, sha in shards]), shards=shards, folders=folders)


def pack_digest(checksums: list[str]) -> str:
    """The identity of a PACK, hexadecimal, from the sha256 of its shards."""
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()


def _unpack_into(target: Path, pack: Path, contents: PackContents) -> None:
    partial = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        for shard in contents.shards:
            _extract(pack, shard, partial)
        for folder in contents.folders:
            if not (partial / folder / "index.csv").is_file():
                raise DatasetInvalid(f"{pack}: has no {folder}/index.csv; pack the data anew")
        partial.chmod(0o755)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process was quicker, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(pack: Path, shard: tuple[str, int, str], folder: Path) -> None:
    name, size, checksum = shard
    path = pack / name
    if not path.is_file():
        raise DatasetInvalid(f"{path}: the shard is missing; copy the whole folder of the PACK")
    found = path.stat().st_size
    if found != size:
        raise DatasetInvalid(f"{path}: has {found:,} bytes instead of {size:,}; copy it again")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            raise DatasetInvalid(f"{path}: is not what was packed (checksum differs); copy it again")
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for member in archive:
                    _write(archive, member, path, folder)
        except tarfile.TarError as error:
            raise DatasetInvalid(f"{path}: is no tar file ({error}); pack the data anew") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, folder: Path) -> None:
    if member.type != tarfile.REGTYPE or not _MEMBER.fullmatch(member.name):
        raise DatasetInvalid(f"{path}: holds {member.name[:200]!r}, which no PACK holds; nothing was kept of it")
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    with target.open("xb") as out:
        shutil.copyfileobj(source, out)  # type: ignore[arg-type]


def _sweep(base: Path) -> None:
    """Remove what an unpacking that was killed has left."""
    for left in base.glob(".unpacking-*"):
        try:
            changed = left.stat().st_mtime
        except FileNotFoundError:  # another process was at it, and has ended since
            continue
        if time.time() - changed > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "nclscreen"
