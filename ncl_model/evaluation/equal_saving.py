"""Authentic photographs saved once more as the tampered ones of their set were: image-level figures without a giveaway.

In many sets every tampered file was saved by an editing program and every authentic one by a camera or an archive. A
network that reads the traces of saving then ranks images well and knows nothing about tampering [ours].
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

from ncl_model.data.file_bytes import read_file
from ncl_model.data.resaving import JpegSettings, resave, settings_of
from ncl_model.data.sample import Sample
from ncl_model.imaging.decoding import decode_photo
from ncl_model.imaging.encoding import bitmap


class EqualSaving:
    """Bytes of an authentic file in, the same photograph after one more saving out."""

    def __init__(self, settings: Sequence[JpegSettings]) -> None:
        #: how the tampered files were saved, one entry per file, so that common settings are drawn often
        self.settings = tuple(settings)

    @classmethod
    def like(cls, samples: Sequence[Sample]) -> Self:
        """Settings of the tampered files among ``samples`` that are JPEG; their headers are read."""
        found = []
        for sample in samples:
            if sample.tampered:
                try:
                    settings = settings_of(read_file(sample.image))
                except OSError:  # it will be listed as an image that cannot be judged
                    continue
                found += [settings] if settings is not None else []
        return cls(found)

    def __call__(self, data: bytes) -> bytes:
        """The photograph after one more saving, as an uncompressed file.

        The settings are drawn by the file's own bytes: neither order nor name changes them. Without any settings
        the file stays as it is. Raises ImageUnreadable.
        """
        if not self.settings:
            return data
        drawn = int.from_bytes(hashlib.sha256(data).digest()[:8], "big") % len(self.settings)
        return bitmap(resave(decode_photo(data), self.settings[drawn]))
