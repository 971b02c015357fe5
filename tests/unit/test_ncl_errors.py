"""Errors of the model layer survive the way through a process border, and the package is cheap to import."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from ncl_model.errors import (
    CheckpointCorrupt,
    CheckpointMismatch,
    CheckpointMissing,
    ConfigInvalid,
    DatasetInvalid,
    ImageUnreadable,
    NclModelError,
)


@pytest.mark.parametrize(
    "error",
    [
        ImageUnreadable("corrupt", "cut off"),
        ConfigInvalid("width", "too small"),
        CheckpointMissing("a/b", "no such file", "Train one"),
        CheckpointCorrupt("a/b", "truncated", "Copy it again"),
        CheckpointMismatch("a/b", "wrong", "Use another"),
        DatasetInvalid("no rows"),
    ],
)
def test_errors_survive_pickling(error: NclModelError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_reading_pictures_and_scores_needs_no_torch() -> None:
    imported = "ncl_model.imaging.decoding, ncl_model.inference.scoring"
    code = f"import sys, ncl_model, {imported}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
