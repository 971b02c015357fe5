"""An image in bands of rows, so that what is made of it need not be in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator

#: pixels of one band
BAND_PIXELS = 1_000_000


def row_bands(height: int, width: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """(top, bottom) of bands of about a million pixels; the rows of all but the last are a multiple of ``multiple``."""
    rows = max(1, BAND_PIXELS // (width * multiple)) * multiple
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
