"""Rules that wake people: each fires when it should, keeps silent when it should, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.prometheus_tools import promtool

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
CASES = ROOT / "deploy" / "prometheus" / "tests" / "alerts_test.yml"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_prometheus_can_read_the_rules() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout


def test_they_fire_and_keep_silent_as_their_cases_say() -> None:
    done = promtool("test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_has_both_cases_and_they_are_about_it(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    cases = {case["name"]: case for case in yaml.safe_load(CASES.read_text())["tests"]}
    fires = cases[f"{name} fires"]
    assert all(f'alertname="{name}"' in each["expr"] and each["exp_samples"] for each in fires["promql_expr_test"])
    (silent,) = [case for title, case in cases.items() if title.startswith(f"{name} is silent: ")]
    assert {each["alertname"] for each in silent["alert_rule_test"]} == {name}
    assert not any("exp_alerts" in each for each in silent["alert_rule_test"])
    # silence about what is not there proves nothing
    asked = set(re.findall(r"\b(?:nclscreen_\w+|up)\b(?=\{)", rule["expr"])) or {"nclscreen"}
    given = " ".join(series["series"] for series in silent["input_series"])
    assert any(metric in given for metric in asked)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["for"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    section = OPERATIONS.split(f"\n### {rule['alert']}\n\n")[1].split("\n### ")[0]
    assert section.startswith(f"`{rule['labels']['severity']}`. ")


def test_no_alert_is_explained_that_is_none() -> None:
    assert re.findall(r"^### (Nclscreen\w+)$", OPERATIONS, re.MULTILINE) == [rule["alert"] for rule in rules()]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("nclscreen_jobs_held_up) > 0", "nclscreen_jobs_held_up) > 5"),
        ("nclscreen_oldest_unreviewed_seconds) > 7 *", "nclscreen_oldest_unreviewed_seconds) > 5 *"),
    ],
    ids=["deaf", "shrill"],
)
def test_the_cases_notice_a_wrong_limit(tmp_path: Path, right: str, wrong: str) -> None:
    text = RULES.read_text()
    assert right in text
    (tmp_path / "alerts.yml").write_text(text.replace(right, wrong))
    (tmp_path / "cases.yml").write_text(CASES.read_text().replace("../alerts.yml", "alerts.yml"))
    assert promtool("test", "rules", tmp_path / "cases.yml").returncode == 1
