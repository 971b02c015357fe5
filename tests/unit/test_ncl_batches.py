"""Batches: the same for everyone who makes them, and not stopped by a photograph that went bad."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from support.training_material import TINY_EXPERTS, Pictures, WentBad, photo, recipe

from ncl_model.data.resaving import JpegSettings, resave
from ncl_model.errors import DatasetInvalid
from ncl_model.training.batches import make_batch
from ncl_model.training.loading import Loading, batches
from ncl_model.training.loop import Loop
from ncl_model.training.trainer import Trainer

COARSE = JpegSettings(((40,) * 64,) * 2, 0)
PEOPLE = {"people": 1.0, "synthetic": 0, "laundered": 0, "batch_size": 40}


def test_a_batch_is_the_same_every_time() -> None:
    ours, material = recipe(), Pictures()
    batch = make_batch(material, ours, 5)
    assert (batch.pixels.shape, batch.pixels.dtype) == (torch.Size([4, 3, 64, 64]), torch.uint8)
    assert (batch.truth.shape, batch.truth.dtype) == (torch.Size([4, 1, 64, 64]), torch.uint8)
    assert batch.left_out == ()
    assert torch.equal(make_batch(material, ours, 5).pixels, batch.pixels)
    assert not torch.equal(make_batch(material, ours, 6).pixels, batch.pixels)
    assert not torch.equal(make_batch(material, recipe(seed=2), 5).pixels, batch.pixels)


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_see_together_what_one_sees_alone(workers: int) -> None:
    ours, material = recipe(), Pictures()
    whole = make_batch(material, ours, 3)
    for rank in range(workers):
        share = make_batch(material, ours, 3, rank, workers)
        assert torch.equal(share.pixels, whole.pixels[rank::workers])
        assert torch.equal(share.truth, whole.truth[rank::workers])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more processes than this machine has cores
def test_processes_and_thread_make_the_same_batches() -> None:
    ours, material = recipe(), Pictures()
    expected = [make_batch(material, ours, number) for number in range(7, 12)]
    for processes in (0, 2):
        made = batches(material, ours, 7, Loading(processes=processes))
        for batch in expected:
            given = next(made)
            assert torch.equal(given.pixels, batch.pixels)
            assert torch.equal(given.truth, batch.truth)
        made.close()  # type: ignore[attr-defined]


def test_shares_of_a_batch_are_the_recipes() -> None:
    material = Pictures()
    masks = make_batch(material, recipe(batch_size=200, people=0.3, synthetic=0.3), 0).truth
    assert 0.45 < masks.flatten(1).any(1).float().mean() < 0.75
    assert not make_batch(material, recipe(batch_size=20, people=0, synthetic=0), 0).truth.any()


def test_resizing_shows_all_of_a_photograph() -> None:
    material = Pictures(tampered=[(photo(1, 64, 128), np.ones((64, 128), np.bool_))])
    material.tampered[0][1][:, :32] = False
    ours = recipe(framing="resize", people=1, synthetic=0, laundered=0)
    masks = make_batch(material, ours, 0).truth.float()
    torch.testing.assert_close(masks.mean((1, 2, 3)), torch.full((4,), 0.75), atol=0.02, rtol=0)


def test_authentic_photographs_are_saved_as_tampered_files_were() -> None:
    """Saving once more with the same coarse tables changes almost nothing."""

    def saved_before(settings: list[JpegSettings], **changes: object) -> float:
        ours = recipe(batch_size=120, people=0, synthetic=0, **changes)
        batch = make_batch(Pictures(settings=settings), ours, 0)
        changed = [np.abs(resave(p, COARSE).astype(int) - p).mean() for p in batch.pixels.permute(0, 2, 3, 1).numpy()]
        return float(np.mean(np.array(changed) < 0.5))

    assert saved_before([], laundered=0) == 0
    assert 0.1 < saved_before([COARSE], laundered=0) < 0.27, "a fifth of 0.85; the others are saved at some quality"


def test_laundering_is_the_recipes_share_of_a_batch() -> None:
    def changed(share: float) -> float:
        plain, again = (make_batch(Pictures(), recipe(**{**PEOPLE, "laundered": s}), 0).pixels for s in (0.0, share))
        return float(np.mean([not torch.equal(a, b) for a, b in zip(plain, again, strict=True)]))

    assert changed(0.0) == 0
    assert 0.3 < changed(0.5) < 0.7
    assert changed(1.0) > 0.9, "now and then none of the steps is drawn"


def test_laundered_photographs_keep_their_masks() -> None:
    batch = make_batch(Pictures(), recipe(**{**PEOPLE, "laundered": 1.0}), 0)
    # the tampered rectangle is noise, and stays where the mask says
    noise = batch.pixels.float().mean(1).diff(dim=2, append=torch.zeros(40, 64, 1)).abs()
    inside = [float(n[m[0]].mean()) for n, m in zip(noise, batch.truth.bool(), strict=True) if m.any()]
    outside = [float(n[~m[0]].mean()) for n, m in zip(noise, batch.truth.bool(), strict=True)]
    assert np.mean(inside) > 1.3 * np.mean(outside)


def test_grids_come_with_the_batch_where_the_network_asks() -> None:
    assert make_batch(Pictures(), recipe(), 0).grids is None
    batch = make_batch(Pictures(), recipe(network=TINY_EXPERTS), 0)
    assert batch.grids is not None
    assert (batch.grids.shape, batch.grids.dtype) == (torch.Size([4, 2, 2]), torch.int64)
    assert int(batch.grids.min()) >= 0
    assert int(batch.grids.max()) < 8
    share = make_batch(Pictures(), recipe(network=TINY_EXPERTS), 0, 1, 2)
    assert share.grids is not None
    assert torch.equal(share.grids, batch.grids[1::2])


def test_a_photograph_that_went_bad_is_left_out() -> None:
    ours = recipe(people=0, synthetic=0, batch_size=16)
    material = Pictures(authentic=WentBad([photo(i) for i in range(4)], bad=2))
    batch = make_batch(material, ours, 0)
    assert batch.pixels.shape[0] == 16
    assert set(batch.left_out) == {"photo2.jpg: cannot be decoded"}
    assert torch.equal(make_batch(material, ours, 0).pixels, batch.pixels)


def test_material_of_which_nothing_can_be_read_is_an_error() -> None:
    material = Pictures(authentic=WentBad([photo(0)], bad=0))
    with pytest.raises(DatasetInvalid, match=r"20 photographs in a row.*photo0\.jpg"):
        make_batch(material, recipe(people=0, synthetic=0), 0)


@pytest.mark.parametrize("processes", [0, 1])
def test_an_error_while_making_a_batch_reaches_the_loop(processes: int) -> None:
    material = Pictures(authentic=WentBad([photo(0)], bad=0))
    made = batches(material, recipe(people=0, synthetic=0), 0, Loading(processes=processes))
    with pytest.raises(DatasetInvalid, match=r"photo0\.jpg"):
        next(made)


def test_a_run_goes_on_and_warns_once_for_a_file(caplog: pytest.LogCaptureFixture) -> None:
    ours = recipe(people=0.5, synthetic=0, steps=4)
    material = Pictures(authentic=WentBad([photo(0), photo(1)], bad=1))
    trainer = Trainer(ours)
    with caplog.at_level(logging.WARNING, "ncl_model"):
        assert Loop(trainer, None).run(batches(material, ours, 0, Loading()))
    assert trainer.step == 4
    assert [r.getMessage() for r in caplog.records].count(
        "a photograph was left out of the training: photo1.jpg: cannot be decoded"
    ) == 1
