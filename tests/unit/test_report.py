"""The report as files: what is said, what is escaped, what is bounded, what a missing picture costs."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.made_evidence import evidence
from support.screened_jobs import ScreenedJob, Shot, blob, screened_job

from jobs.domain import Counts, Job
from jobs.domain.states import JobState
from jobs.errors import ErrorCode
from jobs.spreadsheet import safe_cell
from nclscreen.html_parts.histogram import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, histogram
from nclscreen.html_report import ReportLimits, write_report
from nclscreen.html_report.explanations import EXPLANATIONS
from nclscreen.html_report.summary import Summary, summarize
from nclscreen.quantities import duration_in_words

EVIL = "evil\"'><script>alert(1)</script><img src=x onerror=alert(2)>.jpg"
Make = Callable[[Sequence[Shot]], ScreenedJob]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ScreenedJob] = []

    def build(shots: Sequence[Shot]) -> ScreenedJob:
        made.append(screened_job(tmp_path / f"job{len(made)}", shots))
        return made[-1]

    yield build
    for each in made:
        each.close()


class Page(HTMLParser):
    """Tags with their attributes, and the text a reader sees."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in {"style", "script"}:
            self.text += data

    def of_class(self, name: str) -> int:
        return sum(name in (attrs.get("class") or "").split() for _, attrs in self.tags)


def report(screened: ScreenedJob, out: Path, **options: object) -> Page:
    source = {"job": screened.job, "verdicts": screened.verdicts, "open_storage": screened.open_storage} | options
    path = write_report(out, **source)  # type: ignore[arg-type]
    assert path == out / "index.html"
    return Page(path.read_text("utf-8"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_report_shows_flagged_images_with_both_pictures_and_failures_by_code(make: Make, tmp_path: Path) -> None:
    screened = make(
        [Shot(key="calm.jpg", score=0.1), Shot(key="low.jpg", score=0.6), Shot(key="high.jpg", score=0.9)]
        + [Shot(key=f"cut-{i}.jpg", code=ErrorCode.CORRUPT, message=f"cut at {i}") for i in range(3)]
        + [Shot(key="nothing.jpg", code=ErrorCode.EMPTY)]
    )
    page = report(screened, tmp_path / "out")
    assert page.of_class("card") == 2
    pictures = [attrs["src"] or "" for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 4
    assert all(src.startswith("data:image/jpeg;base64,") for src in pictures)
    assert page.text.index("high.jpg") < page.text.index("low.jpg")
    assert "calm.jpg" not in page.text
    assert page.of_class("failure") == 2
    assert page.text.index("3 images") < page.text.index("1 image", page.text.index("could not be read"))
    assert EXPLANATIONS[ErrorCode.CORRUPT] in page.text
    assert "cut at 2" in page.text
    assert "2 of 7 images flagged" in " ".join(page.text.split())


def test_the_page_asks_nobody_for_anything(make: Make, tmp_path: Path) -> None:
    screened = make([Shot(key="a.jpg", score=0.9)])
    page = report(screened, tmp_path / "out")
    links = [value for _, attrs in page.tags for name in ("src", "href", "action") if (value := attrs.get(name))]
    assert links
    assert all(link.startswith("data:") for link in links)
    style_and_script = re.sub(r"data:[^\"]*", "", (tmp_path / "out/index.html").read_text("utf-8"))
    assert not re.search(r"https?:|url\(|@import", style_and_script)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_a_card_says_which_evidence_fired_and_shows_what_was_copied(make: Make, tmp_path: Path) -> None:
    quiet = {"pixels": 0.1, "traces": 0.2}
    screened = make(
        [
            Shot(key="a.jpg", score=0.99, evidence=evidence(1, **quiet, copies=0.99)),
            Shot(key="b.jpg", score=0.9, evidence=evidence(0, pixels=0.9, traces=0.8, copies=0.1)),
            Shot(key="small.jpg", score=0.8, evidence=evidence(0, {"copies": "too_small"}, pixels=0.1, traces=0.8)),
            Shot(key="calm.jpg", score=0.2, evidence=evidence(0, **quiet, copies=0.1)),
        ]
    )
    page = report(screened, tmp_path / "out")
    said = " ".join(page.text.split())
    assert "a region is copied: 2 places" in said
    assert "noise and edges differ here" in said
    assert "too small to be searched for copied regions" in said
    assert "traces of earlier saving in 2, copied regions in 1, noise and edges in 1 of 3 flagged" in said
    assert "Could not be tested forcopied regions in 1" in said
    assert "places that show the same" in said
    assert page.of_class("evidence") == 3
    assert [row["evidence"] for row in rows(tmp_path / "out/flagged.csv")] == ["copies", "pixels+traces", "traces"]


def test_copied_regions_are_drawn_on_the_overlay_alone(make: Make, tmp_path: Path) -> None:
    plain, copied = (
        report(
            make([Shot(key="a.jpg", score=0.99, evidence=evidence(pairs, pixels=0.1, copies=0.99))]),
            tmp_path / f"out{pairs}",
        )
        for pairs in (0, 1)
    )
    before, after = ([attrs["src"] for tag, attrs in page.tags if tag == "img"] for page in (plain, copied))
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_report_of_verdicts_without_evidence_is_as_it_was(make: Make, tmp_path: Path) -> None:
    page = report(make([Shot(key="a.jpg", score=0.9)]), tmp_path / "out")
    assert page.of_class("evidence") == 0
    assert "Evidence" not in page.text
    assert "tested for" not in page.text
    assert "places that show the same" not in page.text
    assert rows(tmp_path / "out/flagged.csv")[0]["evidence"] == ""


def test_a_kind_of_evidence_is_text_and_nothing_else(make: Make, tmp_path: Path) -> None:
    screened = make([Shot(key="a.jpg", score=0.9, evidence=evidence(0, **{EVIL: 0.9, "=1+1": 0.8}))])
    page = report(screened, tmp_path / "out")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert EVIL in page.text


def test_names_from_outside_are_text_and_nothing_else(make: Make, tmp_path: Path) -> None:
    names = [EVIL, "two\nlines \u202egpj.exe", "{{ 7 * 7 }}.jpg"]
    screened = make(
        [Shot(key=name.replace("/", "-"), score=0.9) for name in names]
        + [Shot(key=f"bad {EVIL}", code=ErrorCode.CORRUPT, message=EVIL)]
    )
    page = report(replace(screened, job=replace(screened.job, source=EVIL)), tmp_path / "out")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all("src" not in attrs or (attrs["src"] or "").startswith("data:") for _, attrs in page.tags)
    assert "two\\nlines \\u202egpj.exe" in page.text
    assert "\u202e" not in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert page.of_class("hidden-char") >= 2


def test_the_page_says_how_much_it_leaves_out(make: Make, tmp_path: Path) -> None:
    screened = make(
        [Shot(key=f"{i}.jpg", score=0.9 - i / 100) for i in range(9)]
        + [Shot(key=f"bad-{i}.jpg", code=ErrorCode.CORRUPT) for i in range(20)]
        + [Shot(key="gone.jpg", code=ErrorCode.NOT_FOUND)]
    )
    page = report(screened, tmp_path / "out", limits=ReportLimits(pictures=4, failed_rows=6))
    assert page.of_class("card") == 4
    assert "The first 4 of 9 by score" in page.text
    assert "The first 5 of 20" in page.text
    assert "gone.jpg" in page.text
    assert len(rows(tmp_path / "out/flagged.csv")) == 9
    assert len(rows(tmp_path / "out/failed.csv")) == 21


def test_a_picture_that_cannot_be_shown_costs_only_itself(make: Make, tmp_path: Path) -> None:
    screened = make(
        [
            Shot(key="deleted.jpg", score=0.9),
            Shot(key="no-map.jpg", score=0.8, keep_heatmap=False),
            Shot(key="changed.jpg", score=0.7),
            Shot(key="overwritten.jpg", score=0.65),
            Shot(key="fine.jpg", score=0.6),
        ]
    )
    (screened.folder / "deleted.jpg").unlink()
    (screened.folder / "changed.jpg").write_bytes(Shot(key="x", data=b"no picture").data)
    (screened.folder / "overwritten.jpg").write_bytes((screened.folder / "fine.jpg").read_bytes() + b"\0")
    page = report(screened, tmp_path / "out")
    assert page.of_class("card") == 5
    assert sum(tag == "img" for tag, _ in page.tags) == 1 + 2 + 2
    assert page.of_class("card-note") == 4
    assert page.text.count("The photograph cannot be shown any more") == 2
    assert "none was kept for this image" in page.text
    assert "has changed since it was scored" in page.text


def test_a_damaged_heatmap_costs_only_itself(make: Make, tmp_path: Path) -> None:
    screened = make([Shot(key="a.jpg", score=0.9), Shot(key="b.jpg", score=0.8)])
    first = next((tmp_path / "job0/heatmaps").rglob("*.png"))
    first.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    page = report(screened, tmp_path / "out")
    assert sum(tag == "img" for tag, _ in page.tags) == 3
    assert "The heatmap cannot be shown" in page.text


def test_heatmaps_may_come_from_elsewhere(make: Make, tmp_path: Path) -> None:
    screened = make([Shot(key="a.jpg", score=0.9, keep_heatmap=False)])
    page = report(screened, tmp_path / "out", read_heatmap=lambda verdict: blob(0.9))
    assert sum(tag == "img" for tag, _ in page.tags) == 2


def test_a_spreadsheet_runs_nothing(make: Make, tmp_path: Path) -> None:
    screened = make(
        [
            Shot(key='=HYPERLINK("x")', score=0.9),
            Shot(key="plain, with comma.jpg", score=0.8),
            Shot(key="+1.jpg", code=ErrorCode.CORRUPT, message="@SUM(A1)"),
        ]
    )
    report(screened, tmp_path / "out")
    flagged, failed = rows(tmp_path / "out/flagged.csv"), rows(tmp_path / "out/failed.csv")
    assert [row["key"] for row in flagged] == ['\'=HYPERLINK("x")', "plain, with comma.jpg"]
    assert flagged[0]["score"] == "0.9000"
    assert 0 < float(flagged[0]["tampered_area"]) < 1
    assert (failed[0]["key"], failed[0]["error_message"]) == ("'+1.jpg", "'@SUM(A1)")
    assert failed[0]["error_code"] == "corrupt"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_every_start_of_a_formula_is_disarmed(start: str) -> None:
    assert safe_cell(f"{start}cmd") == f"'{start}cmd"
    assert safe_cell(f"a{start}") == f"a{start}"


def test_a_report_takes_the_place_of_an_older_one_or_leaves_it(make: Make, tmp_path: Path) -> None:
    screened, out = make([Shot(key="a.jpg", score=0.9)]), tmp_path / "out"
    report(screened, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def broken(verdict: object) -> object:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        report(screened, out, read_heatmap=broken)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert set(before) == {"index.html", "flagged.csv", "failed.csv"}


def test_nothing_flagged_and_nothing_failed_is_said_too(make: Make, tmp_path: Path) -> None:
    page = report(make([Shot(key="calm.jpg", score=0.1)]), tmp_path / "out")
    assert "No image reached the threshold." in page.text
    assert "Every image could be read and scored." in page.text


def test_every_error_code_is_explained() -> None:
    assert set(EXPLANATIONS) == set(ErrorCode)


def summary(job: Job, now: float) -> Summary:
    return summarize(job, now, {}, {})


def test_a_job_that_did_not_complete_says_so(make: Make) -> None:
    job = make([Shot(key="calm.jpg", score=0.1)]).job
    assert summary(job, 0).caveat is None
    unfinished = replace(job, counts=Counts(total=2000, scored=1200), started_at=100.0, finished_at=None)
    running = summary(replace(unfinished, state=JobState.RUNNING), 160.0)
    assert running.caveat is not None
    assert "1,200 of 2,000 images" in running.caveat
    assert (running.took, running.speed) == ("1 min 00 s", "20.0")
    failed = summary(replace(unfinished, state=JobState.FAILED, error="the disk is full"), 160.0)
    assert failed.caveat is not None
    assert "failed: the disk is full" in failed.caveat
    waiting = summary(replace(unfinished, state=JobState.READY, started_at=None, counts=Counts()), 1.0)
    assert (waiting.took, waiting.speed, waiting.flagged_share) == ("–", "–", "nothing has a score")


def test_what_a_job_was_asked_for_stands_at_its_head(make: Make, tmp_path: Path) -> None:
    screened = make([Shot(key="a.jpg", score=0.9)])
    job = replace(
        screened.job,
        options=replace(screened.job.options, name=EVIL, tags=("weekly", "phones")),
        counts=Counts(total=8, scored=1, reused=6, flagged=2, failed=1),
        policy={"max_fpr": 0.01, "threshold": 0.5},
    )
    page = report(screened, tmp_path / "report", job=job)
    for told in (EVIL, "weekly, phones", "for at most 1 % false alarms", "1 scored, 6 reused", "28.6% of those"):
        assert told in page.text
    assert not [tag for tag, attrs in page.tags if "onerror" in attrs]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.25, "4.2 s"), (59.99, "60.0 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_read_easily(seconds: float, text: str) -> None:
    assert duration_in_words(seconds, tenths=True) == text


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.5, 0.503, 0.999, 1.0])
@pytest.mark.parametrize("bins", [[0] * 50, [1] * 50, [5_000_000, *[3] * 49], [0] * 49 + [7]], ids=str)
def test_the_histogram_stays_inside_its_field(bins: list[int], threshold: float) -> None:
    drawn = histogram(bins, threshold)
    assert drawn.scored == sum(bins)
    for bar in drawn.bars:
        assert LEFT <= bar.x < bar.x + bar.width <= WIDTH - RIGHT + 1e-6 or bar.width <= 0
        assert TOP - 1e-6 <= bar.y <= HEIGHT - BOTTOM
        assert bar.y + bar.height == pytest.approx(HEIGHT - BOTTOM)
        assert bar.flagged == (bar.x >= drawn.threshold_x - 1e-6)
    assert 1 <= len(drawn.y_ticks) <= 7
    assert all(TOP - 1e-6 <= tick.at <= HEIGHT - BOTTOM + 1e-6 for tick in drawn.y_ticks)


def test_a_bar_with_the_threshold_inside_has_both_colours() -> None:
    drawn = histogram([0] * 25 + [8] + [0] * 24, 0.51)
    assert [bar.flagged for bar in drawn.bars] == [False, True]
    assert {bar.title for bar in drawn.bars} == {"score 0.50 to 0.52: 8 images"}


def test_a_few_flagged_among_millions_stay_visible() -> None:
    drawn = histogram([5_000_000] + [0] * 48 + [3], 0.5)
    assert drawn.log_scale
    assert [tick.label for tick in drawn.y_ticks] == ["0", "10", "1,000", "100 k"]
    assert drawn.bars[-1].height > 10
