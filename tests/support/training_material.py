"""Made-up photographs to train on: in memory for the trainer, on disk for whole runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ncl_model.architecture.config import NclConfig
from ncl_model.data.resaving import JpegSettings
from ncl_model.errors import ImageUnreadable
from ncl_model.losses.objective import LossConfig
from ncl_model.training.recipe import TrainConfig

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TINY = NclConfig(
    backbone="resnet18",
    width=8,
    output_stride=16,
    aspp_channels=8,
    decoder_channels=8,
    input_size=64,
    geometry="fit",
)
#: two experts, tiny, on the grids that a photograph has
TINY_EXPERTS = NclConfig(
    architecture="experts",
    grid="estimated",
    backbone="resnet18",
    width=8,
    output_stride=16,
    residual="srm",
    compression="dct",
    compression_channels=8,
    head="pooled",
    aspp_channels=8,
    decoder_channels=16,
    input_size=96,
    geometry="fit",
)


def recipe(**changes: object) -> TrainConfig:
    """Steps of a tiny network, with every part of the loss."""
    values: dict[str, object] = {
        "network": TINY,
        "loss": LossConfig(mu=0.3, warmup_steps=2),
        "seed": 1,
        "steps": 6,
        "batch_size": 4,
        "crop_size": 64,
        "precision": "float32",
        "warmup_steps": 2,
        "val_fraction": 0.4,
        "log_s": 0.0,
        "ema_decay": 0.9,
    }
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def photo(seed: int, height: int = 80, width: int = 120) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    return np.array(coarse)


def forged(seed: int, height: int = 80, width: int = 120) -> tuple[Pixels, Mask]:
    """A photograph with a noisy rectangle in it."""
    rng = np.random.default_rng(1000 + seed)
    pixels, mask = photo(seed, height, width), np.zeros((height, width), np.bool_)
    top, left = int(rng.integers(8, height // 2)), int(rng.integers(8, width // 2))
    mask[top : top + height // 3, left : left + width // 3] = True
    noisy = np.clip(pixels.astype(int) + rng.integers(-90, 90, pixels.shape), 0, 255)
    pixels[mask] = noisy[mask]
    return pixels, mask


def _regions(height: int = 80, width: int = 120) -> Pixels:
    regions = np.ones((height, width), np.uint8)
    regions[10:40, 10:50] = 2
    return regions


class WentBad(list[Pixels]):
    """Photographs of which one can no longer be read."""

    def __init__(self, items: list[Pixels], bad: int) -> None:
        super().__init__(items)
        self._bad = bad

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if index == self._bad:
            raise ImageUnreadable("corrupt", f"photo{index}.jpg: cannot be decoded")
        return super().__getitem__(index)


@dataclass
class Pictures:
    """Material in memory."""

    tampered: list[tuple[Pixels, Mask]] = field(default_factory=lambda: [forged(i) for i in range(4)])
    authentic: list[Pixels] = field(default_factory=lambda: [photo(50 + i) for i in range(4)])
    shapes: list[tuple[int, Pixels]] = field(default_factory=lambda: [(0, _regions()), (1, _regions())])
    unmasked: list[Pixels] = field(default_factory=list)
    settings: list[JpegSettings] = field(default_factory=lambda: [JpegSettings(((9,) * 64,) * 2, 2)])


def write_source(folder: Path, images: int = 12) -> Path:
    """A folder with an index.csv: every other image tampered, pairs in a group, all with region maps."""
    folder.mkdir(parents=True)
    lines = ["image,mask,group,regions"]
    Image.fromarray(_regions()).save(folder / "regions.png")
    for i in range(images):
        pixels, mask = forged(i) if i % 2 else (photo(i), None)
        Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=95)
        if mask is not None:
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{i}.png")
        lines.append(f"{i}.jpg,{f'{i}.png' if i % 2 else ''},g{i // 2},{'' if i % 2 else 'regions.png'}")
    (folder / "index.csv").write_text("\n".join(lines))
    return folder
