"""What can go wrong, as functions of the system. Each gives a few words on what it did."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence

import psutil
from chaos.system import LEASE_S, NODE_CPUS, System
from support.servers.faulty_proxy import BreakAfter, Drip, Silence, SlowDown
from support.tiny_model import save_tiny_model

from jobs.domain.states import JobState
from ncl_model.inference.checkpoint import load_checkpoint

Fault = Callable[[System, random.Random], str]

#: longest wait for a victim; without one the fault has not happened
_VICTIM_S = 30.0
SILENT = "silent"
NEIGHBOUR_IMAGES = 40


class NoVictim(Exception):
    """Nobody was there to be shot."""


def kill_worker(system: System, chance: random.Random) -> str:
    return f"kill -9 of shard worker {_kill_one(system, 'ray::ScreeningWorker', chance)}"


def kill_replica(system: System, chance: random.Random) -> str:
    return f"kill -9 of Serve replica {_kill_one(system, 'ray::ServeReplica:localizer', chance)}"


def kill_dispatcher(system: System, chance: random.Random) -> str:
    victim = chance.choice(system.dispatchers)
    system.kill_dispatcher(victim)
    system.start_dispatcher()
    return f"kill -9 of dispatcher {victim.pid}, then started again"


def kill_all_dispatchers(system: System, chance: random.Random) -> str:
    victims = list(system.dispatchers)
    for victim in victims:
        system.kill_dispatcher(victim)
    for _ in victims:
        system.start_dispatcher()
    return "kill -9 of both dispatchers, then started again"


def stop_dispatcher(system: System, chance: random.Random) -> str:
    """The other one keeps the model hosted, and works on alone for a while."""
    owner = system.dispatchers[0]
    owner.terminate()
    owner.wait(60)
    system.dispatchers.remove(owner)
    system.wait(system.hosted, "the model to be hosted by the other dispatcher")
    system.start_dispatcher()
    return f"SIGTERM of dispatcher {owner.pid}, the other one left alone for a while"


def other_weights(system: System, chance: random.Random) -> str:
    """As in an upgrade that is taken back: a dispatcher with another model comes, is up for a while, and goes."""
    weights = save_tiny_model(system.folder / "other.safetensors", seed=7)
    newcomer = system.launch_dispatcher(NCLSCREEN_WEIGHTS=str(weights))
    try:
        fingerprint = load_checkpoint(weights).fingerprint("float32")
        system.wait(lambda: system.hosted(fingerprint), "the other model")
        time.sleep(chance.uniform(0, 3))
        newcomer.terminate()
        newcomer.wait(60)
        system.wait(lambda: not system.hosted(fingerprint), "the other model to be gone")
    finally:
        newcomer.kill()
        newcomer.wait()
    return "a dispatcher with other weights came and went"


def freeze_dispatcher(system: System, chance: random.Random) -> str:
    victim = chance.choice(system.dispatchers)
    victim.send_signal(signal.SIGSTOP)
    time.sleep(LEASE_S + 2)
    victim.send_signal(signal.SIGCONT)
    return f"SIGSTOP of dispatcher {victim.pid} for {LEASE_S + 2:.0f} s, beyond its leases"


def stop_worker(system: System, chance: random.Random) -> str:
    """It lives and does nothing: nobody tells the dispatcher, which must notice by itself."""
    return f"SIGSTOP of shard worker {_hit_one(system, 'ray::ScreeningWorker', chance, signal.SIGSTOP)}"


def read_only(system: System, chance: random.Random) -> str:
    """As while a standby takes over."""
    pause_s = chance.uniform(3, 6)
    system.postgres.set_read_only(True)
    time.sleep(pause_s)
    system.postgres.set_read_only(False)
    return f"PostgreSQL read-only for {pause_s:.1f} s"


def drip(system: System, chance: random.Random) -> str:
    count = chance.randint(1, 3)
    system.proxy.faults.extend([Drip(0.5)] * count)
    return f"S3: {count} bodies that drip, a byte in half a second"


def silent_neighbour(system: System, chance: random.Random) -> str:
    """An urgent job over a bucket of which nothing is heard comes, and is cancelled after a while."""
    pause_s = chance.uniform(8, 15)
    uris = [f"s3://{SILENT}/{number}.jpg" for number in range(NEIGHBOUR_IMAGES)]
    _bad_neighbour(system, uris, SILENT, system.proxy.silent_buckets, pause_s)
    return f"an urgent job over a silent bucket for {pause_s:.1f} s"


def dripping_neighbour(system: System, chance: random.Random) -> str:
    """The same over a bucket whose photographs drip; at times for longer than anybody reads what drips."""
    pause_s = chance.uniform(10, 40)
    bucket, uris = system.another_bucket(NEIGHBOUR_IMAGES)
    _bad_neighbour(system, uris, bucket.name, system.proxy.dripping_buckets, pause_s)
    return f"an urgent job over a dripping bucket for {pause_s:.1f} s"


def _bad_neighbour(system: System, uris: Sequence[str], bucket: str, bad_buckets: set[str], pause_s: float) -> None:
    bad_buckets.add(bucket)
    try:
        job_id = system.submit_list(uris, priority=9)
        time.sleep(pause_s)
        system.wiring.jobs.cancel(job_id)
    finally:
        bad_buckets.clear()
    system.wait(lambda: system.wiring.jobs.get(job_id).state is JobState.CANCELLED, "the neighbour to be cancelled")


def kill_node(system: System, chance: random.Random) -> str:
    system.kill_node()
    time.sleep(chance.uniform(0, 2))
    system.add_node()
    return "kill -9 of a Ray node with all on it, then another one"


def add_node(system: System, chance: random.Random) -> str:
    """As an autoscaler does: one more comes, may get work, and goes again."""
    pause_s = chance.uniform(5, 12)
    node = system.add_node()
    try:
        time.sleep(pause_s)
    finally:
        system.remove_node(node)
    return f"a node added for {pause_s:.1f} s"


def too_small(system: System, chance: random.Random) -> str:
    """A node goes, and a dispatcher comes whose model finds no room: who has room must go on."""
    weights = save_tiny_model(system.folder / "large.safetensors", seed=8)
    fingerprint = load_checkpoint(weights).fingerprint("float32")
    system.kill_node()
    newcomer = system.launch_dispatcher(NCLSCREEN_WEIGHTS=str(weights), NCLSCREEN_REPLICA_CPUS=str(NODE_CPUS + 1))
    pause_s = chance.uniform(12, 20)
    try:
        time.sleep(pause_s)
        if system.hosted(fingerprint):
            raise NoVictim("the cluster had room after all")
        newcomer.terminate()
        newcomer.wait(60)
    finally:
        newcomer.kill()
        newcomer.wait()
        system.add_node()
    return f"for {pause_s:.1f} s a node less, and a model that found no room"


def crash_database(system: System, chance: random.Random) -> str:
    system.postgres.stop(crash=True)
    pause_s = chance.uniform(0.5, 3)
    time.sleep(pause_s)
    system.postgres.start()
    return f"PostgreSQL stopped at once for {pause_s:.1f} s, started again"


def throttle(system: System, chance: random.Random) -> str:
    count = chance.randint(10, 60)
    system.proxy.faults.extend([SlowDown()] * count)
    return f"S3: 503 SlowDown for {count} requests"


def cut_bodies(system: System, chance: random.Random) -> str:
    count = chance.randint(5, 30)
    system.proxy.faults.extend(BreakAfter(chance.randint(0, 900)) for _ in range(count))
    return f"S3: connection cut in {count} bodies"


def fall_silent(system: System, chance: random.Random) -> str:
    count = chance.randint(2, 6)
    system.proxy.faults.extend([Silence(4.0)] * count)
    return f"S3: {count} requests without an answer"


def shut_storage(system: System, chance: random.Random) -> str:
    """Longer than boto3's retries and the screener's second chance: jobs must wait, and no image may lose its score."""
    pause_s = chance.uniform(8, 15)
    system.proxy.is_shut = True
    time.sleep(pause_s)
    system.proxy.is_shut = False
    return f"S3: away for {pause_s:.1f} s"


#: cheapest first
FAULTS: dict[str, Fault] = {
    "worker": kill_worker,
    "stopped worker": stop_worker,
    "read-only": read_only,
    "drip": drip,
    "silent neighbour": silent_neighbour,
    "dripping neighbour": dripping_neighbour,
    "throttle": throttle,
    "cut": cut_bodies,
    "replica": kill_replica,
    "database": crash_database,
    "silence": fall_silent,
    "shut": shut_storage,
    "freeze": freeze_dispatcher,
    "dispatcher": kill_dispatcher,
    "dispatchers": kill_all_dispatchers,
    "stop": stop_dispatcher,
    "other weights": other_weights,
    "node": kill_node,
    "node added": add_node,
    "too small": too_small,
}
#: after these an image may have the error code `timeout`: the storage was asked in vain more often than it is tried
S3_FAULTS = frozenset({"throttle", "cut", "silence", "drip"})


def _kill_one(system: System, title: str, chance: random.Random) -> int:
    return _hit_one(system, title, chance, signal.SIGKILL)


def _hit_one(system: System, title: str, chance: random.Random, how: signal.Signals) -> int:
    deadline = time.monotonic() + _VICTIM_S
    while time.monotonic() < deadline:
        victims = sorted(system.ray_processes(title), key=lambda process: process.pid)
        if victims:
            victim = chance.choice(victims)
            try:
                victim.send_signal(how)
            except psutil.NoSuchProcess:
                continue
            return int(victim.pid)
        time.sleep(0.02)
    raise NoVictim(title)
