"""The gate: what lets a challenger through, what refuses it, and that it says by which figure."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.retraining.gate import FIGURES, GateRules, InvalidRules, SetRules, judge

GOOD: dict[str, float | None] = dict.fromkeys(FIGURES, 0.8) | {"false_alarm_rate": 0.05}


def rules(**sets: dict[str, Any]) -> GateRules:
    return GateRules.from_mapping({"sets": {name.replace("any", "*"): asked for name, asked in sets.items()}})


def test_an_equal_model_passes_the_usual_rules() -> None:
    assert judge(GateRules(), {"a": GOOD}, {"a": GOOD}).accepted


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("image_auc", 0.77, "a: image_auc was 0.800 and is 0.770, worse by more than 0.02"),
        ("pixel_f1", 0.7, "pixel_f1 was 0.800"),
        ("false_alarm_rate", 0.08, "false_alarm_rate was 0.050 and is 0.080, worse by more than 0.02"),
        ("recall", 0.5, "recall"),
    ],
)
def test_a_worse_one_is_refused_by_the_figure(figure: str, value: float, words: str) -> None:
    found = judge(GateRules(), {"a": GOOD}, {"a": GOOD | {figure: value}})
    assert not found.accepted
    assert len(found.reasons) == 1
    assert words in found.reasons[0]


def test_floors_and_ceilings_do_not_look_at_the_champion() -> None:
    asked = rules(a={"floors": {"image_auc": 0.9}, "ceilings": {"false_alarm_rate": 0.01}})
    found = judge(asked, {}, {"a": GOOD})
    assert found.reasons == ("a: image_auc is 0.800, below 0.9", "a: false_alarm_rate is 0.050, above 0.01")
    assert judge(asked, {}, {"a": GOOD | {"image_auc": 0.9, "false_alarm_rate": 0.01}}).accepted


def test_a_gain_is_asked_for() -> None:
    asked = rules(reviewed={"least_gain": {"false_alarm_rate": 0.02}})
    champion = {"reviewed": GOOD}
    assert not judge(asked, champion, {"reviewed": GOOD}).accepted
    assert judge(asked, champion, {"reviewed": GOOD | {"false_alarm_rate": 0.03}}).accepted


def test_what_was_not_measured_refuses() -> None:
    asked = rules(a={"floors": {"image_auc": 0.5}})
    assert judge(asked, {}, {}).reasons == ("a: was not measured, and the rules ask for it",)
    for missing in (None, float("nan")):
        found = judge(asked, {}, {"a": GOOD | {"image_auc": missing}})
        assert "could not be measured" in found.reasons[0]
    # a set without authentic photographs has no false alarms, for neither of them
    nothing = {"a": GOOD | {"false_alarm_rate": None}}
    assert judge(GateRules(), nothing, nothing).accepted
    assert not judge(GateRules(), {"a": GOOD}, nothing).accepted


def test_rules_of_one_set_go_before_those_of_every_one() -> None:
    asked = rules(any={"floors": {"image_auc": 0.9}}, b={"floors": {"image_auc": 0.5}})
    assert judge(asked, {}, {"a": GOOD, "b": GOOD}).reasons == ("a: image_auc is 0.800, below 0.9",)


def test_sets_are_named_by_their_last_part_too() -> None:
    asked = rules(test={"floors": {"image_auc": 0.9}})
    assert judge(asked, {}, {"casia1/test": GOOD}).reasons == ("casia1/test: image_auc is 0.800, below 0.9",)


def test_rules_are_written_as_they_are_read() -> None:
    asked = rules(any={"most_loss": {"recall": 0.1}}, a={"floors": {"image_auc": 0.9}})
    assert GateRules.from_mapping(asked.to_dict()) == asked
    assert GateRules.from_mapping(GateRules().to_dict()) == GateRules()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"sets": {}},
        {"sets": []},
        {"sets": {"a": 1}},
        {"sets": {"a": {"floor": {}}}},
        {"sets": {"a": {"floors": {"beauty": 0.5}}}},
        {"sets": {"a": {"floors": {"recall": 2}}}},
        {"sets": {"a": {"floors": {"recall": "high"}}}},
        {"sets": {"a": {"floors": [1]}}},
        {"sets": {"a": {}}, "other": 1},
    ],
)
def test_rules_that_make_no_sense_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRules, match="cannot be used"):
        GateRules.from_mapping(document)


def test_bounds_that_are_exactly_met_are_good_enough() -> None:
    asked = GateRules(sets={"*": SetRules(most_loss={"recall": 0.1}, least_gain={"image_auc": 0.1})})
    assert judge(asked, {"a": GOOD}, {"a": GOOD | {"recall": 0.7, "image_auc": 0.9}}).accepted
