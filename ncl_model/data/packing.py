"""Writing a PACK: everything a training run needs in a few tar shards that are easy to carry to another machine.

Files are stored as they are. The same sources give the same bytes, on any machine and at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ncl_model.data.datasets import Source
from ncl_model.data.file_bytes import read_file
from ncl_model.data.index_file import INDEX_NAME, write_index
from ncl_model.data.sample import Sample
from ncl_model.data.unpacking import PACK_FILE, PACK_VERSION, is_pack, pack_digest, unpack
from ncl_model.errors import DatasetInvalid

__all__ = ["SHARD_BYTES", "is_pack", "pack", "unpack"]

#: largest shard, in bytes
SHARD_BYTES = 60_000_000
_BLOCK = tarfile.BLOCKSIZE
_END = tarfile.RECORDSIZE
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def pack(
    sources: Sequence[Source],
    out: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write the sources as a PACK into the new folder ``out``; returns what its pack.json says.

    ``progress`` is told (bytes done, bytes in all). The folder appears when it is complete. Raises DatasetInvalid when
    ``out`` holds something already, a file cannot be read, or is larger than a shard.
    """
    check_free(out)
    sources = [source for source in sources if source.samples]
    if not sources:
        raise DatasetInvalid("nothing to pack: name at least one source with photographs that can be used")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            contents = _write_pack(sources, partial, shard_bytes, progress)
            partial.chmod(0o755)
            partial.rename(out)  # an empty folder may be there
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DatasetInvalid(f"{out}: cannot be packed ({error})") from error
    return contents


def check_free(out: Path) -> None:
    """Raise DatasetInvalid when something is at ``out`` already; an empty folder may be."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetInvalid(f"{out}: is there already; name a folder that does not exist yet, or empty this one")


def _write_pack(
    sources: Sequence[Source], folder: Path, shard_bytes: int, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    plans = [_Plan(number, source) for number, source in enumerate(sources, start=1)]
    total = sum(plan.bytes for plan in plans)
    shards = _Shards(folder, shard_bytes)
    done = 0
    try:
        for plan in plans:
            for name, content in plan.members():
                data = content if isinstance(content, bytes) else read_file(content)
                shards.add(name, data, of=plan.source.name if isinstance(content, bytes) else str(content))
                done += len(data)
                progress(done, total)
    finally:
        shards.close()
    contents = {
        "version": PACK_VERSION,
        "digest": pack_digest([shard["sha256"] for shard in shards.written]),
        "bytes": sum(shard["bytes"] for shard in shards.written),
        "shards": shards.written,
        "sources": [plan.described for plan in plans],
    }
    (folder / PACK_FILE).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    return contents


class _Plan:
    """Where the files of one source go; a file that several samples share is stored once."""

    def __init__(self, number: int, source: Source) -> None:
        self.source = source
        self.folder = f"{number:02d}-{_safe(source.name, 60) or 'data'}"
        self._names: dict[tuple[str, Path], str] = {}
        samples = [self._placed(sample) for sample in source.samples]
        self.index = write_index(samples, Path(self.folder)).encode()
        self.bytes = len(self.index) + sum(path.stat().st_size for _, path in self._names)
        self.described = {
            "folder": self.folder,
            "name": source.name,
            "layout": source.layout,
            "samples": len(samples),
            "tampered": sum(sample.tampered for sample in samples),
            "groups": len({sample.group for sample in samples}),
        }

    def members(self) -> Iterator[tuple[str, bytes | Path]]:
        """Names inside the shards with what they hold."""
        yield f"{self.folder}/{INDEX_NAME}", self.index
        for (_, path), name in self._names.items():
            yield name, path

    def _placed(self, sample: Sample) -> Sample:
        return dataclasses.replace(
            sample,
            image=self._place("images", sample.image),
            mask=self._place("masks", sample.mask) if sample.mask else None,
            regions=self._place("regions", sample.regions) if sample.regions else None,
            known=self._place("known", sample.known) if sample.known else None,
        )

    def _place(self, role: str, path: Path) -> Path:
        number = len(self._names)
        name = f"{self.folder}/{role}/{number:06d}-{_safe(path.stem, 40)}{_safe(path.suffix, 8)}"
        return Path(self._names.setdefault((role, path), name))


class _Shards:
    """Tar files of at most ``limit`` bytes, one after the other."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.written: list[dict[str, Any]] = []
        self._folder = folder
        self._limit = limit
        self._tar: tarfile.TarFile | None = None

    def add(self, name: str, data: bytes, *, of: str) -> None:
        """Store one file; ``of`` says in messages where it came from."""
        needed = _BLOCK + -(-len(data) // _BLOCK) * _BLOCK
        if needed + _END > self._limit:
            raise DatasetInvalid(f"{of}: {len(data):,} bytes do not fit into a shard of {self._limit:,} bytes")
        if self._tar is None or self._tar.offset + needed + _END > self._limit:
            self.close()
            path = self._folder / f"shard-{len(self.written):03d}.tar"
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()
        member = tarfile.TarInfo(name)  # owner, time and mode are the class's own: the same everywhere
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        """Finish the shard under way."""
        if self._tar is None:
            return
        path = Path(str(self._tar.name))
        self._tar.close()
        self._tar = None
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        self.written.append({"name": path.name, "bytes": path.stat().st_size, "sha256": checksum})


def _safe(text: str, limit: int) -> str:
    """ASCII letters, digits, dots and hyphens only, at most ``limit`` of them, the end kept."""
    return _UNSAFE.sub("-", text)[-limit:].lstrip(".-") if text[:1] != "." else "." + _safe(text[1:], limit - 1)
