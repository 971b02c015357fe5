"""`POST /v1/score`: one photograph scored while the caller waits."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from support.local_scorer import LocalScorer
from support.odd_images import encoded, photo

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.errors import ModelFailed, ModelUnavailable
from jobs.ports import ScoredImage
from ncl_model.imaging.decoding import DecodedImage
from nclscreen.api import create_app
from nclscreen.api.scoring import LARGEST_PHOTOGRAPH
from nclscreen.services.live_scoring import LiveScoring
from nclscreen.wiring import Wiring

PHOTO = encoded(photo(seed=3), "PNG")


class Raising:
    """One that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
        raise self._error


Make = Callable[[object], TestClient]


@pytest.fixture
def make(wiring: Wiring) -> Iterator[Make]:
    """An application with this scorer."""
    with ExitStack() as stack:

        def made(scorer: object) -> TestClient:
            app = create_app(wiring, scorer=scorer)  # type: ignore[arg-type]
            client = TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield made


def test_the_answer_is_what_the_model_says(wiring: Wiring, make: Make) -> None:
    client = make(LocalScorer(wiring))
    answer = client.post("/v1/score", content=PHOTO, params={"threshold": 0.0, "heatmap": True})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    predictor = wiring.model.predictor()
    (expected,) = predictor.localize([predictor.decode(PHOTO)])
    assert said["score"] == round(expected.score, 4)
    assert (said["flagged"], said["threshold"]) == (True, 0.0)
    assert (said["width"], said["height"]) == (expected.width, expected.height)
    assert said["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert said["model_fingerprint"] == predictor.fingerprint
    with Image.open(io.BytesIO(base64.b64decode(said["heatmap"]))) as heatmap:
        assert (np.asarray(heatmap) == expected.heatmap).all()
    plain = client.post("/v1/score", content=PHOTO, params={"threshold": 1.0}).json()
    assert (plain["flagged"], "heatmap" in plain) == (False, False)


def test_a_photograph_may_be_larger_than_other_bodies(wiring: Wiring, make: Make) -> None:
    client = make(LocalScorer(wiring))
    large = PHOTO + bytes(3 << 20)  # behind the end of a PNG anything may stand
    assert client.post("/v1/score", content=large).status_code == 200
    assert client.post("/v1/score", content=bytes(LARGEST_PHOTOGRAPH + 1)).status_code == 413
    assert client.post("/v1/jobs", content=bytes(2 << 20)).status_code == 413


@pytest.mark.parametrize(
    ("body", "asked", "status", "kind"),
    [
        (b"", {}, 422, "invalid-request"),
        (b"no photograph", {}, 422, "image-unreadable"),
        (PHOTO[:50], {}, 422, "image-unreadable"),
        (PHOTO, {"threshold": 2}, 422, "invalid-request"),
        (PHOTO, {"threshold": 0.5, "max_fpr": 0.05}, 422, "invalid-request"),
        (PHOTO, {"max_fpr": 0.05}, 422, "refused"),  # the tiny model is not calibrated
    ],
)
def test_what_is_wrong_is_said(
    wiring: Wiring, make: Make, body: bytes, asked: dict[str, float], status: int, kind: str
) -> None:
    answer = make(LocalScorer(wiring)).post("/v1/score", content=body, params=asked)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:nclscreen:problem:{kind}")


def test_without_a_cluster_it_says_where_to_ask(make: Make) -> None:
    answer = make(None).post("/v1/score", content=PHOTO)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:nclscreen:problem:model-away")
    assert "nclscreen up" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0


def test_a_model_that_is_away_and_one_that_fails_are_told_apart(make: Make) -> None:
    away = make(Raising(ModelUnavailable("the hosted model does not answer"))).post("/v1/score", content=PHOTO)
    assert (away.status_code, "Retry-After" in away.headers) == (503, True)
    failed = make(Raising(ModelFailed("no memory"))).post("/v1/score", content=PHOTO)
    assert (failed.status_code, failed.json()["type"]) == (502, "urn:nclscreen:problem:model-failed")


def test_more_at_once_than_may_be_are_told_to_come_again(wiring: Wiring, make: Make) -> None:
    inside, go_on = threading.Semaphore(0), threading.Event()
    model = LocalScorer(wiring)

    class Slow:
        def score(self, images: Sequence[DecodedImage], fingerprint: str) -> list[ScoredImage]:
            inside.release()
            assert go_on.wait(30)
            return model.score(images, fingerprint)

    client = make(None)
    client.app.state.scoring = LiveScoring(Slow(), at_once=2)  # type: ignore[attr-defined]
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(client.post, "/v1/score", content=PHOTO) for _ in range(2)]
        for _ in both:
            assert inside.acquire(timeout=30)
        third = client.post("/v1/score", content=PHOTO)
        go_on.set()
        assert [each.result().status_code for each in both] == [200, 200]
    assert (third.status_code, third.json()["type"]) == (429, "urn:nclscreen:problem:scoring-busy")
    assert third.headers["Retry-After"] == "1"
    assert client.post("/v1/score", content=PHOTO).status_code == 200  # places are given back


def test_scoring_takes_the_scope_to_submit(wiring: Wiring, make: Make) -> None:
    client = make(LocalScorer(wiring))

    def with_key(scope: Scope) -> int:
        _, text = wiring.keys.create(wiring.projects.get(DEFAULT_PROJECT).name, scope.value, [scope])
        return client.post("/v1/score", content=PHOTO, headers={"Authorization": f"Bearer {text.text}"}).status_code

    assert [with_key(scope) for scope in (Scope.READ, Scope.REVIEW, Scope.SUBMIT)] == [403, 403, 200]
