"""The hosted model and its client, in Serve's local testing mode: the same classes, without a cluster."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hostile_images import repeated_scan
from support.odd_images import encoded, photo
from support.tiny_model import save_tiny_model

from jobs.errors import ModelFailed, ModelMismatch, ModelUnavailable
from jobs.storage import S3Options
from ncl_model.errors import ImageUnreadable
from ncl_model.imaging.guarded_decoding import DecodingLimits
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.inference.predictor import Predictor
from nclscreen.catalog import ModelVersion, WeightsNotFound
from nclscreen.hosting.applications import HostingOptions, build_app
from nclscreen.hosting.replica import Localizer, Streams
from nclscreen.hosting.reply import Reply
from nclscreen.hosting.scorer import ServeScorer

# Serve builds its local handle with calls that newer Pythons call outdated
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


OTHER = "f" * 64


def version_of(weights: Path) -> ModelVersion:
    fingerprint = load_checkpoint(weights).fingerprint("float32")
    return ModelVersion(fingerprint=fingerprint, places=(str(weights),), s3=S3Options())


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor.setup(weights, "float32")


@pytest.fixture(scope="module")
def handle(weights: Path) -> Any:
    from ray import serve

    app = build_app(version_of(weights), HostingOptions(threads=1))
    made = serve.run(app, name="local", route_prefix=None, _local_testing_mode=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # the local mode, unlike the real one, does not wait for the weights
        with suppress(RuntimeError):
            made.check_health.remote().result(timeout_s=30)
            return made
    raise TimeoutError("the weights are not loaded")


@pytest.fixture
def scorer(predictor: Predictor, handle: Any) -> ServeScorer:
    made = ServeScorer(decoding=DecodingLimits(max_pixels=1_000_000), database="d1", timeout_s=30, attempts=1)
    made._handles = dict.fromkeys((predictor.fingerprint, OTHER), handle)
    return made


def test_the_hosted_model_says_what_the_predictor_says(scorer: ServeScorer, predictor: Predictor) -> None:
    images = [scorer.decode(encoded(photo(seed=seed), "JPEG"), predictor.fingerprint) for seed in range(3)]
    scored = scorer.score(images, predictor.fingerprint)
    expected = predictor.localize(images)
    assert [one.score for one in scored] == pytest.approx([one.score for one in expected], abs=1e-6)
    for one, other in zip(scored, expected, strict=True):
        assert one.tampered_areas == pytest.approx(other.tampered_areas, abs=1e-6)
        assert one.heatmap.shape == (80, 120)
        assert np.abs(one.heatmap.astype(int) - other.heatmap).max() <= 1


def test_another_model_than_the_pinned_one_is_refused(scorer: ServeScorer, predictor: Predictor) -> None:
    image = scorer.decode(encoded(photo(), "PNG"), predictor.fingerprint)
    with pytest.raises(ModelMismatch) as raised:
        scorer.score([image], OTHER)
    assert raised.value.served == predictor.fingerprint


def test_what_the_model_raises_is_the_batch_at_fault_not_the_host(scorer: ServeScorer, predictor: Predictor) -> None:
    image = scorer.decode(encoded(photo(), "PNG"), predictor.fingerprint)
    # a canvas that no network of ours takes: sides are no multiples of 32
    crooked = type(image)(pixels=image.pixels[:50, :50], valid_height=50, valid_width=50, width=50, height=50)
    with pytest.raises(ModelFailed, match="32"):
        scorer.score([crooked], predictor.fingerprint)
    assert scorer.score([image], predictor.fingerprint), "the host lives on"


def test_a_worker_is_not_held_up_by_a_decompression_bomb(predictor: Predictor) -> None:
    """Found: a scan that is there 3,000 times occupied a worker for minutes."""
    hasty = ServeScorer(
        {predictor.fingerprint: predictor.config}, decoding=DecodingLimits(deadline_s=1.0), database="d1"
    )
    with pytest.raises(ImageUnreadable, match="1 seconds of computing") as raised:
        hasty.decode(repeated_scan(), predictor.fingerprint)
    assert raised.value.code == "too_large"


class _Dead:
    """A handle whose replica does not come back."""

    calls = 0

    def remote(self, *args: object) -> _Dead:
        self.calls += 1
        return self

    def result(self, timeout_s: float) -> Reply:
        raise TimeoutError("nobody there")


def test_a_host_that_does_not_answer_is_unavailable(
    scorer: ServeScorer, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, image = _Dead(), scorer.decode(encoded(photo(), "PNG"), predictor.fingerprint)
    monkeypatch.setattr(scorer, "_connected", lambda fingerprint: dead)
    monkeypatch.setattr(scorer, "_attempts", 3)
    monkeypatch.setattr("nclscreen.hosting.scorer.time.sleep", lambda seconds: None)
    with pytest.raises(ModelUnavailable, match="nobody there"):
        scorer.score([image], predictor.fingerprint)
    assert dead.calls == 3


def test_a_replica_is_ill_until_it_has_weights_and_takes_none_but_those_of_its_version(
    weights: Path, tmp_path: Path
) -> None:
    other = save_tiny_model(tmp_path / "other.safetensors", seed=1)
    version = version_of(weights)
    replica = Localizer(replace(version, places=("/no/such/file", str(other), str(weights))))
    with pytest.raises(RuntimeError, match="weights"):
        replica.check_health()
    asyncio.run(replica.reconfigure({"threads": 1}))
    replica.check_health()
    assert replica._predictor.fingerprint == version.fingerprint
    wrong = Localizer(replace(version, places=("/no/such/file", str(other))))
    with pytest.raises(WeightsNotFound, match=r"/no/such/file.*no such file.*other\.safetensors holds other weights"):
        asyncio.run(wrong.reconfigure({"threads": 1}))


def test_the_arithmetic_follows_from_the_fingerprint(weights: Path) -> None:
    half = load_checkpoint(weights).fingerprint("bfloat16")
    predictor = replace(version_of(weights), fingerprint=half).predictor()
    assert (predictor.fingerprint, predictor.precision) == (half, "bfloat16")


@pytest.mark.parametrize(
    ("device", "threads", "at_once", "each"),
    [("cpu", 1, 1, 1), ("cpu", 2, 2, 1), ("cpu", 6, 4, 1), ("cpu", 16, 4, 4), ("cuda", 8, 1, 8)],
)
def test_threads_are_shared_out_among_images(device: str, threads: int, at_once: int, each: int) -> None:
    import torch

    streams = Streams(device=device, threads=threads)
    inside = threading.Barrier(at_once)

    def seen() -> int:
        inside.wait(30)
        return torch.get_num_threads()

    before = torch.get_num_threads()
    with streams.pool as pool:
        asked = [pool.submit(seen) for _ in range(at_once)]
        assert [one.result(30) for one in asked] == [each] * at_once
    assert streams.whole_batches == (device == "cuda")
    assert torch.get_num_threads() == before, "the setting is each thread's own"


def test_an_error_of_one_image_is_the_batchs_and_answers_keep_their_order(weights: Path, predictor: Predictor) -> None:
    replica = Localizer(version_of(weights))
    asyncio.run(replica.reconfigure({"threads": 3}))
    images = [predictor.decode(encoded(photo(seed=seed), "PNG")) for seed in range(7)]
    batch = np.stack([image.pixels for image in images])
    sizes = [(image.valid_height, image.valid_width) for image in images]
    reply = asyncio.run(replica(batch, sizes, predictor.fingerprint))
    assert reply.scores is not None
    assert list(reply.scores) == pytest.approx([one.score for one in predictor.localize(images)], abs=1e-6)
    assert len(reply.heatmaps) == 7
    assert reply.areas is not None
    assert reply.areas.shape == (7, 16)
    sizes[4] = (10_000, 1)
    broken = asyncio.run(replica(batch, sizes, predictor.fingerprint))
    assert "10000x1" in str(broken.error)
    assert broken.scores is None


@pytest.mark.parametrize(("most", "scaled"), [(1, False), (2, False), (5, True)])
def test_replicas_scale_when_there_may_be_more(most: int, scaled: bool) -> None:
    version = ModelVersion(fingerprint=OTHER, places=(), s3=S3Options())
    app = build_app(version, HostingOptions(replicas=2, max_replicas=most))
    config = app._bound_deployment._deployment_config
    if scaled:
        assert (config.autoscaling_config.min_replicas, config.autoscaling_config.max_replicas) == (2, 5)
    else:
        assert (config.autoscaling_config, config.num_replicas) == (None, 2)


def test_the_scorer_travels_without_its_connections(scorer: ServeScorer, predictor: Predictor) -> None:
    data = encoded(photo(), "PNG")
    here = scorer.decode(data, predictor.fingerprint)  # asks the model for its geometry
    travelled = pickle.loads(pickle.dumps(scorer))
    assert travelled._handles == {}
    assert scorer._handles != {}
    assert np.array_equal(travelled.decode(data, predictor.fingerprint).pixels, here.pixels)
