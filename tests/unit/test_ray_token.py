"""A local Ray keeps its token with us; a cluster that refuses is told from one that is silent."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.servers.child_processes import free_ports

from nclscreen.hosting.ray_connection import ClusterRefused, ClusterUnreachable, RayOptions, _connect, _listens
from nclscreen.hosting.ray_token import own_token, read_tokens_anew


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_the_token_lies_with_us_and_only_while_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ray_token"
    with own_token(path):
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(path)
        os.environ["RAY_AUTH_MODE"] = "token"  # as Ray does
        token = path.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not {"RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"} & set(os.environ)
    with own_token(path):
        assert path.read_text() == token


@pytest.mark.parametrize("name", ["RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_who_has_chosen_is_not_overruled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "chosen")
    with own_token(tmp_path / "ray_token"):
        assert os.environ[name] == "chosen"
    assert os.environ[name] == "chosen"
    assert not (tmp_path / "ray_token").exists()


@pytest.mark.parametrize("chosen", [{}, {"RAY_AUTH_TOKEN": "t" * 64}])
@pytest.mark.parametrize("with_file", [True, False])
def test_the_next_ray_of_this_process_may_be_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], with_file: bool
) -> None:
    """Found by two systems side by side: after a local Ray with a token none without one could be reached."""
    from ray._raylet import AuthenticationMode, Config, get_authentication_mode

    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with own_token(tmp_path / "ray_token" if with_file else None):
        os.environ["RAY_AUTH_MODE"] = "token"  # as Ray does
        Config.initialize("")
        assert get_authentication_mode() == AuthenticationMode.TOKEN
    assert get_authentication_mode() == AuthenticationMode.DISABLED
    assert {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")} == chosen
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with own_token(None):
        assert get_authentication_mode() == AuthenticationMode.TOKEN
    assert os.environ["RAY_AUTH_MODE"] == "token"
    monkeypatch.undo()
    read_tokens_anew()


class Refusing:
    """Ray's own words for both: it says the same whether nobody listens or the token is wrong."""

    def __init__(self, port: int) -> None:
        self.port = port

    def init(self, **options: object) -> None:
        raise ConnectionError(f"Failed to connect to Ray cluster at 127.0.0.1:{self.port}")


def test_refused_is_told_from_silent() -> None:
    """Found 13: "no cluster answers", while one did, and asked for its token."""
    with socket.create_server(("0.0.0.0", 0)) as listening:
        port = listening.getsockname()[1]
        options = RayOptions(address=f"127.0.0.1:{port}", needed_cpus=1)
        with pytest.raises(ClusterRefused, match="RAY_AUTH_TOKEN"):
            _connect(Refusing(port), options)
        with pytest.raises(ClusterUnreachable, match="no Ray cluster answers") as caught:
            _connect(Refusing(free_ports(1)[0]), options)
        assert type(caught.value) is ClusterUnreachable


@pytest.mark.parametrize(("address", "said"), [("127.0.0.1:1", "nobody listens"), ("nonsense", "host:port")])
def test_where_nobody_is_ray_is_not_asked(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would ask for a quarter of an hour, in C, and hear no Ctrl-C meanwhile."""
    monkeypatch.setattr("nclscreen.hosting.ray_connection._AWAY_S", 0.0)
    with pytest.raises(ClusterUnreachable, match=said):
        _connect(None, RayOptions(address=address, needed_cpus=1))


def test_an_address_of_ipv6_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no IPv6: what is asked for counts."""
    asked: list[object] = []

    def create_connection(address: object, timeout: float) -> socket.socket:
        asked.append(address)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", create_connection)
    assert _listens("[::1]:6379")
    assert asked == [("::1", 6379)]


def test_a_head_that_is_just_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may start at once: it comes while we sleep."""
    port = free_ports(1)[0]
    there: list[str] = []

    class Ray:
        def init(self, *, address: str, **options: object) -> None:
            there.append(address)

    with ExitStack() as stack:

        def come(seconds: float) -> None:
            stack.enter_context(socket.create_server(("0.0.0.0", port)))

        monkeypatch.setattr("nclscreen.hosting.ray_connection.time.sleep", come)
        _connect(Ray(), RayOptions(address=f"127.0.0.1:{port}", needed_cpus=1))
    assert there == [f"127.0.0.1:{port}"]
