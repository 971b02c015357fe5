"""Files that go wrong in every way files do, with what must become of each. Test data, made on the spot."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SCORED = None


@dataclass(frozen=True, kw_only=True)
class OddFile:
    """One file and its right ending: an error code, or None for a verdict with a score."""

    name: str
    code: str | None
    #: upright size in pixels, where there is a score
    size: tuple[int, int] | None = None


def photo(width: int = 120, height: int = 80, seed: int = 0) -> Image.Image:
    """A smooth colour picture with some texture."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    noise = random.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, and has no more to say."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))


def make_odd_corpus(folder: Path) -> list[OddFile]:
    """Write the files; gives one `OddFile` for each image file, in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    jpeg = encoded(photo(), "JPEG", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be shown upright
    sixteen = Image.fromarray((np.asarray(photo().convert("L")).astype(np.uint16)) * 257)
    palette = photo().quantize(16)
    frames = [photo(seed=n).convert("P") for n in range(3)]
    contents: dict[str, tuple[bytes, str | None, tuple[int, int] | None]] = {
        "zero-bytes.jpg": (b"", "empty", None),
        "text.jpg": (b"this is no photograph\n" * 20, "unsupported_format", None),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "corrupt", None),
        "huge-header.png": (png_header(50_000, 50_000), "too_large", None),
        "cmyk.jpg": (encoded(photo().convert("CMYK"), "JPEG"), SCORED, (120, 80)),
        "sixteen-bit.png": (encoded(sixteen, "PNG"), SCORED, (120, 80)),
        "palette.png": (encoded(palette, "PNG", transparency=0), SCORED, (120, 80)),
        "animated.gif": (
            encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            SCORED,
            (120, 80),
        ),
        "rotated.jpg": (encoded(photo(), "JPEG", exif=exif), SCORED, (80, 120)),
        "grey.jpg": (encoded(photo().convert("L"), "JPEG"), SCORED, (120, 80)),
        "one-pixel.png": (encoded(photo(1, 1), "PNG"), SCORED, (1, 1)),
        "panorama.jpg": (encoded(photo(12_000, 20), "JPEG"), SCORED, (12_000, 20)),
        "picture.webp": (encoded(photo(), "WEBP"), SCORED, (120, 80)),
        "a name with 'quotes', \"more\",\na newline and ünïcödé 写真.jpg": (jpeg, SCORED, (120, 80)),
        "=cmd|' /C calc'!A0.jpg": (jpeg, SCORED, (120, 80)),
        "<script>alert(1)<／script>.jpg": (jpeg, SCORED, (120, 80)),
        "UPPER.JPG": (jpeg, SCORED, (120, 80)),
        "inside/a/folder.jpeg": (jpeg, SCORED, (120, 80)),
    }
    odd = []
    for name, (data, code, size) in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        odd.append(OddFile(name=name, code=code, size=size))
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    odd += [OddFile(name="loop.jpg", code="not_found"), OddFile(name="dangling.jpg", code="not_found")]
    (folder / "linked.jpg").symlink_to("UPPER.JPG")
    odd.append(OddFile(name="linked.jpg", code=SCORED, size=(120, 80)))
    (folder / "inside" / "round").symlink_to("..", target_is_directory=True)  # a folder inside itself
    (folder / "notes.txt").write_text("not an image by its name: left out\n")
    if os.geteuid() != 0:  # root may read everything; that case has a test of its own
        (folder / "unreadable.jpg").write_bytes(jpeg)
        (folder / "unreadable.jpg").chmod(0)
        odd.append(OddFile(name="unreadable.jpg", code="access_denied"))
    return odd
