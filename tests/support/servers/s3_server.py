"""A real S3-compatible storage for the tests: OpenStack Swift with its S3 interface, from pip, without root."""

from __future__ import annotations

import fcntl
import getpass
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from support.servers import child_processes as children
from support.servers.child_processes import ServerFailed

from jobs.storage import S3Options

_REQUIREMENTS = ["swift==2.38.3", "setuptools"]
#: an environment of its own, as its dependencies are not ours; made once per checkout
_VENV = Path(__file__).resolve().parents[3] / ".cache" / "swift-venv"
_BACKENDS = ("account", "container", "object")

_COMMON = """[DEFAULT]
bind_ip = {address}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {home}
log_address = /dev/null
log_level = WARNING
"""
_BACKEND = """devices = {home}/devices
mount_check = false
recon_cache_path = {home}/cache
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = no
location = us-east-1
force_swift_request_proxy_log = no
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin .reseller_admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""
_SWIFT = "[swift-hash]\nswift_hash_path_suffix = loopback\n[storage-policy:0]\nname = p0\ndefault = yes\n"
_MAKE_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(sys.argv[2::2], sys.argv[3::2]):
    ring = RingBuilder(4, 1, 0)
    ring.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1))
    ring.rebalance()
    ring.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""


@dataclass(frozen=True, kw_only=True)
class S3Bucket:
    """A fresh bucket of the test store."""

    name: str
    options: S3Options

    @property
    def container(self) -> str:
        return f"s3://{self.name}"


class S3Server:
    """The storage on four free ports of the loopback, with its data in a temporary folder."""

    access_key = "test:tester"
    secret_key = "testing"
    region = "us-east-1"

    def __init__(self, address: str = "127.0.0.1") -> None:
        """`address`: where it listens."""
        self._address = address
        self._home = Path(tempfile.mkdtemp(prefix="nclscreen-s3-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            install()
            self._ports = dict(zip((*_BACKENDS, "proxy"), children.free_ports(4), strict=True))
            self._configure()
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def endpoint_url(self) -> str:
        return f"http://{self._address}:{self._ports['proxy']}"

    @property
    def options(self) -> S3Options:
        """How to reach it. Few attempts: what fails here fails for good."""
        return S3Options(endpoint_url=self.endpoint_url, addressing_style="path", max_attempts=2, read_timeout_s=20)

    @property
    def env(self) -> dict[str, str]:
        """The standard AWS variables for it, proof against the settings of whoever runs the tests."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": self._address,
            "no_proxy": self._address,
        }

    def create_bucket(self) -> S3Bucket:
        """A new, empty bucket."""
        bucket = S3Bucket(name=f"test-{uuid.uuid4().hex}", options=self.options)
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        try:
            client.create_bucket(Bucket=bucket.name)
        finally:
            client.close()
        return bucket

    def close(self) -> None:
        """End the four processes and remove the data."""
        for process in reversed(self._processes):
            children.stop(process, grace_s=3)
        self._processes.clear()
        shutil.rmtree(self._home, ignore_errors=True)

    def _configure(self) -> None:
        for folder in ("devices/d1", "cache"):
            (self._home / folder).mkdir(parents=True)
        (self._home / "swift.conf").write_text(_SWIFT)
        for name, port in self._ports.items():
            common = _COMMON.format(address=self._listens_at(name), port=port, user=getpass.getuser(), home=self._home)
            own = _PROXY if name == "proxy" else _BACKEND.format(home=self._home, name=name)
            (self._home / f"{name}-server.conf").write_text(common + own)
        pairs = [text for name in _BACKENDS for text in (name, str(self._ports[name]))]
        _run([str(_VENV / "bin" / "python"), "-c", _MAKE_RINGS, str(self._home), *pairs])

    def _listens_at(self, name: str) -> str:
        """Only the proxy is for others."""
        return self._address if name == "proxy" else "127.0.0.1"

    def _start(self) -> None:
        logs = {name: self._home / f"{name}.log" for name in self._ports}
        for name, log in logs.items():
            command = [str(_VENV / "bin" / f"swift-{name}-server"), str(self._home / f"{name}-server.conf")]
            self._processes.append(children.start(command, log=log))
        for (name, port), process in zip(self._ports.items(), self._processes, strict=True):
            at = self._listens_at(name)
            children.wait_until(
                lambda port=port, at=at: children.listening(port, at), process, log=logs[name], limit_s=60
            )


def install() -> None:
    """Make the environment, once; several test processes may want it at the same time."""
    _VENV.parent.mkdir(parents=True, exist_ok=True)
    stamp = _VENV / "installed"
    with (_VENV.parent / "swift-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == str(_REQUIREMENTS):
            return
        _run([sys.executable, "-m", "venv", "--clear", str(_VENV)])
        _run([str(_VENV / "bin" / "pip"), "install", "-q", *_REQUIREMENTS])
        stamp.write_text(str(_REQUIREMENTS))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailed(f"{command[:4]} failed: {done.stderr[-2000:]}")
