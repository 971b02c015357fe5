"""Writes `.env` beside this file from `env.example`, with a random value for each secret, readable by its owner alone.

Makes `secrets/` as well, with an empty `prometheus.key` in it that `nclscreen keys create` is to fill.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

HERE = Path(__file__).resolve().parent


def filled(example: str) -> str:
    """The example's lines, with 48 random hexadecimal digits behind each name that has no value."""
    lines = example.splitlines()
    return "".join(f"{line}{secrets.token_hex(24) if line.endswith('=') else ''}\n" for line in lines)


def write(folder: Path, example: str) -> Path:
    """Raises FileExistsError rather than change what is in use."""
    target = folder / ".env"
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(filled(example))
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    # Prometheus reads it as another user; nobody else gets into the folder
    (folder / "secrets" / "prometheus.key").touch(mode=0o644)
    return target


if __name__ == "__main__":
    print(f"wrote {write(HERE, (HERE / 'env.example').read_text(encoding='utf-8'))}")  # noqa: T201 - a script
