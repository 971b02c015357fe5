"""Where the images come from: a folder, a bucket prefix, one file, or a manifest, behind one stream of references."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.domain import Container, Cursor, Filters, ImageKey, ImageRef, ObjectInfo
from jobs.domain.places import Places
from jobs.errors import InvalidSource
from jobs.preparation.inventory import InventoryReader, is_inventory
from jobs.preparation.manifest import Listed, ManifestReader, is_manifest
from jobs.preparation.roots import Roots
from jobs.preparation.sampling import sample_of
from jobs.preparation.seen_keys import SeenKeys
from jobs.storage import ObjectStorage, OpenStorage, parse_source
from jobs.stored_text import is_storable, storable


class Corpus:
    """One source with its filters, read from the beginning as often as asked. Memory stays flat for any size."""

    def __init__(
        self,
        source: str,
        filters: Filters,
        open_storage: OpenStorage,
        *,
        on_object: Callable[[], None] = lambda: None,
        on_problem: Callable[[int, str], None] | None = None,
        allow_outside: bool = False,
        places: Places | None = None,
    ) -> None:
        """`allow_outside`: a list of local files may name files outside its own folder. `places`: None for anywhere.

        `on_object` is called for every object looked at, also for those the filters leave out.

        `on_problem` hears line and reason of lines that name no image; without it the first one raises.
        Raises InvalidSource for a source that cannot be understood.
        """
        self._on_object = on_object
        self._on_problem = on_problem
        self._allow_outside = allow_outside
        self._source = source
        self._parsed = parse_source(source)
        self._filters = filters
        self._places = places
        self._open = open_storage
        self._version: str | None = None
        self._last: ImageKey | None = None
        self._root: str | None = None
        #: objects left out so far: by the filters, or because the manifest named them before
        self.ignored = 0
        #: objects looked at so far
        self.seen = 0

    def check(self) -> None:
        """Whether the source can be read at all. Raises InvalidSource or StorageError, which say what to mend."""
        self._check_place(self._parsed.container, self._parsed.single_key or self._parsed.prefix)
        storage = self._open(self._parsed.container)
        # below the prefix: credentials may be good for no more than that
        storage.check(self._parsed.prefix)
        if (key := self._list_key()) is not None:
            next(storage.open_lines(key), None)  # a list may be there and be a closed file, or a link to nowhere
        if self._parsed.single_key is not None and self._list_key() is None and not self._accept_single():
            raise InvalidSource(
                self._source,
                f"it is a file whose name does not end with one of {', '.join(self._filters.suffixes)}; "
                "give a folder, an image, or a manifest ending with .csv, .jsonl or manifest.json",
            )

    def entries(self, after: Cursor | None = None) -> Iterator[ImageRef]:
        """The images of the corpus, one at a time; those behind a cursor that `fits`.

        Raises StorageError, InvalidManifest.
        """
        self.ignored = self.seen = 0
        self._last = None
        found = self._from_listing(after) if self._list_key() is None else self._from_list(after)
        if self._filters.sample is not None:
            chosen = sample_of(found, self._filters.sample, self._filters.sample_seed)
            self.ignored = self.seen - len(chosen)
            found = iter(chosen)
        for entry in found:
            self._check_place(entry.container, entry.key)
            yield entry

    @property
    def cursor(self) -> Cursor | None:
        """The place behind the last entry given out; None where the source can only be read from its beginning."""
        if self._filters.sample is not None or (self._last is None and self._version is None):
            return None
        place = {"seen": self.seen, "ignored": self.ignored, "key": self._last, "list": self._version}
        return place if self._root is None else {**place, "root": self._root}

    def fits(self, cursor: Cursor) -> bool:
        """Whether reading can go on at a cursor of an earlier reading: the list must be the same still."""
        key = self._list_key()
        version = None if key is None else _version(self._open(self._parsed.container), key)
        return bool(version == cursor["list"])

    def _check_place(self, container: Container, key: str) -> None:
        """Raises InvalidSource."""
        if self._places is not None and not self._places.has(container, key):
            reason = f"{container}/{key} is in no place of its project, which are {self._places}"
            raise InvalidSource(self._source, reason)

    def _list_key(self) -> ImageKey | None:
        if not names_places(self._source):
            return None
        return self._parsed.single_key or ImageKey(self._parsed.prefix) or None

    def _accept_single(self) -> bool:
        return self._filters.accept(ObjectInfo(key=ImageKey(self._parsed.single_key or "")))

    def _from_listing(self, after: Cursor | None) -> Iterator[ImageRef]:
        storage = self._open(self._parsed.container)
        single = self._parsed.single_key
        self._root = storage.identity()
        if after is not None:
            self.seen, self.ignored, self._last = after["seen"], after["ignored"], after["key"]
            if after.get("root") is not None:
                self._root = after["root"]
                storage.check(root=self._root)  # a mount that is away now would list nothing more
        if single is None:
            prefix = self._listing_prefix()
            listed = storage.list_objects(prefix) if after is None else storage.list_objects(prefix, self._last)
        else:
            listed = iter([storage.stat(single)] if after is None else [])
        for item in listed:
            if not self._count(self._filters.accept(item)):
                continue
            self._last = item.key
            yield ImageRef(
                container=storage.container,
                key=storable_key(item.key),
                size=item.size,
                etag=item.etag,
                version_id=item.version_id,
                stamp=item.stamp,
                root=self._root,
            )

    def _listing_prefix(self) -> str:
        """The longer of the source's prefix and the filter's, where one begins with the other: less is listed."""
        wanted, given = self._filters.prefix or "", self._parsed.prefix
        return wanted if wanted.startswith(given) else given

    def _from_list(self, after: Cursor | None) -> Iterator[ImageRef]:
        """Lists are read from their beginning, since what they named before must be known; that is quick."""
        storage = self._open(self._parsed.container)
        key = self._list_key() or ImageKey("")
        self._version = _version(storage, key)
        passed = 0 if after is None else after["seen"]
        roots = Roots(self._open)
        with SeenKeys() as seen:
            for listed in self._listed(storage, key):
                accepted = listed is not None and self._accept(listed) and seen.add(listed.image)
                if self._count(accepted) and listed is not None and self.seen > passed:
                    yield roots.frozen(listed.image)

    def _listed(self, storage: ObjectStorage, key: ImageKey) -> Iterator[Listed | None]:
        if is_inventory(self._source):
            return InventoryReader(self._source, storage, key, self._open, self._on_problem).read()
        reader = ManifestReader(self._source, storage.container, self._on_problem, allow_outside=self._allow_outside)
        return reader.read(storage.open_lines(key))

    def _accept(self, listed: Listed) -> bool:
        image, at, kind = listed
        return self._filters.accept(ObjectInfo(key=image.key, size=image.size, modified_at=at, storage_class=kind))

    def _count(self, accepted: bool) -> bool:
        self._on_object()
        self.seen += 1
        self.ignored += not accepted
        return accepted


def storable_key(key: ImageKey) -> ImageKey:
    """The key as a database can keep it. One with NUL in it is another key then, and `not_found`: it costs no other."""
    return key if is_storable(key) else ImageKey(storable(key, limit=len(key)) or "")


def names_places(source: str) -> bool:
    """Whether the source is a list or an inventory, which may name images in several buckets or folders."""
    return is_manifest(source) or is_inventory(source)


def _version(storage: ObjectStorage, key: ImageKey) -> str:
    """What changes when the object does."""
    info = storage.stat(key)
    return info.etag or f"{info.size} {info.modified_at}"
