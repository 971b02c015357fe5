"""Screening while the storage of the images is in trouble: what is tried again, what waits, what is recorded."""

from __future__ import annotations

from typing import ClassVar

import pytest
from support.builders import CONTAINER, fill
from support.dispatching import wait_until
from support.scene import Photos, Scene, codes

from jobs.domain import ImageKey
from jobs.domain.shards import MAX_ATTEMPTS
from jobs.errors import AccessDenied, InvalidCredentials, StorageAway, StorageError, StorageUnavailable


def with_outage(away: int, count: int = 10) -> Scene:
    scene = Scene(count)
    for key in list(scene.pictures)[:away]:
        scene.photos.errors[key] = StorageUnavailable(key, "slow down")
    return scene


def test_a_shard_is_tried_again_when_half_of_it_could_not_be_read() -> None:
    scene = with_outage(0)
    for key in list(scene.pictures)[1::2]:
        scene.photos.errors[key] = StorageUnavailable(key, "slow down")
    with pytest.raises(StorageUnavailable, match=r"5 of 10 images could not be read: slow down") as raised:
        scene.screen()
    assert type(raised.value) is StorageUnavailable  # the storage answers


@pytest.mark.parametrize("answer", [StorageUnavailable(CONTAINER, "refused"), AccessDenied(CONTAINER, "no listing")])
def test_where_some_images_are_read_the_store_is_asked_whether_it_is_there(answer: StorageError) -> None:
    scene = Scene(2)
    scene.photos.answer = answer
    scene.photos.errors["001.png"] = StorageUnavailable("001.png", "slow down")
    with pytest.raises(StorageUnavailable) as raised:
        scene.screen()
    away = type(answer) is StorageUnavailable
    assert isinstance(raised.value, StorageAway) == away
    assert raised.value.reason == ("refused" if away else "1 of 2 images could not be read: slow down")


def test_a_store_that_is_away_is_not_asked_for_the_rest_of_a_shard() -> None:
    class Counting(Photos):
        asked = 0

        def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
            self.asked += 1
            raise StorageUnavailable(key, "slow down")

    scene = Scene(100)
    scene.photos = Counting()
    with pytest.raises(StorageAway, match=r"50 of 100 images could not be read"):
        scene.screen()
    assert 50 <= scene.photos.asked < 60


def test_an_image_that_could_not_be_read_gets_a_second_chance() -> None:
    class Hiccup(Photos):
        asked: ClassVar[list[str]] = []

        def read(self, key: ImageKey, *, version_id: str | None = None, max_bytes: int | None = None) -> bytes:
            self.asked.append(key)
            if self.asked.count(key) == 1 and key in ("001.png", "004.png"):
                raise StorageUnavailable(key, "slow down")
            return super().read(key, version_id=version_id, max_bytes=max_bytes)

    scene = Scene(9)
    photos = Hiccup()
    fill(photos, scene.pictures.items())
    scene.photos = photos
    assert codes(scene.screen()) == [None] * 9
    assert sorted(photos.asked[9:]) == ["001.png", "004.png"]  # when all others were read


def test_a_store_that_goes_away_in_the_middle_of_a_shard_costs_no_image_its_score() -> None:
    scene = Scene(9)
    scene.photos.answer = StorageUnavailable(CONTAINER, "refused")
    scene.photos.errors["008.png"] = StorageUnavailable("008.png", "refused")
    with pytest.raises(StorageAway):
        scene.screen()
    assert codes(scene.screen(attempt=MAX_ATTEMPTS)) == [None] * 8 + ["timeout"]


@pytest.mark.parametrize(
    "answer", [InvalidCredentials(CONTAINER, "ExpiredToken"), AccessDenied(CONTAINER, "no listing")]
)
def test_credentials_that_ran_out_are_no_fault_of_the_images(answer: StorageError) -> None:
    scene = Scene(4)
    scene.photos.answer = answer
    scene.photos.errors["003.png"] = type(answer)("003.png", answer.reason)
    if type(answer) is InvalidCredentials:
        with pytest.raises(StorageAway, match="ExpiredToken"):
            scene.screen()
    else:  # of this image alone, for all we know
        assert codes(scene.screen()) == [None] * 3 + ["access_denied"]
    assert codes(scene.screen(attempt=MAX_ATTEMPTS)) == [None] * 3 + ["access_denied"]


def test_after_a_long_outage_there_is_as_much_room_as_before() -> None:
    scene = Scene(100)
    with scene.screener() as screener:
        errors = {key: StorageUnavailable(key, "refused") for key in scene.pictures}
        for _ in range(2 * scene.limits.most_decoded_images):
            scene.photos.errors = dict(errors)
            with pytest.raises(StorageAway):
                screener.screen(scene.lease())
        scene.photos.errors = {}
        assert codes(screener.screen(scene.lease())) == [None] * 100
        wait_until(lambda: screener._room._value == scene.limits.most_decoded_images)


def test_less_than_half_is_recorded_as_it_is() -> None:
    assert codes(with_outage(4).screen()) == ["timeout"] * 4 + [None] * 6


def test_the_last_attempt_keeps_what_it_got() -> None:
    assert codes(with_outage(9).screen(attempt=MAX_ATTEMPTS)) == ["timeout"] * 9 + [None]


def test_images_that_are_not_there_are_no_outage() -> None:
    scene = Scene(4)
    images = scene.refs()
    for image in images:
        scene.photos.remove(image.key)
    assert codes(scene.screen(images)) == ["not_found"] * 4
