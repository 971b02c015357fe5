"""The four arms differ in their loss alone, and the table compares them seed by seed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support.training_material import recipe, write_source

from ncl_model.ablation import COMPARISONS, arm_recipe, main, run_arms, table


def test_the_arms_add_one_part_after_the_other() -> None:
    arms = [arm_recipe(recipe(), changes, seed=5) for changes in COMPARISONS["loss"].values()]
    losses = [(r.loss.stages, r.loss.mu, r.loss.contrast) for r in arms]
    assert losses == [("last", 0.0, "none"), ("all", 0.3, "none"), ("all", 0.3, "classes"), ("all", 0.3, "pivot")]
    assert {dataclasses.replace(r, loss=recipe().loss) for r in arms} == {recipe(seed=5)}


def test_the_inputs_differ_in_what_the_network_sees() -> None:
    arms = [arm_recipe(recipe(), changes, seed=5) for changes in COMPARISONS["inputs"].values()]
    seen = [(r.framing, r.network.geometry, r.network.residual, r.network.compression) for r in arms]
    assert seen == [
        ("resize", "stretch", "none", "none"),
        ("crop", "fit", "none", "none"),
        ("crop", "fit", "srm", "none"),
        ("crop", "fit", "srm", "dct"),
    ]
    assert len({r.loss for r in arms}) == 1


def test_figures_are_compared_with_the_arm_before_by_seed() -> None:
    def run(auc: float) -> dict[str, float]:
        return {"pixel_auc": auc, "pixel_f1": 0.25, "image_auc": 0.5}

    text = table({"one": [run(0.6), run(0.8)], "two": [run(0.7), run(0.9)]})
    assert "| one | 2 | 0.700 ± 0.141 | 0.250 ± 0.000 | 0.500 ± 0.000 | - |" in text
    assert "| two | 2 | 0.800 ± 0.141 | 0.250 ± 0.000 | 0.500 ± 0.000 | +0.100 ± 0.000 |" in text, "paired by seed"


def test_the_command_trains_every_arm_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [write_source(tmp_path / "data")]
    out = tmp_path / "out"
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(recipe(val_fraction=0.5).to_dict()))
    given = ["--config", str(config), "--steps", "1", "--seeds", "1", "--out", str(out)]
    given += [word for source in sources for word in ("--data", str(source))]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert printed.count("seed 1: pixel_auc") == 4
    assert (out / "ablation.md").read_text() in printed
    lines = (out / "ablation.csv").read_text().splitlines()
    assert lines[0] == "arm,seed,pixel_auc,pixel_f1,image_auc"
    assert len(lines) == 5
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/state.pt")}
    assert len(before) == 4
    assert main(given) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "finished runs are only read"


def test_figures_after_laundering_are_those_of_the_same_weights_on_other_files(tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "data"), tmp_path / "out"
    arms = {"one": COMPARISONS["loss"]["(iv) full NCL"]}
    ours = recipe(val_fraction=0.5, steps=1)
    lines: list[str] = []
    as_they_are = run_arms(ours, arms, [source], out, seeds=1, echo=lines.append)["one"][0]
    laundered = run_arms(ours, arms, [source], out, seeds=1, laundered=True, echo=lines.append)["one"][0]
    assert {figure: as_they_are[figure] for figure in laundered} != laundered
    kept = next(out.glob("*/laundered.json"))
    written = kept.stat().st_mtime_ns
    assert run_arms(ours, arms, [source], out, seeds=1, laundered=True, echo=lines.append)["one"][0] == laundered
    assert kept.stat().st_mtime_ns == written, "judged once"
    kept.unlink()
    assert run_arms(ours, arms, [source], out, seeds=1, laundered=True, echo=lines.append)["one"][0] == laundered


def test_an_interrupted_comparison_keeps_what_it_has(tmp_path: Path) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2  # two steps of the first run, one of the second

    results = run_arms(
        recipe(steps=2),
        COMPARISONS["loss"],
        [write_source(tmp_path / "data")],
        tmp_path / "out",
        seeds=2,
        stop=stop,
        echo=lambda line: None,
    )
    assert [len(runs) for runs in results.values()] == [1, 0, 0, 0]


def test_judging_after_laundering_says_how_far_it_is_and_ends_when_told(tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "data"), tmp_path / "out"
    arms = {"one": COMPARISONS["loss"]["(iv) full NCL"]}
    ours = recipe(val_fraction=0.5, steps=1)
    lines: list[str] = []
    run_arms(ours, arms, [source], out, seeds=1, echo=lines.append)

    def told() -> bool:
        return any("after laundering" in line for line in lines)

    results = run_arms(ours, arms, [source], out, seeds=1, laundered=True, stop=told, echo=lines.append)
    assert results == {"one": []}
    assert lines[-1].startswith("arm1-seed1: 0 of "), lines
    assert list(out.glob("*/laundered.json")) == []


def test_an_unknown_recipe_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "nothing", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "nothing" in capsys.readouterr().err
