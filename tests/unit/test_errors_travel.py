"""Every error of ours survives the way through a process border: same kind, same message, same data."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ncl_model.errors import CheckpointMissing
from ncl_model.picklable import PicklableError

ROOT = Path(__file__).parents[2]
#: an argument for each annotation that an error's constructor has
SAMPLES: dict[str, Any] = {
    "str": "text",
    "int | None": 3,
    "int": 3,
    "float": 0.5,
    "bool": True,
    "object": "a/b",
    "Path": Path("a/b"),
    "Path | None": None,
    "str | None": None,
    "list[str]": ["line 3: odd"],
    "Sequence[str]": ["odd"],
    "list[tuple[int, str]]": [(3, "s3://a/b")],
    "ShardId": 7,
    "Fingerprint": "0f" * 32,
    "Fingerprint | None": None,
    "ImageErrorCode": "corrupt",
}
#: modules with errors of their own
DEFINED = re.compile(r"^class \w+\((?:JobsError|NclModelError|\w*Error|\w*Invalid)\b", re.MULTILINE)


def modules() -> Iterator[str]:
    for top, folder in (("jobs", "jobs"), ("ncl_model", "ncl_model"), ("nclscreen", "platform/nclscreen")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if DEFINED.search(path.read_text()):
                yield ".".join([top, *path.relative_to(ROOT / folder).with_suffix("").parts])


def kinds(base: type[PicklableError] = PicklableError) -> Iterator[type[PicklableError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


for name in modules():
    importlib.import_module(name)
KINDS = sorted(
    {kind for kind in kinds() if kind.__module__.split(".")[0] in ("jobs", "ncl_model", "nclscreen")}, key=str
)


def built(kind: type[PicklableError]) -> PicklableError:
    """One of this kind, from samples for whatever its constructor wants."""
    if all("__init__" not in vars(each) for each in kind.__mro__ if issubclass(each, PicklableError)):
        return kind("what happened")
    wanted = [each for each in inspect.signature(kind).parameters.values() if each.kind is not each.VAR_KEYWORD]
    fields = {each.name: SAMPLES[str(each.annotation)] for each in wanted if each.kind is each.KEYWORD_ONLY}
    return kind(*(SAMPLES[str(each.annotation)] for each in wanted if each.kind is not each.KEYWORD_ONLY), **fields)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_arrives_as_it_was(kind: type[PicklableError]) -> None:
    error = built(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_what_was_noted_on_it_travels_too() -> None:
    error = built(KINDS[0])
    error.add_note("while shard 7 was screened")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while shard 7 was screened"]


def test_errors_of_the_system_keep_their_words() -> None:
    error = CheckpointMissing("a/b", "no such file", "Train one")
    assert isinstance(error, FileNotFoundError)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert (str(each), each.errno) == ("a/b: no such file. Train one", None)


def test_there_are_many() -> None:
    assert len(KINDS) > 40
