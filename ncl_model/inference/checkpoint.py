"""One model version in one safetensors file: weights, config and where they come from.

Everything but the tensors is JSON in the file's metadata. Pickles are never read or written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, safe_open

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing, ConfigInvalid, OutputUnwritable
from ncl_model.inference.stored_weights import StoredWeights, content_of
from ncl_model.writing import replacing

if TYPE_CHECKING:  # who asks for a fingerprint or a threshold does without torch, which takes a second to load
    from torch import Tensor

    from ncl_model.architecture.registry import Network

Precision = Literal["float32", "bfloat16"]

#: written into every file; a reader refuses formats it does not know
FORMAT = "nclscreen-1"
#: names of tensors that only training needs, by prefix and by suffix
_TRAINING_PREFIXES = ("pivot.",)
_TRAINING_SUFFIXES = ("num_batches_tracked",)
_REMEDY_FILE = "Copy or download it again, or train one with `python -m ncl_model.training`"
_REMEDY_FIT = "Save it again with the config it was trained with, or use weights that belong to this config"


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """What a weights file holds, and what it needs to become a network again."""

    #: network shape and preprocessing
    config: NclConfig
    #: parameters and batch-norm statistics by name, CPU; float16 for kernels, float32 for vectors
    weights: Mapping[str, Tensor]
    #: short name of the model, for example "small"
    name: str
    #: version of that name
    version: str
    #: figures it reached, by name; never part of the fingerprint
    metrics: Mapping[str, Any] = field(default_factory=dict)
    #: from score to false-positive rate, see ``calibration``; empty: none was fitted. Never part of the fingerprint
    calibration: Mapping[str, Any] = field(default_factory=dict)
    #: data, recipe, seed, commands
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def fingerprint(self, precision: Precision, device: str = "cpu") -> str:
        """sha256 hex over weights (in name order), config and arithmetic.

        float32 gives the same scores on every kind of device but for rounding (``tests/gpu``); bfloat16, whose rounding
        moves scores, is an arithmetic of its own on each. ``device``: its kind, as torch names it.

        Same fingerprint and same image bytes mean the same verdict; name, metrics and provenance may be
        corrected without making it another model.
        """
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            dtype, shape, data = content_of(self.weights, name)
            digest.update(f"{name}|{dtype}|{shape}|".encode())
            digest.update(data)
        arithmetic = precision if precision == "float32" or device == "cpu" else f"{precision} on {device}"
        digest.update(f"|{self.config.to_json()}|{arithmetic}".encode())
        return digest.hexdigest()

    def build(self, path: object = "checkpoint") -> Network:
        """A float32 network in evaluation mode; ``path`` is named in the error.

        Raises CheckpointMismatch when tensors are missing, left over or of another shape.
        """
        from ncl_model.architecture.registry import build_network

        network = build_network(self.config)
        wanted = {k: v for k, v in network.state_dict().items() if not _training_only(k)}
        problem = _first_difference(wanted, self.weights)
        if problem:
            raise CheckpointMismatch(path, problem, _REMEDY_FIT)
        network.load_state_dict({k: v.float() for k, v in self.weights.items()}, strict=False)
        return network.eval()


def shipped_weights() -> Path:
    """Path of the weights that come with the package."""
    return Path(__file__).parents[1] / "weights" / "experts.safetensors"


def pack_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's state as stored: training-only tensors dropped, kernels float16, vectors float32.

    Batch-norm variances stay float32: float16 has too little range for them.
    """
    import torch

    kept = {name: tensor.detach().cpu() for name, tensor in state.items() if not _training_only(name)}
    return {n: t.to(torch.float16 if t.ndim > 1 else torch.float32).contiguous() for n, t in kept.items()}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a reader sees the old file or the new one, never half of it. Raises OutputUnwritable."""
    from safetensors.torch import save_file

    metadata = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "name": checkpoint.name,
        "version": checkpoint.version,
        "metrics": json.dumps(dict(checkpoint.metrics), sort_keys=True),
        "calibration": json.dumps(dict(checkpoint.calibration), sort_keys=True),
        "provenance": json.dumps(dict(checkpoint.provenance), sort_keys=True),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            # a channels-last copy shares no layout with the format: it wants plain row-major tensors
            save_file({k: v.contiguous() for k, v in checkpoint.weights.items()}, partial, metadata=metadata)
            # safetensors writes for the owner only; the process that serves the model may be another user
            partial.chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise OutputUnwritable(path, str(error)) from error


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a file written by ``save_checkpoint``.

    Raises CheckpointMissing, CheckpointCorrupt (truncated, not safetensors, not ours) or
    CheckpointMismatch (a config this version cannot build); each names the file and says what to do.
    """
    path = Path(path)
    if not path.is_file():
        problem = "is a folder, not a weights file" if path.is_dir() else "no such file"
        raise CheckpointMissing(path, problem, _REMEDY_FILE)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            weights = StoredWeights({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, TypeError) as error:  # TypeError: numbers that numpy does not know
        problem = f"not a complete safetensors file ({error})"
        raise CheckpointCorrupt(path, problem, _REMEDY_FILE) from error
    if metadata.get("format") != FORMAT:
        problem = f"not an nclscreen checkpoint (format {metadata.get('format')!r}, wanted {FORMAT!r})"
        raise CheckpointCorrupt(path, problem, _REMEDY_FILE)
    return _assemble(path, metadata, weights)


def _assemble(path: Path, metadata: Mapping[str, str], weights: StoredWeights) -> Checkpoint:
    try:
        parts = {key: json.loads(metadata[key]) for key in ("metrics", "calibration", "provenance")}
        config_text, name, version = metadata["config"], metadata["name"], metadata["version"]
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointCorrupt(path, f"unreadable metadata ({error})", _REMEDY_FILE) from error
    try:
        config = NclConfig.from_json(config_text)
    except ConfigInvalid as error:
        raise CheckpointMismatch(path, f"unusable config ({error})", _REMEDY_FIT) from error
    return Checkpoint(config=config, weights=weights, name=name, version=version, **parts)


def _training_only(name: str) -> bool:
    return name.startswith(_TRAINING_PREFIXES) or name.endswith(_TRAINING_SUFFIXES)


def _first_difference(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    for name in wanted:
        if name not in given:
            return f"tensor {name!r} is missing for the network its config describes"
        if wanted[name].shape != given[name].shape:
            shapes = f"{tuple(given[name].shape)}, the config asks for {tuple(wanted[name].shape)}"
            return f"tensor {name!r} is {shapes}"
    extra = sorted(set(given) - set(wanted))
    return f"tensor {extra[0]!r} has no place in the network its config describes" if extra else None
