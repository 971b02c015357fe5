"""Where the images come from: a folder, a bucket prefix, one file, or a manifest, behind one stream of references."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.domain import Filters, ImageKey, ImageRef, ObjectInfo
from jobs.errors import InvalidSource
from jobs.manifest import ManifestReader, is_manifest
from jobs.seen_keys import SeenKeys
from jobs.storage import ObjectStorage, parse_source

OpenStorage = Callable[[str], ObjectStorage]


class Corpus:
    """One source with its filters, read from the beginning as often as asked. Memory stays flat for any size."""

    def __init__(
        self,
        source: str,
        filters: Filters,
        open_storage: OpenStorage,
        on_object: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_object` is called for every object looked at, also for those the filters leave out.

        Raises InvalidSource for a source that cannot be understood.
        """
        self._on_object = on_object
        self._source = source
        self._parsed = parse_source(source)
        self._filters = filters
        self._open = open_storage
        #: objects left out so far: by the filters, or because the manifest named them before
        self.ignored = 0
        #: objects looked at so far
        self.seen = 0

    def check(self) -> None:
        """Whether the source can be read at all. Raises InvalidSource or StorageError, which say what to mend."""
        storage = self._open(self._parsed.container)
        # below the prefix: credentials may be good for no more than that
        storage.check(self._parsed.prefix)
        if self._parsed.single_key is not None and self._manifest_key() is None and not self._accept_single():
            raise InvalidSource(
                self._source,
                f"it is a file whose name does not end with one of {', '.join(self._filters.suffixes)}; "
                "give a folder, an image, or a manifest ending with .csv or .jsonl",
            )

    def entries(self) -> Iterator[ImageRef]:
        """The images of the corpus, one at a time. Raises StorageError, InvalidManifest."""
        self.ignored = self.seen = 0
        manifest_key = self._manifest_key()
        yield from self._from_listing() if manifest_key is None else self._from_manifest(manifest_key)

    def _manifest_key(self) -> ImageKey | None:
        if not is_manifest(self._source):
            return None
        return self._parsed.single_key or ImageKey(self._parsed.prefix) or None

    def _accept_single(self) -> bool:
        return self._filters.accept(ObjectInfo(key=ImageKey(self._parsed.single_key or "")))

    def _from_listing(self) -> Iterator[ImageRef]:
        storage = self._open(self._parsed.container)
        single = self._parsed.single_key
        listed = storage.list_objects(self._parsed.prefix) if single is None else iter([storage.stat(single)])
        for item in listed:
            if not self._count(self._filters.accept(item)):
                continue
            yield ImageRef(
                container=storage.container,
                key=item.key,
                size=item.size,
                etag=item.etag,
                version_id=item.version_id,
            )

    def _from_manifest(self, key: ImageKey) -> Iterator[ImageRef]:
        storage = self._open(self._parsed.container)
        reader = ManifestReader(self._source, storage.container)
        with SeenKeys() as seen:
            for entry in reader.read(storage.open_lines(key)):
                item = ObjectInfo(key=entry.key, size=entry.size)
                if self._count(self._filters.accept(item) and seen.add(entry)):
                    yield entry

    def _count(self, accepted: bool) -> bool:
        self._on_object()
        self.seen += 1
        self.ignored += not accepted
        return accepted
