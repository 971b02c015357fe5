"""What runs on the storage host of the rehearsal: PostgreSQL and S3 on its address, until its end.

Argument: the address. Says in one line of JSON how others reach them.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.servers.postgres import PostgresServer
from support.servers.s3_server import S3Server


def main() -> None:
    address = sys.argv[1]
    database, storage = PostgresServer(address), S3Server(address)
    env = storage.env | {
        "NCLSCREEN_S3_ENDPOINT_URL": storage.endpoint_url,
        "NCLSCREEN_S3_ADDRESSING_STYLE": "path",
    }
    reached = {"database": database.create_database(), "bucket": storage.create_bucket().container, "env": env}
    print(json.dumps(reached), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
