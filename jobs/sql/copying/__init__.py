"""Moving everything from one database to another, whichever of the two kinds each is."""

from jobs.sql.copying.copies import Copied, TableCopied, copy_database
from jobs.sql.copying.errors import CopyDiffers, CopyRefused, SourceInUse

__all__ = ["Copied", "CopyDiffers", "CopyRefused", "SourceInUse", "TableCopied", "copy_database"]
