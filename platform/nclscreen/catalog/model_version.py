"""One model version: the fingerprint says what it is, and its weights are taken from wherever they still are."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from jobs.domain import Fingerprint
from jobs.errors import JobsError
from jobs.storage import S3Options, open_storage, split_object_uri
from ncl_model.errors import NclModelError
from nclscreen.catalog.model_library import MAX_WEIGHTS_BYTES

if TYPE_CHECKING:
    from ncl_model.inference.checkpoint import Checkpoint, Precision
    from ncl_model.inference.predictor import Predictor

#: stands for the weights that came with the package, on whatever node that is
SHIPPED = "shipped"


class WeightsNotFound(JobsError):
    """The weights of a model version are in none of the places where they may be."""

    def __init__(self, fingerprint: Fingerprint, reasons: str) -> None:
        self.fingerprint = fingerprint
        self.reasons = reasons
        super().__init__(f"the weights of model {fingerprint[:12]} were not found: {reasons}")


class CanaryFailed(JobsError):
    """The weights are the right ones, and what is computed with them here is not what it was."""

    def __init__(self, fingerprint: Fingerprint, why: str) -> None:
        self.fingerprint = fingerprint
        self.why = why
        super().__init__(
            f"model {fingerprint[:12]} does not compute here as it did: {why}; it is not used. Compare versions of "
            "torch and the device with those of machines where it is well, or register and promote it anew from here"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    """What is hosted. Plain data, for any node."""

    #: sha256 hex over weights, preprocessing and arithmetic
    fingerprint: Fingerprint
    #: paths and URIs of files that may hold its weights, or `SHIPPED`; the first that does counts
    places: tuple[str, ...]
    #: how to talk to the storage of those in buckets
    s3: S3Options
    #: what it has to say of the canary pictures, see `ncl_model.inference.canary`; None: nobody wrote it down
    canary: Mapping[str, Any] | None = None

    def load(self) -> tuple[Checkpoint, Precision]:
        """Weights and arithmetic, found by the fingerprint. Raises WeightsNotFound, with what is wrong where."""
        from ncl_model.inference.checkpoint import Precision, load_checkpoint

        reasons = []
        for place in self.places:
            try:
                with self._file(place) as path:
                    checkpoint = load_checkpoint(path)
            except (JobsError, NclModelError, OSError) as error:
                reasons.append(str(error))
                continue
            for precision, device in itertools.product(get_args(Precision), ("cpu", "cuda")):
                if checkpoint.fingerprint(precision, device) == self.fingerprint:
                    return checkpoint, precision
            reasons.append(f"{place} holds other weights")
        raise WeightsNotFound(self.fingerprint, "; ".join(reasons) or "no place is known")

    def predictor(self, device: str = "cpu") -> Predictor:
        """The network, in this process. Raises WeightsNotFound."""
        from ncl_model.inference.predictor import Predictor

        checkpoint, precision = self.load()
        return Predictor(checkpoint.build(), checkpoint, precision, device)

    def check_canary(self, predictor: Predictor) -> None:
        """Hold what it says of the canary pictures against what was written down. Raises CanaryFailed."""
        from ncl_model.inference.canary import disagreement

        if (why := disagreement(predictor, self.canary)) is not None:
            raise CanaryFailed(self.fingerprint, why)

    @contextmanager
    def _file(self, place: str) -> Iterator[Path]:
        """The file of a place, on this node."""
        if place == SHIPPED:
            from ncl_model.inference.checkpoint import shipped_weights

            yield shipped_weights()
        elif "://" not in place:
            yield Path(place)
        else:
            container, key = split_object_uri(place)
            data = open_storage(container, self.s3).read(key, max_bytes=MAX_WEIGHTS_BYTES)
            with tempfile.TemporaryDirectory(prefix="nclscreen-weights-") as folder:
                path = Path(folder) / "weights.safetensors"
                path.write_bytes(data)
                yield path
