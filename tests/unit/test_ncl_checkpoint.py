"""Weights files: what is stored, what the fingerprint covers, and how broken files are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.network import NclNetwork
from ncl_model.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing, ConfigInvalid
from ncl_model.inference.checkpoint import Checkpoint, load_checkpoint, pack_weights, save_checkpoint, shipped_weights

CONFIG = NclConfig(backbone="resnet18", width=8, output_stride=16, aspp_channels=8, decoder_channels=8, geometry="fit")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = pack_weights(NclNetwork(CONFIG).state_dict())
    return Checkpoint(config=CONFIG, weights=weights, name="tiny", version="1", metrics={"auc": 0.5})


def test_a_file_gives_back_what_was_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "new" / "w.safetensors"
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    assert (loaded.name, loaded.version, loaded.config) == ("tiny", "1", CONFIG)
    assert dict(loaded.metrics) == {"auc": 0.5}
    assert loaded.calibration == {}
    assert loaded.fingerprint("float32") == checkpoint.fingerprint("float32")
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert not loaded.build(path).training


def test_kernels_are_half_precision_and_training_tensors_stay_out() -> None:
    state = {
        "a.weight": torch.ones(2, 2),
        "a.running_var": torch.full((2,), 1e-9),
        "a.num_batches_tracked": torch.tensor(3),
        "pivot.weight": torch.ones(2, 2),
    }
    packed = pack_weights(state)
    assert sorted(packed) == ["a.running_var", "a.weight"]
    assert packed["a.weight"].dtype == torch.float16
    assert packed["a.running_var"].dtype == torch.float32


def test_the_fingerprint_covers_weights_config_and_precision_only(checkpoint: Checkpoint) -> None:
    print_ = checkpoint.fingerprint("float32")
    assert len(print_) == 64
    other = dataclasses.replace(checkpoint, name="x", version="2", metrics={}, provenance={"by": "me"})
    assert other.fingerprint("float32") == print_
    turned = dict(reversed(checkpoint.weights.items()))
    assert dataclasses.replace(checkpoint, weights=turned).fingerprint("float32") == print_
    name, tensor = next(iter(checkpoint.weights.items()))
    changed = tensor.clone()
    changed.view(-1)[0] += 1
    different = [
        checkpoint.fingerprint("bfloat16"),
        dataclasses.replace(checkpoint, weights={**checkpoint.weights, name: changed}).fingerprint("float32"),
        dataclasses.replace(checkpoint, config=dataclasses.replace(CONFIG, input_size=256)).fingerprint("float32"),
    ]
    assert len({print_, *different}) == 4


def test_how_large_jpegs_are_decoded_is_part_of_the_fingerprint_unless_it_is_as_ever(checkpoint: Checkpoint) -> None:
    assert "draft_margin" not in CONFIG.to_dict()
    others = [dataclasses.replace(checkpoint, config=dataclasses.replace(CONFIG, draft_margin=m)) for m in (0, 2, 2.0)]
    prints = [other.fingerprint("float32") for other in [checkpoint, *others]]
    assert len(set(prints)) == 3
    assert prints[2] == prints[3]
    for margin in (-1, 0.5, 9, True, "2", None):
        with pytest.raises(ConfigInvalid, match="draft_margin"):
            dataclasses.replace(CONFIG, draft_margin=margin)


def test_memory_layout_does_not_change_the_fingerprint(checkpoint: Checkpoint) -> None:
    last = {n: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t for n, t in checkpoint.weights.items()}
    assert dataclasses.replace(checkpoint, weights=last).fingerprint("float32") == checkpoint.fingerprint("float32")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_corrupt_and_named(checkpoint: Checkpoint, tmp_path: Path, share: float) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, checkpoint)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointCorrupt, match=r"half\.safetensors.*again"):
        load_checkpoint(path)


@pytest.mark.parametrize("data", [b"", b"not weights", b"\x80\x04pickle", b"\xff" * 64])
def test_another_file_is_corrupt(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(CheckpointCorrupt, match="not a complete safetensors file"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointCorrupt, match="not an nclscreen checkpoint"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_no_file_and_a_folder_are_missing(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.safetensors", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(CheckpointMissing, match=reason):
            load_checkpoint(path)


@pytest.mark.parametrize("backbone", ["resnet34", "resnet50"])
def test_weights_of_another_backbone_are_refused(checkpoint: Checkpoint, tmp_path: Path, backbone: str) -> None:
    config = NclConfig.from_dict({**CONFIG.to_dict(), "backbone": backbone})
    save_checkpoint(tmp_path / "w.safetensors", dataclasses.replace(checkpoint, config=config))
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"w\.safetensors: tensor .*config"):
        loaded.build(tmp_path / "w.safetensors")


def test_left_over_tensors_are_refused(checkpoint: Checkpoint) -> None:
    more = dataclasses.replace(checkpoint, weights={**checkpoint.weights, "extra": torch.ones(1)})
    with pytest.raises(CheckpointMismatch, match="'extra' has no place"):
        more.build()


def test_the_shipped_weights_are_small_and_build() -> None:
    path = shipped_weights()
    assert path.stat().st_size < 25 * 1024 * 1024
    loaded = load_checkpoint(path)
    loaded.build(path)
    assert loaded.name == "experts"
    assert loaded.provenance["recipe"]["seed"] >= 0
