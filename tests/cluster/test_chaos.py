"""The chaos campaign (`make chaos`): its order is the seed's, and a short one holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from chaos.campaign import plans
from chaos.faults import FAULTS
from support.servers.postgres import PostgresServer
from support.servers.s3_server import S3Server

CAMPAIGN = Path(__file__).resolve().parents[1] / "chaos" / "campaign.py"


def test_the_faults_follow_from_the_seed() -> None:
    assert plans(3, 20, tuple(FAULTS)) == plans(3, 20, tuple(FAULTS))
    assert plans(3, 20, tuple(FAULTS)) != plans(4, 20, tuple(FAULTS))


@pytest.mark.parametrize("seed", range(20))
def test_twenty_rounds_have_every_fault(seed: int) -> None:
    found = plans(seed, 20, tuple(FAULTS))
    assert {name for plan in found for name, _ in plan.faults} == set(FAULTS)
    assert {len(plan.faults) for plan in found} == {1, 2}
    shares = [share for plan in found for _, share in plan.faults]
    assert all(0 < share <= 1 for share in shares)
    assert 1 in shares  # while the report is written


@pytest.mark.cluster
@pytest.mark.postgres
@pytest.mark.s3
@pytest.mark.timeout(900)
def test_a_short_campaign_holds(postgres_server: PostgresServer, s3_server: S3Server) -> None:
    """A worker shot, the database gone for a moment. It has servers of its own; ours only show that they can run."""
    command = [sys.executable, str(CAMPAIGN), "--seed", "5", "--rounds", "2", "--images", "60"]
    done = subprocess.run(
        [*command, "--faults", "worker", "database"], capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 rounds held" in done.stdout
    assert "kill -9 of shard worker" in done.stdout
    assert "PostgreSQL stopped at once" in done.stdout
