"""What this machine's processor computes quickly."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from threadpoolctl import threadpool_limits

#: instruction sets that multiply bfloat16 in hardware; without one it is ten times slower than float32
_FAST_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16", "asimdbf16", "svebf16"})


def has_fast_bfloat16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether bfloat16 is worth asking for on this CPU; False where the system does not say."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _FAST_BFLOAT16.isdisjoint(flags.partition(":")[2].split())


@cache
def one_blas_thread() -> None:
    """Let numpy multiply in one thread, in the whole process and for good; torch's threads stay as they are.

    Its products here are small: dealt out to all cores, they take five times the computing, most of it waiting for each
    other.
    """
    threadpool_limits(limits=1, user_api="blas")
