"""What Prometheus is told: what was counted, every metric documented, and only those who may see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from support.screened_jobs import ScreenedJob, Shot, screened_job

from jobs.domain.access import DEFAULT_PROJECT, Scope
from jobs.errors import ErrorCode
from jobs.operations.figures import Figures
from nclscreen.api import create_app
from nclscreen.metrics import METRICS, Metrics
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def told(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and labels, as Prometheus reads them."""
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def some(**fields: object) -> Figures:
    values: dict[str, object] = {
        "jobs": {"running": 2}, "images": {"scored": 5, "reused": 1, "failed": 2, "flagged": 3, "waiting": 7},
        "oldest_job_s": 1.5, "shards": {"queued": 4}, "work": {("webhook", "failed"): 1}, "unreviewed": 3,
        "dispatchers": 1, "hosted": {("abcdefabcdef", "ready"): 1}, "runs": {}, "oldest_run_s": 0.0,
        "recorded": {"scored": 50, "reused": 1, "failed": 2}, "queue_age_s": 9.5, "overdue_lease_s": 0.0, "held_up": 0,
        "retries": {("shard", "expired"): 4}, "oldest_unreviewed_s": 60.0, "second_looks": {"wanted": 2},
    }  # fmt: skip
    return Figures(**{**values, **fields})  # type: ignore[arg-type]


def test_prometheus_reads_what_was_counted() -> None:
    found = told(Metrics(some).text())
    assert found["nclscreen_jobs", ("running",)] == 2
    assert found["nclscreen_images", ("waiting",)] == 7
    assert ("nclscreen_images", ("flagged",)) not in found, "it is part of the others"
    assert found["nclscreen_images_flagged", ()] == 3
    assert found["nclscreen_work", ("webhook", "failed")] == 1
    assert found["nclscreen_hosted_models", ("abcdefabcdef", "ready")] == 1
    assert found["nclscreen_images_recorded_total", ("scored",)] == 50
    assert found["nclscreen_retries_total", ("shard", "expired")] == 4


def test_what_never_happened_is_there_as_nothing() -> None:
    """`increase` of a series that begins with 1 is 0: nobody would hear of the first failure."""
    found = told(Metrics(some).text())
    assert found["nclscreen_jobs", ("failed",)] == 0
    assert found["nclscreen_training_runs", ("failed",)] == 0
    assert found["nclscreen_work", ("webhook", "queued")] == 0


def test_counters_say_that_they_are() -> None:
    kinds = {family.name: family.type for family in text_string_to_metric_families(Metrics(some).text().decode())}
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        "nclscreen_images_recorded", "nclscreen_retries"
    }  # fmt: skip


def test_the_database_is_asked_every_five_seconds_at_most() -> None:
    now, asked = 0.0, []

    def read() -> Figures:
        asked.append(now)
        return some(unreviewed=len(asked))

    metrics = Metrics(read, lambda: now)
    assert asked == [], "nobody has asked yet"
    values = []
    for now in (0.0, 4.9, 5.1, 9.0, 20.0):  # noqa: B007 - read by the lambda
        values.append(told(metrics.text())["nclscreen_images_unreviewed", ()])
    assert values == [1, 1, 2, 2, 3]


def test_every_metric_is_documented_as_it_is() -> None:
    rows = [
        f"| `{name}` | {', '.join(f'`{label}`' for label in labels)} | {about} |" for name, labels, about in METRICS
    ]
    assert "\n".join(rows) in DOCS.read_text(encoding="utf-8")


@pytest.fixture
def screened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenedJob:
    found = screened_job(tmp_path / "s", [Shot(key="a.jpg", score=0.9), Shot(key="b.jpg", code=ErrorCode.CORRUPT)])
    monkeypatch.setenv("NCLSCREEN_DATABASE_URL", found.store._engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("NCLSCREEN_HOME", str(tmp_path / "home"))
    return found


def test_who_may_see_them(screened: ScreenedJob) -> None:
    wiring = Wiring(Settings())
    with TestClient(create_app(wiring), base_url="http://127.0.0.1:8080") as client:
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        found = told(answer.content)
        assert found["nclscreen_images", ("failed",)] == 1
        assert found["nclscreen_images_unreviewed", ()] == 1
        assert "a.jpg" not in answer.text
        assert screened.job.id not in answer.text
        wiring.projects.create("lab")

        def status(project: str, scope: Scope) -> int:
            _, text = wiring.keys.create(wiring.projects.get(project).name, "p", [scope])
            return client.get("/metrics", headers={"Authorization": f"Bearer {text.text}"}).status_code

        assert status(DEFAULT_PROJECT, Scope.READ) == 200
        assert status("lab", Scope.ADMIN) == 403
        assert client.get("/metrics").status_code == 401
    wiring.engine.dispose()
    screened.close()
