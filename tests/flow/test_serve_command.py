"""`serve` as a program of its own: it answers without Ray, and ends soon although somebody listens to events."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx2
import pytest
from support.flow_program import Program, press_ctrl_c
from support.screened_jobs import photo_bytes

pytestmark = pytest.mark.cluster


def test_it_answers_without_ray_and_ends_although_events_are_open(program: Program, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo_bytes())
    running = program.start("serve", "--port", "0")
    assert running.stderr is not None
    said = running.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    with httpx2.Client(base_url=found.group()) as client:
        made = client.post("/v1/jobs", json={"source": str(tmp_path), "threshold": 0.5})
        assert made.status_code == 201, made.text
        job_id = made.json()["id"]
        assert program.json("job", job_id)["state"] == "preparing"
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
            assert next(events.iter_lines()).startswith(("event", "id", "data"))
            began = time.monotonic()
            code, _, err = press_ctrl_c(running)
            took = time.monotonic() - began
    assert (code, "Traceback" in err) == (130, False), err
    assert took < 10, "open event streams hold it up"


def test_others_are_listened_to_once_there_is_a_key(program: Program) -> None:
    refused = program("serve", "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "nclscreen keys create" in refused.stderr
    made = program("keys", "create", "ann", "--scope", "read")
    assert (made.returncode, made.stdout[:4]) == (0, "ncl_"), made.stderr
    running = program.start("serve", "--host", "0.0.0.0", "--port", "0")
    assert running.stderr is not None
    found = re.search(r"http://0\.0\.0\.0:(\d+)", running.stderr.readline())
    assert found
    with httpx2.Client(base_url=f"http://127.0.0.1:{found[1]}") as client:
        assert client.get("/v1/jobs").status_code == 401
        key = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert client.get("/v1/jobs", headers=key).status_code == 200
        assert program("keys", "revoke", made.stdout.split("_")[1]).returncode == 0
        assert client.get("/v1/jobs", headers=key).status_code == 401
    assert press_ctrl_c(running)[0] == 130
