"""What is known already: the same bytes and the same fingerprint give the same verdict, in whatever job. Pure.

A verdict is taken over without a download when the object is certainly unchanged, which only a version id proves, and
without scoring when its bytes are the same. The new job's threshold decides whether the image is flagged. Errors are
never taken over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobs.domain import Container, ImageKey, ImageRef, Lease, Verdict

#: the version of objects that were written while a bucket kept no versions: another object may have the same one
_NO_VERSION = (None, "", "null")


class Recall:
    """Verdicts of earlier jobs that may be of use for a shard, by place and by bytes."""

    def __init__(self, known: Iterable[Verdict], *, trust_etags: bool = False) -> None:
        """`trust_etags`: the same ETag and size at the same place are taken for the same bytes, too."""
        self._trust_etags = trust_etags
        self._by_place: dict[tuple[Container, ImageKey], list[Verdict]] = {}
        self._by_digest: dict[str, Verdict] = {}
        for verdict in known:
            self._by_place.setdefault((verdict.container, verdict.key), []).append(verdict)
            if verdict.sha256 is not None and not self._better(verdict.sha256, verdict):
                self._by_digest[verdict.sha256] = verdict

    def unchanged(self, entry: ImageRef) -> Verdict | None:
        """The verdict of an object that is certainly still the same: same place and version, or, where ETags are
        trusted, ETag and size. ETags are MD5 sums at best, and collisions can be made.

        Files have neither, whatever a list says of them: their time and size can be kept by whoever swaps a
        photograph, and reading a file costs little beside scoring it.
        """
        if entry.container.startswith("file:"):
            return None
        known = self._by_place.get((entry.container, entry.key), [])
        candidates = [v for v in known if _is_unchanged(entry, v, self._trust_etags)]
        return next((verdict for verdict in candidates if verdict.map_uri), candidates[0] if candidates else None)

    def same_bytes(self, digest: str) -> Verdict | None:
        """The verdict of an image with this sha256, wherever it was."""
        return self._by_digest.get(digest)

    def _better(self, digest: str, than: Verdict) -> bool:
        """Whether what is known of these bytes is as good: one with a heatmap is of more use than one without."""
        held = self._by_digest.get(digest)
        return held is not None and (held.map_uri is not None or than.map_uri is None)


def _is_unchanged(entry: ImageRef, known: Verdict, trust_etags: bool) -> bool:
    if entry.version_id not in _NO_VERSION and known.version_id not in _NO_VERSION:
        return entry.version_id == known.version_id
    same_etag = trust_etags and entry.etag is not None and entry.etag == known.etag
    return same_etag and entry.size is not None and entry.size == known.size


def is_flagged(known: Verdict, lease: Lease) -> bool:
    """Whether the new job flags it."""
    return known.score is not None and known.score >= lease.threshold


def deserves_heatmap(score: float, lease: Lease) -> bool:
    """Whether an image of this score is flagged, or nearly."""
    return score >= (lease.threshold if lease.heatmaps_from is None else min(lease.threshold, lease.heatmaps_from))


def taken_over(known: Verdict, lease: Lease, ordinal: int, entry: ImageRef, map_uri: str | None) -> Verdict:
    """The verdict of an earlier job as one of this job; of the same version it knows the ETag, whatever a list says."""
    same_version = entry.version_id not in _NO_VERSION and entry.version_id == known.version_id
    return replace(
        known,
        ordinal=ordinal,
        container=entry.container,
        key=entry.key,
        etag=known.etag if same_version else entry.etag,
        version_id=entry.version_id,
        flagged=is_flagged(known, lease),
        map_uri=map_uri,
        reused=True,
    )
