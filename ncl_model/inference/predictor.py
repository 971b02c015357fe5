"""The model as others use it: setup once, then decode, predict, encode.

Shapes: B images, H x W canvas pixels, 3 colours, last.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ncl_model.architecture.config import NclConfig
from ncl_model.architecture.registry import Network, channels_last
from ncl_model.copy_move import find_copies
from ncl_model.imaging.decoding import DEFAULT_MAX_PIXELS, DecodedImage, decode_image
from ncl_model.imaging.grid import MeasuredGrids, measure_grids
from ncl_model.imaging.native_blocks import NativeBlocks
from ncl_model.inference.checkpoint import Checkpoint, Precision, load_checkpoint, shipped_weights
from ncl_model.inference.device import batch_on, device_named, exact_arithmetic, is_out_of_memory, release_memory
from ncl_model.inference.evidence import Evidence
from ncl_model.inference.expert_statistics import statistics
from ncl_model.inference.folding import fold_batch_norms
from ncl_model.inference.judging import Judgement, judged
from ncl_model.inference.processor import one_blas_thread
from ncl_model.inference.scoring import AREA_CUTOFFS, Rule, tampered_areas, to_heatmap

#: images of one canvas shape that ``localize`` sends through the network together
LOCALIZE_BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Localization:
    """What the model says about one photograph."""

    #: 0-1, higher is more suspect; not a probability: see ``calibration``
    score: float
    #: fraction of the photograph with p >= each of ``scoring.AREA_CUTOFFS``
    tampered_areas: tuple[float, ...]
    #: (valid_h, valid_w) uint8, 255 = probability 1
    heatmap: NDArray[np.uint8]
    #: which kinds of evidence speak how loudly; None where the model has one kind alone
    evidence: Evidence | None
    #: size of the photograph in pixels, upright
    width: int
    height: int


class Answer(NamedTuple):
    """What the network says about a batch of canvases, before any score rule."""

    #: (B, H, W) float32 probabilities in [0, 1], padding included
    maps: NDArray[np.float32]
    #: (B,) float32 logits of the image head; None where the network has none
    head: NDArray[np.float32] | None
    #: of networks made of experts, image by image: the statistic of each, and of both together
    statistics: tuple[dict[str, float], ...] = ()
    #: image by image, how far the 8x8 grid stands out; empty where none is estimated
    grid_strengths: tuple[float, ...] = ()


class BatchAnswer(NamedTuple):
    """What is said about a batch of B images, in their order."""

    scores: NDArray[np.float32]  #: (B,) in [0, 1]
    areas: NDArray[np.float32]  #: (B, 16), see ``Localization.tampered_areas``
    heatmaps: list[NDArray[np.uint8]]  #: (valid_h, valid_w) each, 255 = probability 1
    evidence: list[Evidence | None]  #: None where the model has one kind alone


class Predictor:
    """A network ready for inference. Use ``Predictor.setup``; instances may be shared by threads."""

    def __init__(self, network: Network, checkpoint: Checkpoint, precision: Precision, device: str = "cpu") -> None:
        if precision not in {"float32", "bfloat16"}:
            raise ValueError(f"precision must be float32 or bfloat16, got {precision!r}")
        self._device = device_named(device)
        # folded first: kernels made anew are not channels last
        self._network = channels_last(fold_batch_norms(network.to(self._device).eval()))
        self.precision: Precision = precision
        #: images of one forward pass, always: fewer are filled up
        self._step = batch_on(self._device)
        #: sha256 hex over weights, preprocessing and arithmetic
        self.fingerprint = checkpoint.fingerprint(precision, self._device.type)
        self.name = checkpoint.name
        self.version = checkpoint.version
        self.config: NclConfig = checkpoint.config
        #: how a map becomes the image score
        self.rule = Rule.of(self.config)
        self.checkpoint = checkpoint

    @classmethod
    def setup(
        cls,
        path: Path | str | None = None,
        precision: Precision = "float32",
        threads: int | None = None,
        *,
        device: str = "cpu",
    ) -> Self:
        """Load a checkpoint (None: the shipped weights) and build its network.

        ``threads`` sets torch's CPU threads for the whole process; numpy gets one, see ``one_blas_thread``. Raises the
        errors of ``load_checkpoint``, and ValueError for an unknown precision.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        one_blas_thread()
        path = shipped_weights() if path is None else path
        checkpoint = load_checkpoint(path)
        return cls(checkpoint.build(path), checkpoint, precision, device)

    def decode(self, data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedImage:
        """File bytes to a canvas in this model's geometry. Raises ImageUnreadable."""
        return decode_image(data, config=self.config, max_pixels=max_pixels)

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, H, W, 3) uint8 RGB to (B, H, W) float32 probabilities in [0, 1]; see ``ask``."""
        return self.ask(batch).maps

    def ask(
        self,
        batch: NDArray[np.uint8],
        valid_sizes: Sequence[tuple[int, int]] | None = None,
        blocks: Sequence[NativeBlocks | None] | None = None,
    ) -> Answer:
        """(B, H, W, 3) uint8 RGB to maps and, where the network has an image head, its logits.

        H and W are multiples of 32. ``valid_sizes`` is (valid_height, valid_width) per image; without it the
        whole canvas is photograph. ``blocks``: what ``DecodedImage`` has of them, image by image. On a CPU
        images go through one by one: it is as fast there, needs less memory, and an image's result cannot depend on its
        batchmates, not even in the last bit. On an accelerator as many go through together as always, the last ones
        filled up; half as many, and so on, where memory does not suffice.
        Raises ValueError for another shape or dtype, and what torch raises.
        """
        if batch.ndim != 4 or batch.shape[3] != 3 or batch.dtype != np.uint8:
            raise ValueError(f"a batch is (B, H, W, 3) uint8, got {batch.shape} {batch.dtype}")
        sizes = [batch.shape[1:3]] * len(batch) if valid_sizes is None else valid_sizes
        self._check_sizes(batch, sizes)
        if batch.shape[0] == 0:
            return Answer(np.zeros(batch.shape[:3], dtype=np.float32), None)
        native = [None] * len(batch) if blocks is None else blocks
        if len(native) != len(batch):
            raise ValueError(f"{len(batch)} images but native blocks of {len(native)}")
        parts = self._parts(batch, sizes, native)
        heads = [part.head for part in parts if part.head is not None]
        statistics = tuple(each for part in parts for each in part.statistics)
        strengths = tuple(each for part in parts for each in part.grid_strengths)
        head = np.concatenate(heads) if heads else None
        return Answer(np.concatenate([part.maps for part in parts]), head, statistics, strengths)

    def _parts(
        self, batch: NDArray[np.uint8], sizes: Sequence[tuple[int, ...]], native: Sequence[NativeBlocks | None]
    ) -> list[Answer]:
        step = self._step
        while True:
            slices = [slice(i, i + step) for i in range(0, len(batch), step)]
            try:
                return [self._filled_up(batch[each], sizes[each], native[each], step) for each in slices]
            except Exception as error:
                if step == 1 or not is_out_of_memory(error):
                    raise
            # here, when the error and what its frames hold are gone
            release_memory(self._device)
            step //= 2

    def _filled_up(
        self, batch: NDArray[np.uint8], sizes: Sequence[tuple[int, ...]], native: Sequence[NativeBlocks | None], to: int
    ) -> Answer:
        """The answer of one forward pass over ``to`` images: the last one is repeated where there are fewer."""
        count = len(batch)
        if count == to:
            return self._forward(batch, sizes, native)
        indices = [*range(count), *[count - 1] * (to - count)]
        filled = self._forward(batch[indices], [sizes[i] for i in indices], [native[i] for i in indices])
        head = None if filled.head is None else filled.head[:count]
        return Answer(filled.maps[:count], head, filled.statistics[:count], filled.grid_strengths[:count])

    def judge(
        self,
        batch: NDArray[np.uint8],
        valid_sizes: Sequence[tuple[int, int]],
        blocks: Sequence[NativeBlocks | None] | None = None,
        *,
        copies: bool = True,
    ) -> list[Judgement]:
        """What the model says about each canvas of a batch; other arguments as in ``ask``, which says what is raised.

        ``copies``: whether copied regions are searched for, where the config asks for it.
        """
        return self.conclude(self.ask(batch, valid_sizes, blocks), batch, valid_sizes, copies=copies)

    def conclude(
        self, answer: Answer, batch: NDArray[np.uint8], valid_sizes: Sequence[tuple[int, int]], *, copies: bool = True
    ) -> list[Judgement]:
        """What follows from an answer of ``ask``: no network is needed any more, and none is kept waiting."""
        search = self.config.copy_move if copies else None
        judgements = []
        for index, (height, width) in enumerate(valid_sizes):
            probabilities = answer.maps[index, :height, :width]
            found = find_copies(batch[index, :height, :width], search) if search else None
            head = None if answer.head is None else float(answer.head[index])
            statistics = answer.statistics[index] if answer.statistics else {}
            strength = answer.grid_strengths[index] if answer.grid_strengths else None
            judgements.append(judged(self.config, self.rule, probabilities, head, statistics, found, strength))
        return judgements

    def predict_batch(
        self,
        batch: NDArray[np.uint8],
        valid_sizes: Sequence[tuple[int, int]],
        blocks: Sequence[NativeBlocks | None] | None = None,
    ) -> BatchAnswer:
        """A batch of canvases to the small numbers worth sending back from a model server.

        ``valid_sizes`` is (valid_height, valid_width) per image, ``blocks`` as in ``ask``. Raises ValueError when the
        counts differ or a valid size does not lie on the canvas.
        """
        return self.summarize(self.judge(batch, valid_sizes, blocks))

    @staticmethod
    def summarize(found: Sequence[Judgement]) -> BatchAnswer:
        """Judgements as the small numbers that travel."""
        areas = np.array([tampered_areas(each.probabilities) for each in found], dtype=np.float32)
        return BatchAnswer(
            np.array([each.score for each in found], dtype=np.float32),
            areas.reshape(-1, len(AREA_CUTOFFS)),
            [to_heatmap(each.probabilities) for each in found],
            [each.evidence for each in found],
        )

    def localize(self, images: Sequence[DecodedImage]) -> list[Localization]:
        """Localizations in the order of ``images``; equal canvas shapes share a batch."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            groups[image.pixels.shape].append(index)
        results: dict[int, Localization] = {}
        for members in groups.values():
            for start in range(0, len(members), LOCALIZE_BATCH):
                chunk = members[start : start + LOCALIZE_BATCH]
                results.update(zip(chunk, self._localize_equal([images[i] for i in chunk]), strict=True))
        return [results[index] for index in range(len(images))]

    @staticmethod
    def encode(localization: Localization) -> bytes:
        """The heatmap as an 8-bit grey PNG, 255 = probability 1."""
        buffer = io.BytesIO()
        Image.fromarray(localization.heatmap).save(buffer, format="PNG")
        return buffer.getvalue()

    def _localize_equal(self, images: Sequence[DecodedImage]) -> list[Localization]:
        batch = np.stack([image.pixels for image in images])
        sizes = [(image.valid_height, image.valid_width) for image in images]
        answers = self.predict_batch(batch, sizes, [image.blocks for image in images])
        return [
            Localization(
                score=float(score),
                tampered_areas=tuple(map(float, area)),
                heatmap=heatmap,
                evidence=evidence,
                width=image.width,
                height=image.height,
            )
            for image, score, area, heatmap, evidence in zip(images, *answers, strict=True)
        ]

    @staticmethod
    def _check_sizes(batch: NDArray[np.uint8], valid_sizes: Sequence[tuple[int, ...]]) -> None:
        if len(valid_sizes) != len(batch):
            raise ValueError(f"{len(batch)} images but {len(valid_sizes)} valid sizes")
        for height, width in valid_sizes:
            if not (0 < height <= batch.shape[1] and 0 < width <= batch.shape[2]):
                raise ValueError(f"valid size {height}x{width} does not lie on the canvas {batch.shape[1:3]}")

    @torch.inference_mode()
    def _forward(
        self, batch: NDArray[np.uint8], sizes: Sequence[tuple[int, ...]], blocks: Sequence[NativeBlocks | None]
    ) -> Answer:
        pixels = torch.tensor(batch, device=self._device).permute(0, 3, 1, 2)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        measured = self._measured(batch, sizes)
        strengths = (
            [own.strength if native is None else native.strength for own, native in zip(measured, blocks, strict=True)]
            if measured
            else []
        )
        given: list[object] = [torch.tensor([each.grids for each in measured])] if measured else []
        if any(each is not None for each in blocks):
            given.append([None if each is None else torch.tensor(each.luma, device=self._device) for each in blocks])
        half = self.precision == "bfloat16"
        autocast = torch.autocast(device_type=self._device.type, dtype=torch.bfloat16, enabled=half)
        with exact_arithmetic(self._device), autocast:
            output = self._network(pixels, [(height, width) for height, width in sizes], *given)
        maps = torch.sigmoid(output.map_logits().float()).squeeze(1).cpu().numpy()
        head = None if output.image is None else output.image.float().cpu().numpy()
        return Answer(maps, head, statistics(output, sizes, self.config.statistic), tuple(strengths))

    def _measured(self, batch: NDArray[np.uint8], sizes: Sequence[tuple[int, ...]]) -> list[MeasuredGrids]:
        """Where the 8x8 blocks of each photograph begin, for networks that ask; else nothing."""
        if self.config.grid != "estimated":
            return []
        return [measure_grids(canvas[:height, :width]) for canvas, (height, width) in zip(batch, sizes, strict=True)]
