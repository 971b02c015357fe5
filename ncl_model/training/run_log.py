"""What a run tells while it goes: ``log.jsonl``, ``metrics.csv``, ``curves.png``, TensorBoard, and standard output."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ncl_model.training.curves import draw_curves
from ncl_model.training.loss_totals import LOSSES
from ncl_model.training.run_names import CURVES, LOG, METRICS
from ncl_model.writing import replacing, writing

_logger = logging.getLogger(__name__)

#: columns of metrics.csv; validation fills its own in rows of their own
COLUMNS = (
    "step", "samples", "elapsed_s", *LOSSES, "learning_rate", "images_per_s", "skipped",
    "pixel_f1", "pixel_auc", "image_auc",
)  # fmt: skip


def no_echo(line: str) -> None:
    """Say nothing."""


class RunLog:
    """Writes into one folder; starting again there goes on after what was already told."""

    def __init__(
        self, out: Path, *, step: int, tensorboard: bool = False, echo: Callable[[str], None] = no_echo
    ) -> None:
        """``step`` is where the run goes on: rows of later, lost steps are dropped. ``echo`` gets every line.

        Raises OutputUnwritable, as the other methods do.
        """
        self._out = out
        self._echo = echo
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            self._rows = [row for row in read_metrics(out / METRICS) if row["step"] <= step]
            _write_rows(out / METRICS, self._rows)
        self._board = _open_board(out / "tensorboard", step) if tensorboard else None

    def event(self, event: str, **values: object) -> None:
        """One line of the log."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "event": event, **_plain(values)})
        with writing(self._out), (self._out / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._echo(line)

    def row(self, event: str, values: Mapping[str, float]) -> None:
        """One line of the log and one row of the metrics; ``values`` has a ``step``."""
        self.event(event, **values)
        row = {name: float(values[name]) for name in COLUMNS if name in values}
        self._rows.append(row)
        with writing(self._out), (self._out / METRICS).open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow(_cells(row))
        finite = {name: value for name, value in row.items() if name != "step" and math.isfinite(value)}
        self._tell_board(lambda board: [board.add_scalar(name, v, int(row["step"])) for name, v in finite.items()])

    def draw(self) -> None:
        """Bring the curves up to date."""
        with writing(self._out), replacing(self._out / CURVES) as partial:
            draw_curves(self._rows).save(partial, "PNG")
        self._tell_board(lambda board: board.flush())

    def close(self) -> None:
        """Never raises: it also ends a run that broke off, and must not hide why."""
        self._tell_board(lambda board: board.close())
        self._board = None

    def _tell_board(self, act: Callable[[Any], object]) -> None:
        """TensorBoard's files are an extra: the run goes on without them when they cannot be written."""
        if self._board is None:
            return
        try:
            act(self._board)
        except OSError as error:
            self._board = None
            _logger.warning("TensorBoard files are not written any more: %s", error.strerror or error)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics.csv, empty cells left out; none when there is no file. A half-written row is left out."""
    if not path.is_file():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            try:
                row = {name: float(cell) for name, cell in cells.items() if name in COLUMNS and cell}
            except ValueError:
                continue
            if "step" in row:
                rows.append(row)
    return rows


def _write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_cells(row) for row in rows)


def _cells(row: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.6g}" if name not in {"samples", "step"} else str(int(value)) for name, value in row.items()}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _open_board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or tensorboardX's; None when neither is installed."""
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        try:
            writer = importlib.import_module(name).SummaryWriter
        except ImportError:
            continue
        return writer(str(folder), purge_step=step + 1)
    _logger.warning("no TensorBoard files are written: neither tensorboard nor tensorboardX is installed")
    return None
