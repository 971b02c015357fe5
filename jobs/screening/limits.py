"""What one screening worker takes on at once."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.screening.batching import BATCHES_AT_MODEL, BATCHES_WAITING


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreeningLimits:
    """Bounds of what one worker holds in memory and takes on, over all its shards."""

    #: images fetched and decoded at once
    fetchers: int = 4
    #: images in one call to the model
    batch_size: int = 8
    #: larger objects are not downloaded
    max_image_bytes: int = 256 * 1024 * 1024

    @property
    def most_file_bytes(self) -> int:
        """So many bytes of files are in memory at most: two of the largest, and many of the usual ones."""
        return 2 * self.max_image_bytes

    @property
    def most_decoded_images(self) -> int:
        """So many decoded images are in memory at most: fetched, waiting for a batch, at the model."""
        return 2 * self.fetchers + (BATCHES_WAITING + BATCHES_AT_MODEL + 1) * self.batch_size
