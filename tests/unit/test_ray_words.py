"""What Ray says of its own accord goes to standard error: standard output has documents."""

from __future__ import annotations

import inspect
import json

import pytest
from ray._private import worker

from nclscreen.hosting import ray_connection


def test_what_ray_says_of_dead_nodes_is_not_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"lines": ["a node died"], "pid": "raylet", "is_err": False}
    # as Ray has it: a test before this one may have started a Ray in this process
    monkeypatch.setattr(worker, "print_to_stdstream", inspect.unwrap(worker.print_to_stdstream))
    worker.print_to_stdstream(said, ignore_prefix=False)
    assert "a node died" in capsys.readouterr().out, "Ray puts it elsewhere by now: this piece may go"
    for _ in range(2):  # a second Ray in one process
        ray_connection._keep_standard_output_clean()
    worker.print_to_stdstream(said | {"lines": ["another node died"]}, ignore_prefix=False)
    print(json.dumps({}))
    out, err = capsys.readouterr()
    assert out == "{}\n"
    assert err.count("another node died") == 1
