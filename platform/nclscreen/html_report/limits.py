"""How much a report holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportLimits:
    """Bounds of the page. The CSV files beside it are complete."""

    #: flagged images with pictures, highest score first
    pictures: int = 200
    #: rows of images that could not be read
    failed_rows: int = 1000
    #: pixels of the longest side of a picture
    picture_side: int = 520
    #: JPEG quality of the pictures, 1-95
    jpeg_quality: int = 80
    #: larger objects are not read again for their picture
    max_image_bytes: int = 256 * 1024 * 1024
    #: pictures fetched and drawn at once
    fetchers: int = 4
