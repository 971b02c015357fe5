"""`support.hosts`: what the rehearsal (`make rehearsal`) takes for machines of a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import hosts

#: told by a process of `run_apart`: hosts are asked for each other by name
SCRIPT = """
import sys, time
from pathlib import Path
from support.hosts import Network

hosts = Network(Path(sys.argv[1]), ("a", "b")).hosts
for host in hosts.values():
    host.switch_on()
env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
listener = "import socket; s = socket.create_server(('', 99)); print('listening', flush=True)\\nwhile 1: s.accept()"
listening = hosts["b"].start([sys.executable, "-c", listener], env, piped=True)
listening.stdout.readline()

def reached():
    call = "import socket; socket.create_connection(('b', 99), 1); print('reached')"
    return hosts["a"].start([sys.executable, "-c", call], env, piped=True).communicate()[0].strip()

print("at first:", reached())
hosts["b"].cut_off()
print("cut off:", reached())
hosts["b"].connect()
print("back:", reached())
hosts["b"].power_off()
print("off:", listening.wait(10) != 0, flush=True)
hosts["b"].switch_on()
print("on again:", reached(), [title for title in hosts["b"].titles() if "socket" in title])
hosts["a"].keep_running(["true"], env)
while hosts["a"].told().count("started again") < 2:
    time.sleep(0.1)
sys.exit(7)
"""


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (hosts.obstacle() or "").startswith("these programs are missing: unshare, nsenter")


@pytest.mark.skipif(hosts.obstacle() is not None, reason=f"no hosts here: {hosts.obstacle()}")
def test_hosts_reach_each_other_unless_cut_off_or_off(tmp_path: Path) -> None:
    tests = str(Path(hosts.__file__).parents[1])
    run = "import sys; from support import hosts; sys.exit(hosts.run_apart([sys.executable, *sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", run, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": tests, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    told = ["at first: reached", "cut off: ", "back: reached", "off: True", "on again:  []"]
    assert done.stdout.splitlines() == told, done.stderr
    assert done.returncode == 7
