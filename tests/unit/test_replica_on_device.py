"""Replicas on accelerators, simulated on the CPU: devices that break, are full, or compute by the size of a batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.builders import lease
from support.odd_images import encoded, photo
from support.scene import Scene
from support.simulated_device import SimulatedDevice, on_simulated_device

from jobs.errors import ModelFailed, ModelUnavailable
from jobs.ports import OutcomeKind
from jobs.screening.attempt import attempt
from jobs.storage import S3Options
from ncl_model.imaging.decoding import DecodedImage
from ncl_model.imaging.guarded_decoding import DecodingLimits
from ncl_model.inference import device as device_module
from ncl_model.inference.checkpoint import load_checkpoint
from ncl_model.inference.device import exact_arithmetic, is_out_of_memory
from ncl_model.inference.predictor import Predictor
from nclscreen.catalog import InstalledModel, ModelVersion, WeightsNotFound
from nclscreen.hosting import replica as replica_module
from nclscreen.hosting import scorer as scorer_module
from nclscreen.hosting.replica import Localizer
from nclscreen.hosting.reply import Reply
from nclscreen.hosting.scorer import ServeScorer

# as in test_hosted_model.py
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer_module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(replica_module, "ILL_PAUSE_S", 0.0)


@pytest.fixture
def predictor(weights: Path) -> Predictor:
    return Predictor.setup(weights, "float32")


def images(predictor: Predictor, count: int) -> list[DecodedImage]:
    return [predictor.decode(encoded(photo(seed=seed), "PNG")) for seed in range(count)]


def mean(image: DecodedImage) -> float:
    return round(float(torch.tensor(image.pixels).float().mean()), 3)


class Replicas:
    """Replicas behind a router that takes the first that is thought to be well, as one that fails fast looks idle."""

    def __init__(self, weights: Path, count: int) -> None:
        fingerprint = load_checkpoint(weights).fingerprint("float32")
        self._version = ModelVersion(fingerprint=fingerprint, places=(str(weights),), s3=S3Options())
        self.fingerprint = fingerprint
        self.replicas: list[Localizer] = []
        self.devices: list[SimulatedDevice] = []
        self.asked: Counter[int] = Counter()
        self.replies: list[Reply] = []
        for _ in range(count):
            self.add()

    def add(self) -> None:
        replica = Localizer(self._version)
        asyncio.run(replica.reconfigure({"threads": 1}))
        replica._streams.whole_batches = True
        self.replicas.append(replica)
        self.devices.append(on_simulated_device(replica._predictor))

    def look_after(self) -> None:
        """What Serve does from time to time: replicas that are not well go, and others come."""
        for place, replica in enumerate(self.replicas):
            try:
                replica.check_health()
            except RuntimeError:
                self.add()
                self.replicas[place], self.devices[place] = self.replicas.pop(), self.devices.pop()

    def scorer(self, attempts: int = 4) -> ServeScorer:
        config = self.replicas[0]._predictor.config
        made = ServeScorer({self.fingerprint: config}, decoding=DecodingLimits(), database="d1", attempts=attempts)
        made._connected = lambda fingerprint: self  # type: ignore[method-assign]
        return made

    def remote(self, batch: Any, sizes: Any, fingerprint: str, blocks: Any) -> Replicas:
        self.asked[0] += 1
        if self.asked[0] % 3 == 0:
            self.look_after()
        self._reply = asyncio.run(self.replicas[0](batch, sizes, fingerprint, blocks))
        self.replies.append(self._reply)
        return self

    def result(self, timeout_s: float) -> Reply:
        return self._reply


def test_a_device_that_broke_makes_its_replica_ill_and_costs_no_image_its_score(
    weights: Path, predictor: Predictor
) -> None:
    """Found: a replica with a dead CUDA context took nearly all traffic; 718 of 800 images became `model_error`."""
    there = Replicas(weights, 2)
    there.devices[0].dead = True
    wanted = images(predictor, 24)
    scored = [one for i in range(0, 24, 8) for one in there.scorer().score(wanted[i : i + 8], there.fingerprint)]
    expected = [one.score for one in predictor.localize(wanted)]
    assert [one.score for one in scored] == pytest.approx(expected, abs=1e-6)
    assert there.replies[0].error is None
    assert "does not compute any more" in str(there.replies[0].unavailable)


def test_an_ill_replica_says_so_when_it_is_looked_after(weights: Path, predictor: Predictor) -> None:
    there = Replicas(weights, 1)
    (replica,) = there.replicas
    replica.check_health()
    there.devices[0].dead = True
    image = images(predictor, 1)[0]
    asyncio.run(replica(image.pixels[None], [(80, 120)], there.fingerprint))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        replica.check_health()
    calls = len(there.devices[0].batches)
    reply = asyncio.run(replica(image.pixels[None], [(80, 120)], there.fingerprint))
    assert reply.unavailable is not None
    assert len(there.devices[0].batches) == calls, "it does not try again"


def test_while_every_device_is_broken_the_shard_waits_and_no_attempt_is_charged(weights: Path) -> None:
    there = Replicas(weights, 1)
    there.devices[0].dead = True
    there.look_after = lambda: None  # type: ignore[method-assign]
    scene = Scene(6)
    screener = scene.screener(scorer=there.scorer(attempts=2))
    with screener:
        model = lease(scene.refs()).model
        held = lease(scene.refs(), model=type(model)(name=model.name, fingerprint=there.fingerprint))
        outcome = attempt(screener.screen, held)
    assert outcome.kind is OutcomeKind.MODEL_AWAY
    assert outcome.verdicts == ()


def test_an_image_that_kills_its_device_is_no_verdict_either(weights: Path, predictor: Predictor) -> None:
    there = Replicas(weights, 1)
    bad, good = images(predictor, 2)
    for device in there.devices:
        device.kills = mean(bad)
    scored = there.scorer().score([bad, good], there.fingerprint)
    assert len(scored) == 2, "its successor, which is well, scores them both"


def test_out_of_memory_halves_the_batch_and_tries_again(weights: Path, predictor: Predictor) -> None:
    there = Replicas(weights, 1)
    there.devices[0].room = 1
    wanted = images(predictor, 5)
    scored = there.scorer().score(wanted, there.fingerprint)
    assert [one.score for one in scored] == pytest.approx([one.score for one in predictor.localize(wanted)], abs=1e-6)
    assert there.devices[0].batches == [4, 2, *[1] * 5]
    assert there.asked[0] == 1


def test_out_of_memory_for_one_image_alone_is_confirmed_before_it_is_final(
    weights: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Replicas(weights, 1)
    there.devices[0].room = 0
    (image,) = images(predictor, 1)
    with pytest.raises(ModelUnavailable, match="out of memory"):
        there.scorer(attempts=1).score([image], there.fingerprint)
    roomy = Replicas(weights, 1)
    monkeypatch.setattr(replica_module, "_computes", lambda predictor: True)
    roomy.devices[0].room = 0
    asked = roomy.remote

    def with_room_later(*arguments: Any) -> Replicas:
        roomy.devices[0].room = 0 if roomy.asked[0] < 2 else 4
        return asked(*arguments)

    roomy.remote = with_room_later  # type: ignore[method-assign]
    assert len(roomy.scorer().score([image], there.fingerprint)) == 1
    assert roomy.asked[0] == 3


def test_a_single_image_fails_for_good_when_it_failed_three_times(weights: Path, predictor: Predictor) -> None:
    there = Replicas(weights, 2)
    bad, good = images(predictor, 2)
    for device in there.devices:
        device.fails = mean(bad)
    with pytest.raises(ModelFailed, match="no kernel takes"):
        there.scorer().score([bad], there.fingerprint)
    assert there.asked[0] == 3
    there.replicas[0].check_health()
    with pytest.raises(ModelFailed):
        there.scorer().score([good, bad], there.fingerprint)
    assert there.asked[0] == 4, "a batch is halved, not asked again"


# --- arithmetic ---


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9])
def test_an_images_score_does_not_depend_on_its_batchmates(weights: Path, count: int) -> None:
    predictor = Predictor.setup(weights)
    device = on_simulated_device(predictor)
    device.drift = 0.1
    everyone = images(predictor, 9)
    alone = [predictor.localize([image])[0] for image in everyone]
    device.batches.clear()
    together = predictor.localize(everyone[:count])
    assert set(device.batches) == {4}
    for one, other in zip(together, alone, strict=False):
        assert (one.score, one.tampered_areas) == (other.score, other.tampered_areas)
        np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_on_accelerators_float32_is_no_tf32_and_kernels_are_chosen_once_and_for_all() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    with exact_arithmetic(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic
        assert torch.backends.cudnn.enabled
    assert before == (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )


def test_forward_passes_are_done_in_exact_arithmetic(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.setup(weights)
    device = on_simulated_device(predictor)
    entered = []
    monkeypatch.setattr(device_module.torch.backends.cudnn, "flags", lambda **flags: pytest.fail("not on a CPU"))
    predictor.localize(images(predictor, 1))
    monkeypatch.undo()
    monkeypatch.setattr(predictor, "_device", type("Fake", (), {"type": "cuda"})())
    monkeypatch.setattr("ncl_model.inference.predictor.torch.tensor", lambda data, **_: torch.from_numpy(data))
    monkeypatch.setattr(
        "ncl_model.inference.predictor.torch.autocast", lambda **_: exact_arithmetic(torch.device("cpu"))
    )
    network = device._network
    device._network = lambda *given: (entered.append(torch.backends.cudnn.deterministic), network(*given))[1]
    predictor.predict(images(predictor, 1)[0].pixels[None])
    assert entered == [True]


def test_bfloat16_of_another_device_is_another_version_and_float32_is_not(weights: Path) -> None:
    checkpoint = load_checkpoint(weights)
    assert checkpoint.fingerprint("float32", "cuda") == checkpoint.fingerprint("float32")
    assert checkpoint.fingerprint("bfloat16", "cuda") != checkpoint.fingerprint("bfloat16")
    assert checkpoint.fingerprint("bfloat16", "cpu") == checkpoint.fingerprint("bfloat16")
    installed = InstalledModel(weights, "bfloat16", device="cuda")
    assert installed.fingerprint == checkpoint.fingerprint("bfloat16", "cuda")
    version = ModelVersion(fingerprint=installed.fingerprint, places=(str(weights),), s3=S3Options())
    assert version.load()[1] == "bfloat16"
    with pytest.raises(WeightsNotFound, match="bfloat16 on cpu is another version"):
        asyncio.run(Localizer(version).reconfigure({"threads": 1}))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_is_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


# --- what follows from a forward pass ---


def test_the_next_forward_pass_does_not_wait_for_areas_and_heatmaps(
    weights: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: about 9 ms an image were spent on them in the thread that computes."""
    import threading

    there = Replicas(weights, 1)
    (replica,) = there.replicas
    second_ran = threading.Event()
    finished = replica_module._finished
    network = there.devices[0]._network

    def wait_for_the_second(*arguments: Any) -> Reply:
        assert second_ran.wait(30), "the second batch waits for the first one's heatmaps"
        return finished(*arguments)

    def computed(*given: Any) -> Any:
        if len(there.devices[0].batches) == 2:
            second_ran.set()
        return network(*given)

    monkeypatch.setattr(replica_module, "_finished", wait_for_the_second)
    there.devices[0]._network = computed
    image = images(predictor, 1)[0]

    async def both() -> list[Reply]:
        calls = [replica(image.pixels[None], [(80, 120)], there.fingerprint) for _ in range(2)]
        return list(await asyncio.gather(*calls))

    assert [reply.error for reply in asyncio.run(both())] == [None, None]
