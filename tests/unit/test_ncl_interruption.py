import signal
import subprocess
import sys

import pytest

ENDING = """
import signal, time
from ncl_model.training.interruption import heeding_signals
with heeding_signals() as stop:
    signal.raise_signal(signal.SIGINT)
    print("asked", stop(), flush=True)
signal.raise_signal(signal.SIGINT)  # the second press, while the program ends
print("ended", flush=True)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_the_second_press_does_not_break_off_the_ending() -> None:
    told = run(ENDING)
    assert (told.returncode, told.stdout) == (0, "asked True\nended\n"), told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_wish_the_handlers_are_as_before(number: signal.Signals) -> None:
    told = run(
        "import signal\nfrom ncl_model.training.interruption import heeding_signals\n"
        f"before = signal.getsignal({int(number)})\n"
        "with heeding_signals():\n    pass\n"
        f"print(signal.getsignal({int(number)}) is before)"
    )
    assert told.stdout == "True\n", told.stderr
