"""What a corpus is made of: objects, the filters that choose among them, and the images they leave."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.domain.ids import Container, ImageKey
from jobs.domain.times import instant

#: file name endings that count as photographs unless the filters say otherwise (compared without case)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")

#: S3's storage classes whose objects cannot be read before they are restored
ARCHIVED_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it."""

    key: ImageKey
    #: bytes; None where the listing does not say
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    #: seconds since the epoch, UTC
    modified_at: float | None = None
    #: what the file system says of a file beside its size, see `jobs.storage.folder_stamps`; None elsewhere
    stamp: str | None = None
    #: "STANDARD", "GLACIER", ...; None where the listing does not say
    storage_class: str | None = None
    #: a folder that could not be listed: whatever is in it is accounted for by this one entry, its key with "/" behind
    closed_folder: bool = False


def address(container: Container, key: ImageKey) -> str:
    """Container and key in one, for people; the root folder's container ends with a slash of its own."""
    return f"{container}{'' if container.endswith('/') else '/'}{key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRef:
    """One entry of a frozen corpus: which bytes are meant. What is None was not frozen."""

    #: "s3://bucket" or "file:///absolute/folder"
    container: Container
    key: ImageKey
    #: bytes
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    #: of a file: its time and inode, see `jobs.storage.folder_stamps`
    stamp: str | None = None
    #: which folder it was that lay at `container`: a mount that went away leaves another one there
    root: str | None = None
    #: the claim, paper or listing it belongs to
    case: str | None = None

    @property
    def uri(self) -> str:
        return address(self.container, self.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which objects of a source belong to the corpus."""

    #: endings compared without case; empty = every object
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES
    #: the key contains this text
    contains: str | None = None
    #: the key, without its bucket, begins with this text
    prefix: str | None = None
    #: seconds since the epoch, both inclusive
    modified_after: float | None = None
    modified_before: float | None = None
    #: bytes, both inclusive
    min_bytes: int | None = None
    max_bytes: int | None = None
    #: storage classes of S3; empty = every one that can be read
    storage_classes: tuple[str, ...] = ()
    #: also objects that have to be restored before they can be read
    include_archived: bool = False
    #: of what passes, so many: those with the smallest hashes of seed and name, whatever their order
    sample: int | None = None
    sample_seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "suffixes", tuple(suffix.lower() for suffix in self.suffixes))
        object.__setattr__(self, "storage_classes", tuple(each.upper() for each in self.storage_classes))

    def accept(self, item: ObjectInfo) -> bool:
        """Whether the object belongs to the corpus; a bound on something the listing does not say is not applied."""
        if item.closed_folder:
            return True  # nobody knows what the filters would say to what is in it
        if self.suffixes and not item.key.lower().endswith(self.suffixes):
            return False
        if self.prefix is not None and not item.key.startswith(self.prefix):
            return False
        if self.contains is not None and self.contains not in item.key:
            return False
        if item.storage_class is not None and not self._takes_class(item.storage_class):
            return False
        return _within(item.modified_at, self.modified_after, self.modified_before) and _within(
            item.size, self.min_bytes, self.max_bytes
        )

    def _takes_class(self, storage_class: str) -> bool:
        if self.storage_classes:
            return storage_class in self.storage_classes
        return self.include_archived or storage_class not in ARCHIVED_CLASSES

    def in_words(self) -> str:
        """What is looked for, for people: "names ending with .jpg; of at least 10 bytes"."""
        bounds = [
            ("names ending with ", ", ".join(self.suffixes) or None),
            ("beginning with ", self.prefix and repr(self.prefix)),
            ("containing ", self.contains and repr(self.contains)),
            ("modified at or after ", instant(self.modified_after, "seconds")),
            ("modified at or before ", instant(self.modified_before, "seconds")),
            ("of at least ", self.min_bytes is not None and f"{self.min_bytes} bytes"),
            ("of at most ", self.max_bytes is not None and f"{self.max_bytes} bytes"),
            ("of storage class ", " or ".join(self.storage_classes) or None),
            ("archived ones, ", self.include_archived and "too"),
            ("a sample of ", self.sample),
        ]
        return "; ".join(f"{words}{value}" for words, value in bounds if value) or "any name"


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return True
    return (low is None or value >= low) and (high is None or value <= high)


#: why a line of a local list names no image, where nobody said that the list is trusted
OUTSIDE_FOLDER = "is outside the folder of the list, which has to be allowed for a list that is trusted"


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestProblem:
    """A line of a manifest that names no image."""

    #: from 1; in an inventory of several files, counted through all of them
    line: int
    reason: str
