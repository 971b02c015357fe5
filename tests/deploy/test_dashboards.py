"""Dashboards and alerts ask for what there is: metrics, labels, values of labels; and Grafana finds its way."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import ray
import yaml
from support.grafana import DASHBOARDS, filled_in, panels, questions
from support.prometheus_tools import promtool

from jobs.domain import WorkKind
from jobs.domain.retraining import RunState
from jobs.domain.reviews import SecondLook
from jobs.domain.states import JobState
from jobs.operations.figures import KINDS, OUTCOMES
from jobs.registry.hosted_models import HostingState
from jobs.sql.tallies import Retry
from nclscreen.hosting.worker_metrics import STAGE_LABELS, STAGE_METRIC
from nclscreen.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DOCS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: values that labels have
VALUES = {
    ("nclscreen_jobs", "state"): set(JobState),
    ("nclscreen_images", "outcome"): {*OUTCOMES, "waiting"},
    ("nclscreen_images_recorded_total", "outcome"): set(OUTCOMES),
    ("nclscreen_shards", "state"): {"queued", "leased", "expired"},
    ("nclscreen_work", "kind"): set(WorkKind),
    ("nclscreen_work", "state"): {"queued", "leased", "failed"},
    ("nclscreen_retries_total", "kind"): set(KINDS),
    ("nclscreen_retries_total", "reason"): set(Retry),
    ("nclscreen_hosted_models", "state"): set(HostingState),
    ("nclscreen_second_looks", "state"): set(SecondLook),
    ("nclscreen_training_runs", "state"): set(RunState),
}


def documented() -> dict[str, set[str]]:
    """Every metric of the tables of docs/metrics.md, with its labels."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", DOCS, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def all_questions() -> list[tuple[str, str]]:
    """Those of dashboards and alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return questions() + [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def test_there_is_one_page_for_the_work_and_one_for_people_and_models() -> None:
    assert [page.stem for page in DASHBOARDS] == ["operations", "review"]
    assert len({json.loads(page.read_text())["uid"] for page in DASHBOARDS}) == 2


def test_what_ray_tells_is_documented_and_known_to_this_ray() -> None:
    ours = {name: set(labels) for name, labels, _ in METRICS}
    others = {name: labels for name, labels in documented().items() if name not in ours}
    assert others.pop(STAGE_METRIC) == set(STAGE_LABELS)
    serve = Path(ray.__file__).parent / "serve" / "_private"
    source = "".join(path.read_text(encoding="utf-8") for path in serve.glob("*.py"))
    assert others
    for name in others:
        assert f'"{name.removeprefix("ray_")}"' in source, name


def unknown(expr: str) -> list[str]:
    """What a question asks for that is not there."""
    known, wrong = documented(), []
    for metric, conditions in re.findall(r"\b((?:ray_)?(?:nclscreen|serve)_\w+|up\b)(?:\{([^}]*)\})?", expr):
        name = metric.removesuffix("_bucket")
        if name not in known:
            wrong += [name] if name != "up" else []
            continue
        for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', conditions):
            if label == "job":  # Prometheus's own: of which installation
                continue
            values = set(value.split("|")) if "~" in operator else {value}
            if label not in known[name] or not values <= VALUES[name, label]:
                wrong.append(f"{name}{{{label}}}: {value}")
    return wrong


@pytest.mark.parametrize(("who", "expr"), all_questions(), ids=lambda value: value[:50])
def test_every_metric_and_every_label_that_is_asked_for_exists(who: str, expr: str) -> None:
    assert re.search(r"\b(ray_|nclscreen_|up\b)", expr), f"{who} asks for nothing"
    assert unknown(expr) == [], who


@pytest.mark.parametrize(
    "expr",
    [
        "max(nclscreen_dispatcher)",
        'max(nclscreen_jobs{job="$job", status="running"})',
        'max(nclscreen_jobs{job="$job", state=~"running|runing"})',
        "avg(ray_serve_replica_utilisation_percent)",
    ],
)
def test_a_typo_is_noticed(expr: str) -> None:
    assert len(unknown(expr)) == 1


def test_prometheus_can_read_every_question(tmp_path: Path) -> None:
    rules = [
        {"record": f"question:{number}", "expr": filled_in(expr)} for number, (_, expr) in enumerate(all_questions())
    ]
    (tmp_path / "questions.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "questions.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda page: page.stem)
def test_a_dashboard_is_as_grafana_wants_it(page: Path) -> None:
    document = json.loads(page.read_text(encoding="utf-8"))
    assert document["schemaVersion"] >= 39
    assert document["uid"] == f"nclscreen-{page.stem}"
    assert len(document["uid"]) <= 40
    variables = {each["name"]: each for each in document["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert variables["job"]["datasource"] == DATA_SOURCE
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    others = {json.loads(each.read_text())["uid"] for each in DASHBOARDS} - {document["uid"]}
    assert {link["url"].removeprefix("/d/") for link in document["links"]} == others


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda page: page.stem)
def test_every_panel_says_what_it_shows_and_in_which_unit(page: Path) -> None:
    for panel in panels(page):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == DATA_SOURCE
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"] == DATA_SOURCE
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(",")}
            assert labels <= grouped, f"{panel['title']}: {labels} is not there after {target['expr']}"


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda page: page.stem)
def test_panels_lie_beside_each_other(page: Path) -> None:
    places = [panel["gridPos"] for panel in panels(page)]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


def test_grafana_is_told_where_everything_is() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    assert sources["apiVersion"] == 1
    (source,) = sources["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    providers = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "nclscreen.yaml").read_text())
    (provider,) = providers["providers"]
    assert (providers["apiVersion"], provider["type"]) == (1, "file")
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"`{provider['options']['path']}`" in operations
    for page in DASHBOARDS:
        assert f"*{json.loads(page.read_text())['title']}*" in operations
