"""When a known verdict is taken over in a shard, and when the image is read or scored all the same."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from support.builders import FINGERPRINT, entry, lease, picture
from support.made_evidence import evidence
from support.scene import Scene, codes

from jobs.domain import ImageKey, ImageRef, Verdict
from jobs.errors import AccessDenied, HeatmapsUnavailable, ObjectNotFound, StorageError, StorageUnavailable
from jobs.screening.heatmaps import StoredHeatmaps
from jobs.screening.reuse import Recall, is_flagged, taken_over
from jobs.storage import FolderStorage, MemoryStorage

SIZE = len(picture(0))
ETAG = md5(picture(0)).hexdigest()


def verdict(key: str = "000.png", **fields: object) -> Verdict:
    values: dict[str, object] = {
        "ordinal": 7, "container": "s3://photos", "key": ImageKey(key), "score": 0.6, "fingerprint": FINGERPRINT,
        "size": SIZE, "etag": ETAG, "sha256": "5" * 64, **fields,
    }  # fmt: skip
    return Verdict(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "before", "unchanged"),
    [
        ({"etag": "e", "size": 5}, {"etag": "e", "size": 5}, True),
        ({"etag": "e", "size": 5}, {"etag": "f", "size": 5}, False),
        ({"etag": "e", "size": 5}, {"etag": "e", "size": 6}, False),
        ({"etag": "e"}, {"etag": "e", "size": 5}, False),
        ({"size": 5}, {"etag": None, "size": 5}, False),
        ({"version_id": "v"}, {"version_id": "v", "etag": None}, True),
        ({"version_id": "v", "etag": "e", "size": 5}, {"version_id": "w", "etag": "e", "size": 5}, False),
        ({"version_id": "null"}, {"version_id": "null", "etag": None}, False),
        ({"version_id": "null", "etag": "e", "size": 5}, {"version_id": "null", "etag": "e", "size": 5}, True),
        ({"version_id": "v", "etag": "e", "size": 5}, {"version_id": None, "etag": "e", "size": 5}, True),
    ],
)
def test_an_object_is_unchanged(now: dict[str, object], before: dict[str, object], unchanged: bool) -> None:
    """By its version always, by its ETag only where these are trusted."""
    recall = Recall([verdict(**before)], trust_etags=True)
    assert (recall.unchanged(entry("000.png", **now)) is not None) == unchanged
    by_version = now.get("version_id") == "v" == before.get("version_id")
    assert (Recall([verdict(**before)]).unchanged(entry("000.png", **now)) is not None) == by_version


@pytest.mark.parametrize("said", [{"etag": "e", "size": 5}, {"version_id": "v", "size": 5}], ids=str)
def test_a_list_of_local_files_cannot_vouch_for_them(said: dict[str, object]) -> None:
    """Found 1: `etag` and `size` columns of a local list got a swapped file the verdict of the one before."""
    here = {"container": "file:///photos", **said}
    assert Recall([verdict(**here)], trust_etags=True).unchanged(entry("000.png", **here)) is None


def test_another_place_is_another_object() -> None:
    recall = Recall([verdict()], trust_etags=True)
    same = {"etag": ETAG, "size": SIZE}
    assert recall.unchanged(entry("000.png", **same)) is not None
    assert recall.unchanged(entry("001.png", **same)) is None
    assert recall.unchanged(entry("000.png", container="s3://other", **same)) is None


def test_of_equal_verdicts_that_with_a_heatmap_is_taken() -> None:
    plain, mapped = verdict(), verdict(map_uri="memory://maps/1.png")
    for known in ([plain, mapped], [mapped, plain]):
        recall = Recall(known, trust_etags=True)
        assert recall.same_bytes("5" * 64) is mapped
        assert recall.unchanged(entry("000.png", etag=ETAG, size=SIZE)) is mapped
    assert Recall([plain]).same_bytes("6" * 64) is None


def test_the_new_jobs_threshold_decides() -> None:
    held = lease([entry("x.png")], threshold=0.6)
    new = taken_over(verdict(flagged=False), held, 3, entry("x.png", etag="new"), None)
    assert (new.ordinal, new.key, new.etag, new.flagged, new.reused) == (3, "x.png", "new", True, True)
    assert not is_flagged(verdict(score=0.59), held)
    said = taken_over(verdict(version_id="v"), held, 3, entry("x.png", etag="as a list says", version_id="v"), None)
    assert (said.etag, said.version_id) == (ETAG, "v")


def test_what_is_taken_over_keeps_its_evidence() -> None:
    spoken = evidence(1, pixels=0.3, copies=0.6)
    held = lease([entry("x.png")], threshold=0.6)
    assert taken_over(verdict(evidence=spoken), held, 3, entry("x.png"), None).evidence == spoken
    assert shard_of_one(Scene(1), verdict(evidence=spoken), threshold=0.7).evidence == spoken


def shard_of_one(scene: Scene, known: Verdict, **fields: object) -> Verdict:
    refs: list[ImageRef] = [entry("000.png", etag=ETAG, size=SIZE)]
    with scene.screener() as screener:
        (found,) = screener.screen(lease(refs, known=(known,), **{"trust_etags": True, **fields}))
    return found


def test_an_unchanged_object_is_not_read() -> None:
    scene = Scene(1)
    scene.photos.errors["000.png"] = AccessDenied("u", "must not be read")
    found = shard_of_one(scene, verdict(), threshold=0.7)
    assert (found.reused, found.score, found.flagged) == (True, 0.6, False)
    assert scene.scorer.calls == []


def test_without_trust_in_etags_it_is_read() -> None:
    scene = Scene(1)
    found = shard_of_one(scene, verdict(), threshold=0.7, trust_etags=False)
    assert (found.reused, found.score) == (False, scene.scorer.score_of(picture(0)))


def test_the_same_bytes_are_not_scored() -> None:
    scene = Scene(1)
    fresh = scene.screen()[0]
    scene.scorer.calls.clear()
    found = shard_of_one(scene, replace(fresh, key=ImageKey("else.png"), score=0.25), threshold=0.7)
    assert (found.key, found.reused, found.score, found.etag) == ("000.png", True, 0.25, ETAG)
    assert scene.scorer.calls == []
    other = shard_of_one(scene, replace(fresh, key=ImageKey("else.png"), sha256="7" * 64))
    assert not other.reused


@pytest.mark.parametrize(
    ("map_there", "keep", "reused"),
    [("yes", "flagged", True), ("gone", "flagged", False), ("none", "flagged", False), ("none", "none", True)],
)
def test_a_flagged_image_needs_its_heatmap(map_there: str, keep: str, reused: bool) -> None:
    scene = Scene(1, keep=keep)
    uri = StoredHeatmaps(scene.maps).save(lease([]), 1, np.zeros((8, 8), dtype=np.uint8))
    if map_there == "gone":
        scene.maps.remove(ImageKey(uri.removeprefix("memory://maps/")))
    found = shard_of_one(scene, verdict(map_uri=None if map_there == "none" else uri), threshold=0)
    assert found.flagged
    assert found.reused == reused
    if keep == "none":
        assert found.map_uri is None
    elif reused:
        assert found.map_uri == uri
    else:
        assert found.map_uri not in (None, uri)


def test_while_the_heatmaps_are_away_nothing_is_decided() -> None:
    class Away(StoredHeatmaps):
        def serves(self, uri: str) -> bool:
            raise StorageUnavailable(uri, "slow down")

    scene = Scene(1)
    with scene.screener(heatmaps=Away(scene.maps)) as screener, pytest.raises(HeatmapsUnavailable):
        screener.screen(
            lease(
                [entry("000.png", etag=ETAG, size=SIZE)],
                known=(verdict(map_uri="memory://maps/x"),),
                threshold=0,
                trust_etags=True,
            )
        )


def test_known_and_unknown_images_in_one_shard() -> None:
    scene = Scene(30)
    refs = [entry(key, etag=md5(data).hexdigest(), size=len(data)) for key, data in scene.pictures.items()]
    known = tuple(verdict(ref.key, size=ref.size, etag=ref.etag, score=0.1) for ref in refs[::2])
    with scene.screener() as screener:
        found = screener.screen(lease(refs, known=known, trust_etags=True))
    assert codes(found) == [None] * 30
    assert [v.reused for v in found] == [True, False] * 15
    assert sum(images for _, images in scene.scorer.calls) == 15


# -- whether a heatmap still serves


def test_a_heatmap_serves_while_it_lies_where_heatmaps_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "mäps 1"
    kept = StoredHeatmaps(FolderStorage.at(folder), "pre fix")
    uri = kept.save(lease([]), 12, np.zeros((4, 4), dtype=np.uint8))
    assert kept.serves(uri)
    assert not kept.serves(uri + "x")
    assert not kept.serves("s3://elsewhere/map.png")
    assert not kept.serves("nonsense")
    assert not StoredHeatmaps(FolderStorage.at(tmp_path / "mäps")).serves(uri)
    for path in folder.rglob("*.png"):
        path.unlink()
    assert not kept.serves(uri)


@pytest.mark.parametrize(
    ("error", "away"), [(ObjectNotFound, False), (AccessDenied, False), (StorageUnavailable, True)]
)
def test_only_a_store_that_is_away_leaves_it_open(error: type[StorageError], away: bool) -> None:
    class Broken(MemoryStorage):
        def stat(self, key: ImageKey) -> object:  # type: ignore[override]
            raise error("memory://objects/x", "no")

    maps = StoredHeatmaps(Broken())
    if away:
        with pytest.raises(StorageUnavailable):
            maps.serves("memory://objects/x")
    else:
        assert not maps.serves("memory://objects/x")
