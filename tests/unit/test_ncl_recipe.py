"""Recipes: the ready ones, what a user writes, and what is told when it is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from support.training_material import TINY, TINY_EXPERTS, recipe

from ncl_model.architecture.config import NclConfig
from ncl_model.errors import ConfigInvalid
from ncl_model.training.optimization import learning_rate, make_optimizer, set_learning_rate
from ncl_model.training.recipe import FORMER_NAMES, RECIPES, TrainConfig, ready_recipes
from ncl_model.training.recipe_text import parse_plain, read_mapping
from ncl_model.training.trainer import Trainer


@pytest.mark.parametrize("name", ["paper", "small", "experts", "smoke"])
def test_a_ready_recipe_is_found_by_its_name_and_survives_json(name: str) -> None:
    assert name in ready_recipes()
    found = TrainConfig.load(name)
    assert found.name == name
    assert TrainConfig.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_every_ready_recipe_is_in_the_documents() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text()
    told = re.findall(r"^\| `([a-z]+)` \| ", page.split("## Recipes")[1].split("## ")[0], re.M)
    assert sorted(told) == ready_recipes()


def test_the_paper_recipe_is_the_paper() -> None:
    paper = TrainConfig.load("paper")
    assert (paper.network.backbone, paper.network.output_stride, paper.network.input_size) == ("resnet101", 8, 512)
    assert (paper.network.geometry, paper.framing, paper.crop_size) == ("stretch", "resize", 512)
    assert (paper.network.residual, paper.network.head) == ("none", "none")
    assert (paper.optimizer, paper.momentum, paper.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (paper.schedule, paper.poly_power, paper.learning_rate, paper.batch_size) == ("poly", 0.9, 0.007, 8)
    assert (paper.head_factor, paper.max_grad_norm) == (10, 5)
    assert (paper.loss.contrast, paper.loss.stages, paper.loss.tau, paper.loss.mu) == ("pivot", "all", 0.1, 0.8)


@pytest.mark.parametrize("name", ["paper", "small", "experts", "smoke"])
def test_ready_recipes_read_the_same_without_pyyaml(name: str) -> None:
    text = (RECIPES / f"{name}.yaml").read_text()
    assert parse_plain(text) == yaml.safe_load(text)


def test_the_plain_part_of_yaml() -> None:
    text = 'a: 1\nb: "x y"  # why\nsection:\n  c: true\n  d: [1, 2]\n  e: bare words\nf:\ng: 1.5e-3\n'
    assert parse_plain(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "line", ["- a", "a: &x 1", "a: {b: 1}", "a: |", 'a: "x # y"', "a: 1\na: 2", "a: 1\n  b: 2", "just words"]
)
def test_more_than_the_plain_part_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"r\.yaml, line \d.*pyyaml"):
        parse_plain(line, "r.yaml")


def test_the_plain_loop_needs_neither_yaml_nor_ray() -> None:
    script = (
        "import sys\n"
        "for name in ('yaml', 'ray', 'tensorboard', 'tensorboardX', 'pyarrow', 'sqlalchemy', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from ncl_model.training.__main__ import main\n"
        "from ncl_model.training.recipe import TrainConfig\n"
        "print(TrainConfig.load('paper').network.backbone)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "resnet101", done.stderr


def test_a_file_of_ones_own_may_be_yaml_or_json(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("steps: 5\nlearning_rate: 1e-4\nnetwork:\n  backbone: resnet34\nloss: {mu: 0.5}\n")
    (tmp_path / "r.json").write_text(
        json.dumps({"steps": 5, "learning_rate": 1e-4, "network": {"backbone": "resnet34"}, "loss": {"mu": 0.5}})
    )
    ours = TrainConfig.load(tmp_path / "r.yaml")
    assert ours == TrainConfig.load(str(tmp_path / "r.json"))
    assert (ours.steps, ours.minutes, ours.learning_rate, ours.loss.mu) == (5, None, 1e-4, 0.5)
    assert ours.network.backbone == "resnet34"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rat: 1", ["learning_rat", "did you mean 'learning_rate'"]),
        ("batch_size: 1", ["'batch_size'", "a whole number from 2 to 65536"]),
        ("batch_size: 2.5", ["'batch_size'", "a whole number"]),
        ("batch_size: many", ["'batch_size'", "many"]),
        ("momentum: fast", ["'momentum'", "a number from 0 to 0.999"]),
        ("learning_rate: .nan", ["'learning_rate'"]),
        ("compile: 1", ["'compile'", "true or false"]),
        ("precision: int8", ["'precision'", "float32, bfloat16, float16"]),
        ("optimizer: adam", ["'optimizer'", "adamw, sgd"]),
        ("crop_size: 100", ["'crop_size'", "multiple of 32"]),
        ("minutes: 5\nsteps: 5", ["'steps'", "not both"]),
        ("minutes: 0", ["'minutes'"]),
        ("laundered: 1.5", ["'laundered'", "a number from 0 to 1"]),
        ("resaved: 0.5", ["'resaved'", "unknown"]),
        ("network:\n  architecture: experts", ["'network.architecture'", "compression 'dct' and head 'pooled'"]),
        ("network:\n  grid: estimated", ["'network.grid'", "experts"]),
        ("loss:\n  projection: -1", ["'loss.projection'"]),
        ("people: 0.8\nsynthetic: 0.5", ["'people'", "at most 1"]),
        ("batch_size: 6\ngrad_accum_steps: 4", ["'grad_accum_steps'", "does not divide"]),
        ("network:\n  backbone: resnet9", ["'network.backbone'", "resnet18"]),
        ("network: resnet18", ["'network'", "mapping"]),
        ("network:\n  depth: 5", ["'network.depth'", "unknown"]),
        ("loss:\n  contrast: some", ["'loss.contrast'", "pivot"]),
        ("loss:\n  mu: 2", ["'loss.mu'"]),
        ("batch_size: 8\ncrop_size: 64\nbatch_size: 16", ["'batch_size'", "has it twice"]),
        ("loss:\n  mu: 0.1\n  mu: 0.2", ["'mu'", "has it twice"]),
        ("a: [", ["not YAML"]),
        ("- 1", ["not a mapping"]),
    ],
)
def test_what_is_wrong_names_file_field_and_what_is_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        TrainConfig.load(path)
    for word in ["mine.yaml", *words]:
        assert word in str(caught.value)


def test_a_recipe_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.yaml.*paper, small, smoke"):
        TrainConfig.load(tmp_path / "none.yaml")


def test_a_budget_replaces_the_other_kind() -> None:
    assert recipe(steps=5).with_budget(minutes=2).steps is None
    assert recipe(steps=5).with_budget(minutes=2).minutes == 2
    assert TrainConfig(minutes=3).with_budget(steps=7).minutes is None
    assert recipe(steps=5).with_budget().steps == 5


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    cosine = TrainConfig(learning_rate=1e-3, warmup_steps=100)
    rates = [learning_rate(cosine, step, step / 1000) for step in range(1001)]
    assert max(rates) <= 1e-3
    assert rates[0] < rates[50] < rates[99]
    assert rates[-1] == pytest.approx(1e-5)
    poly = TrainConfig(learning_rate=1e-2, warmup_steps=0, schedule="poly", poly_power=0.9)
    assert learning_rate(poly, 0, 0.0) == 1e-2
    assert learning_rate(poly, 5, 0.5) == pytest.approx(1e-2 * 0.5**0.9)
    assert learning_rate(poly, 9, 1.0) == 0.0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("network", [TINY, TINY_EXPERTS], ids=lambda network: network.architecture)
def test_pyramid_decoder_and_pivot_learn_faster_and_only_kernels_decay(name: str, network: NclConfig) -> None:
    ours = recipe(optimizer=name, head_factor=10, weight_decay=0.01, network=network)
    module = Trainer(ours)._module
    optimizer = make_optimizer(ours, module)
    set_learning_rate(optimizer, 0.5)
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(of) == len(list(module.parameters()))
    for parameter_name, parameter in module.named_parameters():
        # of the experts, what reads pixels and blocks keeps the rate; all else is head
        head = any(part in parameter_name for part in ("pyramid", "decoder", "pivot"))
        if network is TINY_EXPERTS:
            head = ".backbone." not in parameter_name and ".traces." not in parameter_name
        assert of[id(parameter)]["lr"] == (5.0 if head else 0.5), parameter_name
        assert of[id(parameter)]["weight_decay"] == (0.01 if parameter.ndim > 1 else 0.0), parameter_name
    assert isinstance(optimizer, torch.optim.Optimizer)


def test_json_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"batch_size": 8, "loss": {"mu": 0.1, "mu": 0.2}}')
    with pytest.raises(ConfigInvalid, match=r"'mu'.*has it twice"):
        TrainConfig.load(tmp_path / "r.json")


# -- former names


OLD = "batch: 8\naccumulate: 2\nsize: 64\nclip_norm: 3\naverage: 0.9\nheld_out: 0.3\n"
NEW = "batch_size: 8\ngrad_accum_steps: 2\ncrop_size: 64\nmax_grad_norm: 3\nema_decay: 0.9\nval_fraction: 0.3\n"


def test_fields_are_read_by_their_former_names(tmp_path: Path) -> None:
    for name, text in (("old.yaml", OLD), ("new.yaml", NEW)):
        (tmp_path / name).write_text(text)
    old, new = TrainConfig.load(tmp_path / "old.yaml"), TrainConfig.load(tmp_path / "new.yaml")
    assert old == new
    assert (old.batch_size, old.crop_size, old.ema_decay, old.val_fraction) == (8, 64, 0.9, 0.3)
    assert not FORMER_NAMES.keys() & old.to_dict().keys()


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_both_names_of_a_field_are_one_too_many(former: str, name: str) -> None:
    value = TrainConfig().to_dict()[name]
    with pytest.raises(ConfigInvalid, match=f"{name!r}.*{former!r}"):
        TrainConfig.from_dict({former: value, name: value})


@pytest.mark.parametrize("name", ready_recipes())
def test_ready_recipes_have_no_former_names(name: str) -> None:
    assert not FORMER_NAMES.keys() & read_mapping(RECIPES / f"{name}.yaml").keys()
