"""What is copied to MLflow: records without secrets, thinned curves, settings by either name; what a doctor says."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.ended_runs import DECISION, Loop
from support.memory_mlflow import MemoryMlflow, away

from jobs.domain.retraining import Run, RunState
from jobs.masking import forget_secrets
from jobs.mirroring.errors import MirrorAway
from jobs.mirroring.mirror_queue import target_of
from jobs.mirroring.records import run_record
from jobs.testing import MovableClock
from nclscreen.mlflow_mirror import MlflowMirror
from nclscreen.services import mirroring
from nclscreen.services.health import health_checks
from nclscreen.services.session import scheduled_work
from nclscreen.services.training_told import MOST_POINTS, thinned, training_told
from nclscreen.settings import Settings
from nclscreen.surroundings import load_settings
from nclscreen.wiring import Wiring

SECRET = "hunter2-very-secret"
URI = f"http://me:{SECRET}@127.0.0.1:9"


def ended(**fields: Any) -> Run:
    values: dict[str, Any] = {
        "id": "r1",
        "state": RunState.REFUSED,
        "request": {},
        "created_at": 100.0,
        "started_at": 200.0,
        "finished_at": 300.5,
    }
    names = ("schedule_id", "parent", "snapshot", "contents", "fingerprint", "decision", "error")
    return Run(**(dict.fromkeys(names) | values | fields), cancelled=False)


def test_a_record_has_the_run_s_own_times_whenever_it_is_copied() -> None:
    curves = [{"step": 4.0, "elapsed_s": 1.5, "loss": 0.5}]
    record = run_record(ended(decision=DECISION), {"curves": curves})
    assert (record.started_ms, record.ended_ms) == (200_000, 300_500)
    times = {each.key: each.at_ms for each in record.metrics}
    assert times["training/loss"] == 201_500
    assert times["challenger/casia1/test/image_auc"] == 300_500


def test_names_of_sets_are_no_paths_that_lead_elsewhere() -> None:
    figures = {"/home/me/../photos (2)/": {"recall": 0.5}}
    record = run_record(ended(decision={"champion": figures, "challenger": {}}), None)
    assert [each.key for each in record.metrics] == ["champion/home/me/photos _2_/recall"]


def test_no_secret_is_copied() -> None:
    asked = {"data": [f"s3://AKIA:{SECRET}@bucket/x"], "rules": None}
    record = run_record(ended(request=asked, error=f"cannot read https://me:{SECRET}@host/x"), None)
    assert SECRET not in str(record)
    assert "request.rules" not in record.params


def test_the_longest_text_is_cut_to_what_every_server_takes() -> None:
    record = run_record(ended(decision={"reasons": ["x" * 100_000]}), None)
    assert len(record.tags["nclscreen.reasons"]) == 5000


def test_a_place_is_the_same_for_whoever_goes_there() -> None:
    assert target_of("http://a:b@mlflow:5000/", "x") == target_of("http://mlflow:5000", "x")
    assert len({target_of(uri, name) for uri in ("http://mlflow:5000", "http://mlflow:5001") for name in "xy"}) == 4


def test_long_curves_are_thinned_and_their_ends_stay() -> None:
    trained = [{"step": float(step), "loss": 0.5} for step in range(1, 1001)]
    judged = [{"step": float(step), "pixel_f1": 0.5} for step in range(100, 1001, 100)]
    kept = thinned([*trained, *judged], MOST_POINTS)
    assert [row for row in kept if "loss" not in row] == judged
    losses = [row["step"] for row in kept if "loss" in row]
    assert len(losses) == MOST_POINTS
    assert losses[-1] == 1000


def test_what_a_training_told_is_read_from_its_folder(tmp_path: Path) -> None:
    assert training_told(tmp_path) is None
    starts = [{"event": "start", "recipe": {"batch_size": size}} for size in (4, 8)]
    lines = [json.dumps(each) for each in (*starts, {"event": "step"})]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"event": "start", "rec']))
    (tmp_path / "metrics.csv").write_text("step,samples,elapsed_s,loss\n10,80,1.5,nan\n20,160,3,0.5\n")
    told = training_told(tmp_path)
    assert told is not None
    assert told["recipe"] == {"batch_size": 8}
    assert [row.get("loss") for row in told["curves"]] == [None, 0.5]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("prefix", ["", "NCLSCREEN_"])
def test_mlflow_s_own_variables_name_it_too(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    assert Settings().mlflow_tracking_uri is None
    monkeypatch.setenv(f"{prefix}MLFLOW_TRACKING_URI", URI)
    monkeypatch.setenv(f"{prefix}MLFLOW_EXPERIMENT_NAME", "desk")
    found = Settings()
    assert (found.mlflow_tracking_uri, found.mlflow_experiment_name) == (URI, "desk")


class Doctor:
    """Looks at the part alone."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring

    def says(self) -> tuple[bool, str] | None:
        parts = {check.part: check for check in health_checks(self.wiring)}
        if "mlflow" not in parts:
            return None
        finding = parts["mlflow"]()
        return finding.ok, finding.message


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MemoryMlflow:
    found = MemoryMlflow()
    monkeypatch.setattr(MlflowMirror, "_client", found)
    return found


def test_without_a_server_nothing_is_looked_at_and_nobody_copies(wiring: Wiring) -> None:
    assert Doctor(wiring).says() is None
    assert "mirroring" not in [task.name for task in scheduled_work(wiring)]


def test_a_doctor_says_what_is_behind_and_why_without_the_password(
    tmp_path: Path, server: MemoryMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    wiring = Wiring(load_settings().model_copy(update={"home": tmp_path}))
    doctor = Doctor(wiring)
    where = "http://me:***@127.0.0.1:9, experiment nclscreen"
    assert doctor.says() == (True, f"{where}: everything is copied")
    Loop(wiring.engine, MovableClock()).promoted("aa" * 32)
    waiting = "1 run(s), 1 model version(s), 1 alias move(s) not copied yet"
    assert doctor.says() == (True, f"{where}: {waiting}")
    assert "mirroring" in [task.name for task in scheduled_work(wiring)]

    def fails(name: str) -> None:
        raise away()

    server.before = fails
    said = doctor.says()
    assert said is not None
    assert not said[0]
    assert "failed with exception: refused" in said[1]
    assert SECRET not in said[1]
    forget_secrets()
    wiring.engine.dispose()


def test_a_client_that_is_not_installed_is_told_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'")
        return real(name, *rest)

    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MirrorAway, match=r"pip install 'nclscreen\[mlflow\]'"):
        MlflowMirror(URI, "x").check()


def test_the_client_neither_waits_for_minutes_nor_tells_its_makers() -> None:
    """Environment variables are how it is told; those of the operator stay."""
    named = {"MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_DISABLE_TELEMETRY"}
    import mlflow.environment_variables as known

    from nclscreen.mlflow_mirror import _MANNERS

    assert named <= set(_MANNERS)
    assert all(hasattr(known, name) for name in named)
    assert float(_MANNERS["MLFLOW_HTTP_REQUEST_TIMEOUT"]) < mirroring.AWAY_S, "what is late arrives before the next try"
