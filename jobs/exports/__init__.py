"""Verdicts as files for other programs. Written as they are read, in flat memory."""

from jobs.exports.columns import COLUMNS, Column
from jobs.exports.formats import ExportFormat, MaskFormat, encoded, encoded_masks
from jobs.exports.masks import Masked, MaskOf, masked_verdicts

__all__ = [
    "COLUMNS",
    "Column",
    "ExportFormat",
    "MaskFormat",
    "MaskOf",
    "Masked",
    "encoded",
    "encoded_masks",
    "masked_verdicts",
]
