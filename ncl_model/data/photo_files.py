"""Picture files and folders, by their names alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})


def is_photo(path: Path) -> bool:
    """Whether the name is that of a picture; hidden files are not."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def photos_below(folder: Path) -> Iterator[Path]:
    """All pictures below ``folder``, sorted."""
    yield from sorted(path for path in folder.rglob("*") if is_photo(path))


def folders_in(folder: Path) -> list[Path]:
    """The folders right below ``folder``, sorted; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
