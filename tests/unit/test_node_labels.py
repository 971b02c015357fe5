"""Labels of nodes as people write them: read as Ray reads them, and refused where Ray would."""

from __future__ import annotations

import pytest

from ncl_model.distributed.node_labels import has_labels, in_words, parse_labels
from nclscreen.cluster_options import hosting_options
from nclscreen.settings import Settings
from nclscreen.surroundings import InvalidSettings, load_settings

GOOD = "ray.io/accelerator-type=in(A100, H100),zone=!b,rack=!in(r1,r2),disk=ssd"


def test_labels_are_read_pair_by_pair() -> None:
    assert parse_labels("") == {}
    found = parse_labels(f" {GOOD} ,")
    assert found == {
        "ray.io/accelerator-type": "in(A100, H100)",
        "zone": "!b",
        "rack": "!in(r1,r2)",
        "disk": "ssd",
    }
    assert parse_labels(in_words(found)) == found


def test_what_is_taken_here_is_taken_by_ray() -> None:
    from ray._private.label_utils import validate_label_selector

    assert validate_label_selector(parse_labels(GOOD)) is None


@pytest.mark.parametrize(
    "wrong",
    ["H100", "=H100", "gpu=", "gpu=in()", "gpu=in(a", "gpu=!!a", "gpu=a=b", "-gpu=a", "gpu=a-", "g pu=a", "gpu=<a>"],
)
@pytest.mark.parametrize("name", ["NCLSCREEN_TRAIN_LABELS", "NCLSCREEN_REPLICA_LABELS"])
def test_what_cannot_be_meant_is_refused_with_the_setting_and_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: str
) -> None:
    monkeypatch.setenv(name, wrong)
    with pytest.raises(InvalidSettings, match=rf"{name}: .* is not KEY=VALUE, as in ray\.io/accelerator-type=H100"):
        load_settings()


def test_a_label_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'zone' is named twice"):
        parse_labels("zone=a,zone=b")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("zone=a", True),
        ("zone=b", False),
        ("zone=!b", True),
        ("zone=!a", False),
        ("zone=in(b,a)", True),
        ("zone=!in(b, a)", False),
        ("rack=1", False),
        ("rack=!1", True),
        ("zone=a,rack=1", False),
    ],
)
def test_a_node_has_all_labels_that_are_wanted(wanted: str, fits: bool) -> None:
    assert has_labels({"zone": "a"}, parse_labels(wanted)) is fits


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own
def test_replicas_get_the_labels_of_the_settings() -> None:
    from nclscreen.hosting.applications import HostingOptions, build_app

    assert hosting_options(Settings(replica_labels="zone=a")).labels == {"zone": "a"}
    for labels, given in (({}, None), ({"zone": "a"}, {"zone": "a"})):
        app = build_app(None, HostingOptions(labels=labels))  # type: ignore[arg-type]
        assert app._bound_deployment.ray_actor_options.get("label_selector") == given
