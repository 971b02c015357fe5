"""Model versions and aliases on both databases: written once, moved by one, and known for every moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from support.builders import Bench

from jobs.domain.registry import Alias, RegisteredVersion
from jobs.registry.errors import AliasMoved, AmbiguousVersion, NothingToRollBack, VersionDiffers, VersionNotFound
from jobs.registry.model_registry import ModelRegistry

CHAMPION = Alias.CHAMPION
A, B, C = ("aa" * 32, "ab" * 32, "cc" * 32)


def version(fingerprint: str) -> RegisteredVersion:
    return RegisteredVersion(
        fingerprint=fingerprint,
        name="tiny",
        version="1",
        weights_sha256=fingerprint[::-1],
        weights_uri=f"file:///models/{fingerprint}.safetensors",
        threshold=0.5,
        metrics={"image_auc": 0.9},
        code_version="0.1.0",
    )


@pytest.fixture
def registry(bench: Bench) -> ModelRegistry:
    found = ModelRegistry(bench.engine, bench.clock)
    for fingerprint in (A, B, C):
        found.register(version(fingerprint))
        bench.clock.advance(1)
    return found


def promote(registry: ModelRegistry, fingerprint: str | None) -> None:
    last = registry.current(CHAMPION)
    registry.move(CHAMPION, fingerprint, actor="ann", expected=0 if last is None else last.number)


def test_a_version_is_written_once(registry: ModelRegistry) -> None:
    again = registry.register(replace(version(A), metrics={"other": 1}))
    assert again == registry.get(A)
    assert again.metrics == {"image_auc": 0.9}
    with pytest.raises(VersionDiffers):
        registry.register(replace(version(A), weights_sha256="0" * 64))
    assert [each.fingerprint for each in registry.all()] == [C, B, A]


def test_versions_are_found_by_their_beginning_and_by_alias(registry: ModelRegistry) -> None:
    assert registry.find("aa").fingerprint == A
    assert registry.find(C).fingerprint == C
    with pytest.raises(AmbiguousVersion):
        registry.find("a")
    for said in ("", "dd", "champion", "%", "a_", "\x00"):
        with pytest.raises(VersionNotFound):
            registry.find(said)
    promote(registry, B)
    assert registry.find("champion").fingerprint == B


def test_every_move_is_known(registry: ModelRegistry, bench: Bench) -> None:
    assert registry.champion() is None
    moments = []
    for fingerprint in (A, B, None, C):
        promote(registry, fingerprint)
        move = registry.current(CHAMPION)
        assert move is not None
        moments.append(move.moved_at)
        bench.clock.advance(10)
    assert registry.champion() == C
    served = [registry.at(CHAMPION, moment + 5) for moment in moments]
    assert [move and move.fingerprint for move in served] == [A, B, None, C]
    assert registry.at(CHAMPION, moments[0] - 1) is None
    with pytest.raises(VersionNotFound):
        promote(registry, "dd" * 32)
    assert registry.current(Alias.CHALLENGER) is None


def test_rollbacks_go_back_one_after_the_other(registry: ModelRegistry) -> None:
    with pytest.raises(NothingToRollBack):
        registry.roll_back(CHAMPION, actor="ann")
    for fingerprint in (A, B, C):
        promote(registry, fingerprint)
    assert registry.roll_back(CHAMPION, actor="ann").fingerprint == B
    assert registry.roll_back(CHAMPION, actor="ann").fingerprint == A
    with pytest.raises(NothingToRollBack):
        registry.roll_back(CHAMPION, actor="ann")
    promote(registry, C)
    assert registry.roll_back(CHAMPION, actor="ann").fingerprint == A
    assert len(registry.history(CHAMPION)) == 7, "nothing is taken out"


def test_of_those_who_move_at_once_one_does(registry: ModelRegistry) -> None:
    promote(registry, A)
    together = Barrier(8)

    def move(number: int) -> bool:
        together.wait()
        try:
            registry.move(CHAMPION, (B, C)[number % 2], actor=str(number), expected=1)
        except AliasMoved:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1
    assert len(registry.history(CHAMPION)) == 2
    with pytest.raises(AliasMoved, match="moved meanwhile"):
        registry.move(CHAMPION, A, actor="late", expected=1)
