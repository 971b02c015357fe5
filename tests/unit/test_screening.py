"""Screening one shard: a verdict for every image, whatever is wrong with some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import md5, sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.builders import CONTAINER, FINGERPRINT, entry, picture
from support.scene import Scene, codes

from jobs.domain import ImageKey, Lease
from jobs.errors import (
    AccessDenied,
    ContainerNotFound,
    ErrorCode,
    HeatmapsUnavailable,
    InvalidSource,
    ModelMismatch,
    ModelUnavailable,
    StorageError,
    StorageUnavailable,
)
from jobs.ports import ScoredImage
from jobs.screening.heatmaps import decode_heatmap
from jobs.screening.limits import ScreeningLimits
from jobs.testing import MemoryScorer
from ncl_model.imaging.decoding import DecodedImage


def test_one_verdict_for_each_image_in_order() -> None:
    scene = Scene(11)
    verdicts = scene.screen()
    assert [verdict.ordinal for verdict in verdicts] == list(range(100, 111))
    assert [verdict.key for verdict in verdicts] == list(scene.pictures)
    assert [verdict.score for verdict in verdicts] == [scene.scorer.score_of(data) for data in scene.pictures.values()]
    assert [verdict.flagged for verdict in verdicts] == [(verdict.score or 0) >= 0.5 for verdict in verdicts]
    assert {verdict.flagged for verdict in verdicts} == {True, False}


def test_a_verdict_tells_all_about_its_image() -> None:
    scene = Scene()
    data = picture(1, width=20, height=10)
    scene.put("a.png", data)
    (verdict,) = scene.screen([entry("a.png")])
    etag = md5(data).hexdigest()
    assert (verdict.container, verdict.key, verdict.etag, verdict.version_id) == (CONTAINER, "a.png", etag, None)
    assert (verdict.width, verdict.height, verdict.size) == (20, 10, len(data))
    assert verdict.sha256 == sha256(data).hexdigest()
    assert verdict.fingerprint == FINGERPRINT
    assert len(verdict.tampered_areas) == 16


def test_a_score_equal_to_the_threshold_is_flagged() -> None:
    scene = Scene(1)
    score = scene.scorer.score_of(picture(0))
    assert scene.screen(threshold=score)[0].flagged
    assert not scene.screen(threshold=math.nextafter(score, 1))[0].flagged


def test_an_empty_shard_has_no_verdicts() -> None:
    assert Scene().screen() == []


BAD_BYTES = {
    "empty": b"",
    "unsupported_format": b"this is text",
    "corrupt": picture(1)[:40],
    "too_large": b"x" * 10_001,
}
STORE_ERRORS = {
    "access_denied": AccessDenied("u", "no"),
    "not_found": ContainerNotFound("u", "no such bucket"),
    "timeout": StorageUnavailable("u", "slow down"),
}


@pytest.mark.parametrize("code", [*BAD_BYTES, *STORE_ERRORS, "gone", "odd container"])
def test_a_bad_image_gets_its_code_and_costs_no_other(code: str) -> None:
    scene = Scene(9)
    images = scene.refs()
    key = images[4].key
    if code in BAD_BYTES:
        scene.put(key, BAD_BYTES[code])
    elif code in STORE_ERRORS:
        scene.photos.errors[key] = STORE_ERRORS[code]
    elif code == "gone":
        scene.photos.remove(key)
    else:
        scene.photos.errors[key] = InvalidSource("odd://", "what is that")
    verdicts = scene.screen(images)
    expected = {"gone": "not_found", "odd container": "not_found"}.get(code, code)
    assert codes(verdicts) == [expected if i == 4 else None for i in range(9)]
    bad = verdicts[4]
    assert (bad.score, bad.flagged, bad.ordinal, bad.key) == (None, False, 104, key)
    assert bad.error_message


@settings(max_examples=30, deadline=None)
@given(culprits=st.sets(st.integers(0, 20)), batch_size=st.integers(1, 9), fetchers=st.integers(1, 4))
def test_the_model_fails_on_some_images_and_the_others_keep_their_scores(
    culprits: set[int], batch_size: int, fetchers: int
) -> None:
    scene = Scene(21, limits=ScreeningLimits(fetchers=fetchers, batch_size=batch_size))
    data = list(scene.pictures.values())
    for culprit in culprits:
        scene.scorer.fail_on(data[culprit])
    verdicts = scene.screen()
    for i, verdict in enumerate(verdicts):
        if i in culprits:
            assert verdict.error_code is ErrorCode.MODEL_ERROR
            assert verdict.error_message == "the model in memory was told to fail on an image of this batch"
        else:
            assert verdict.score == scene.scorer.score_of(data[i])


def test_the_search_for_one_culprit_takes_few_calls() -> None:
    scene = Scene(16, limits=ScreeningLimits(fetchers=2, batch_size=16))
    scene.scorer.fail_on(picture(5))
    scene.screen()
    assert sorted(images for _, images in scene.scorer.calls) == [1, 1, 2, 2, 4, 4, 8, 8, 16]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -0.01, 1.01])
def test_a_score_that_is_none_is_a_model_error(score: float) -> None:
    scene = Scene(3)
    scene.scorer.set_score(picture(1), score)
    verdicts = scene.screen()
    assert codes(verdicts) == [None, "model_error", None]
    assert f"no score between 0 and 1, but {score}" in str(verdicts[1].error_message)


def test_areas_that_are_none_are_a_model_error() -> None:
    class Odd(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            return [replace(one, tampered_areas=(math.nan,) * 16) for one in super().score(images, fingerprint)]

    scene = Scene(2)
    assert codes(scene.screener(scorer=Odd()).screen(scene.lease())) == ["model_error"] * 2


def test_a_model_that_gives_too_few_answers_is_not_believed() -> None:
    class Short(MemoryScorer):
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            return super().score(images, fingerprint)[:-1]

    scene = Scene(3)
    with pytest.raises(ValueError, match="zip"):
        scene.screener(scorer=Short()).screen(scene.lease())


def test_no_verdicts_while_the_model_is_away() -> None:
    scene = Scene(9)
    scene.scorer.unavailable = 1
    with pytest.raises(ModelUnavailable):
        scene.screen()
    assert codes(scene.screen()) == [None] * 9


def test_no_verdicts_from_another_model() -> None:
    scene = Scene(3)
    with pytest.raises(ModelMismatch):
        scene.screener(scorer=MemoryScorer(fingerprint="cd" * 32)).screen(scene.lease())


# -- heatmaps


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
def test_heatmaps_are_kept_when_asked_for(keep: str) -> None:
    scene = Scene(12, keep=keep)
    verdicts = scene.screen()
    kept = {verdict.key for verdict in verdicts if verdict.map_uri}
    flagged = {verdict.key for verdict in verdicts if verdict.flagged}
    assert 0 < len(flagged) < 12
    assert kept == {"all": set(scene.pictures), "flagged": flagged, "none": set()}[keep]
    assert len(list(scene.maps.list_objects())) == len(kept)


def test_a_heatmap_is_that_of_its_image() -> None:
    scene = Scene(5, keep="all")
    for verdict in scene.screen():
        assert verdict.map_uri is not None
        key = ImageKey(verdict.map_uri.removeprefix("memory://maps/"))
        heatmap = decode_heatmap(scene.maps.read(key))
        assert heatmap.shape == (8, 8)
        assert set(heatmap.ravel()) == {round(255 * (verdict.score or 0))}


def test_no_heatmap_of_a_failed_image() -> None:
    scene = Scene(3, keep="all")
    scene.scorer.set_score(picture(1), math.nan)
    scene.put("002.png", b"broken")
    assert [verdict.map_uri is not None for verdict in scene.screen()] == [True, False, False]


@pytest.mark.parametrize(
    ("error", "raised_as"),
    [
        (AccessDenied("s3://maps", "no"), AccessDenied),
        (StorageUnavailable("s3://maps", "slow"), HeatmapsUnavailable),
    ],
)
def test_a_heatmap_that_cannot_be_kept_stops_the_shard(error: StorageError, raised_as: type[StorageError]) -> None:
    class Broken:
        def save(self, held: Lease, ordinal: int, heatmap: NDArray[np.uint8]) -> str:
            raise error

    scene = Scene(30, keep="all")
    with pytest.raises(raised_as, match=error.reason) as raised:
        scene.screener(heatmaps=Broken()).screen(scene.lease())
    assert type(raised.value) is raised_as
