"""`jobs`, `flagged` and `show`: what is listed, how it is named, and that what is printed can be asked for."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.builders import FINGERPRINT, MODEL, entry, new_job, ready_job, scored
from support.screened_jobs import blob, photo_bytes

from jobs.domain import ImageRef, JobId, JobOptions, ModelRef, Verdict
from jobs.screening.heatmaps import encode_heatmap
from jobs.shards.recording import insert_verdicts
from jobs.shards.work_queue import WorkQueue
from jobs.sql.database import writing
from jobs.sql.rows import database_clock
from jobs.storage import FolderStorage
from nclscreen.cli import output
from nclscreen.cli.app import run
from nclscreen.wiring import Wiring

OTHER = ModelRef(name="other 2", fingerprint="cd" * 32)


def screened(wiring: Wiring, results: list[Verdict], **fields: object) -> JobId:
    """A finished job with these verdicts."""
    images = [ImageRef(container=v.container, key=v.key) for v in results]
    job_id = ready_job(wiring.engine, images, shard_size=len(images), **fields)
    model = fields.get("model", MODEL)
    assert isinstance(model, ModelRef)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[model.fingerprint], job_id=job_id)
    queue.finish(lease, results)
    wiring.jobs.complete(job_id)
    return job_id


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def two_places(wiring: Wiring, tmp_path: Path) -> JobId:
    """A list that names x.jpg in two folders: one photograph is dark, the other one bright."""
    results = []
    for ordinal, (name, seed) in enumerate((("dark", 0), ("bright", 255))):
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(np.full((32, 48, 3), seed, np.uint8)).save(folder / "x.jpg")
        image = entry("x.jpg", container=folder.as_uri())
        storage = FolderStorage(folder.as_uri())
        map_uri = storage.write(entry("x.png").key, encode_heatmap(blob(0.0)), content_type="image/png")
        results.append(scored(ordinal, image, 0.6 + ordinal / 10))
        results[-1] = Verdict(**{**_fields(results[-1]), "map_uri": map_uri, "sha256": None})
    return screened(wiring, results, source=str(tmp_path / "list.csv"))


def _fields(verdict: Verdict) -> dict[str, object]:
    return {name: getattr(verdict, name) for name in Verdict.__slots__}


def brightness(picture: Path) -> float:
    """Of the photograph, which is drawn at the left."""
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("L"))
    return float(pixels[pixels.shape[0] // 2, pixels.shape[1] // 4])


def test_what_flagged_prints_of_a_list_is_what_show_draws(
    two_places: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flagged", "--job", two_places]) == 0
    _, first, second = lines(capsys)
    addresses = [line.split()[-1] for line in (first, second)]
    assert addresses == [f"{(tmp_path / name).as_uri()}/x.jpg" for name in ("bright", "dark")]
    picture = tmp_path / "out.png"
    for said, bright in [
        (["--job", two_places, addresses[0]], True),
        ([addresses[1], "--job", two_places], False),
        (["1", "--job", two_places], True),
        ([f"{two_places}/0"], False),
    ]:
        assert run(["show", *said, "--out", str(picture)]) == 0
        assert (brightness(picture) > 128) is bright, said
    assert run(["show", f"{two_places}/1", "--out", str(picture), "--json"]) == 0
    capsys.readouterr()


def test_a_key_of_two_images_draws_neither(
    two_places: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "out.png"
    assert run(["show", "--job", two_places, "x.jpg", "--out", str(picture)]) == 1
    said = capsys.readouterr().err
    assert f"{two_places}/0" in said
    assert f"{two_places}/1" in said
    assert not picture.exists()
    assert run(["show", "x.jpg", "--out", str(picture)]) == 2
    assert "--job ID" in capsys.readouterr().err


def test_the_document_of_what_is_shown(two_places: JobId, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "out.png"
    assert run(["show", f"{two_places}/1", "--out", str(picture), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ref"], document["job"], document["ordinal"]) == (f"{two_places}/1", two_places, 1)
    assert document["picture"] == str(picture)


def test_flagged_goes_on_where_it_ended(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = screened(wiring, [scored(i, entry(f"{i}.jpg"), 0.6 + i / 100) for i in range(5)])
    seen: list[int] = []
    cursor: list[str] = []
    while True:
        assert run(["flagged", "--job", job_id, "--limit", "2", "--json", *cursor]) == 0
        document = json.loads(capsys.readouterr().out)
        seen += [image["ordinal"] for image in document["images"]]
        if document["next_cursor"] is None:
            break
        cursor = ["--cursor", document["next_cursor"]]
    assert seen == [4, 3, 2, 1, 0]
    assert run(["flagged", *cursor]) == 2
    assert "other filters" in capsys.readouterr().err
    assert run(["flagged", "--job", job_id, "--limit", "2"]) == 0
    assert "--cursor " in capsys.readouterr().err


def test_scores_of_two_models_do_not_meet_without_a_word(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    screened(wiring, [scored(0, entry("a.jpg"), 0.6)])
    assert run(["flagged"]) == 0
    assert capsys.readouterr().err == ""
    other = screened(wiring, [scored(0, entry("b.jpg"), 0.7)], model=OTHER)
    assert run(["flagged"]) == 0
    shown = capsys.readouterr()
    assert f"other 2 ({'cd' * 6})" in shown.err
    assert FINGERPRINT[:12] in shown.err
    assert [line.split()[2:] for line in shown.out.splitlines()[1:]] == [
        [f"{other}/0", "other", "2", "s3://photos/b.jpg"],
        [*shown.out.splitlines()[2].split()[2:3], "memory", "1", "s3://photos/a.jpg"],
    ]
    for alone in (["--model", "other 2"], ["--model", OTHER.fingerprint[:8]], ["--job", other]):
        assert run(["flagged", *alone, "--json"]) == 0
        shown = capsys.readouterr()
        assert [image["model"] for image in json.loads(shown.out)["images"]] == ["other 2"]
        assert shown.err == ""


def test_where_nothing_is_flagged_that_is_said(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flagged"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "no image is flagged\n")
    screened(wiring, [scored(0, entry("a.jpg"), 0.6)])
    assert run(["flagged", "--model", "tiny"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "no flagged image is like that; 'flagged' without filters lists all\n")
    assert run(["flagged", "--model", "tiny", "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["images"], said.err) == ([], "")


def test_scores_read_as_they_do_in_documents(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    # cut from the score itself it was 0.728, and 0.729 to whoever asked over HTTP
    screened(wiring, [scored(0, entry("a.jpg"), 0.72849)])
    assert run(["flagged", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert run(["flagged"]) == 0
    assert lines(capsys)[1].split()[0] == f"{image['score']:.3f}" == "0.729"


def test_one_long_key_makes_no_other_line_longer(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    long = "k" * 900 + ".jpg"
    screened(wiring, [scored(0, entry("a.jpg"), 0.6), scored(1, entry(long), 0.7)], source="s3://" + "b" * 60)
    for command in (["flagged"], ["jobs"]):
        assert run(command) == 0
        assert min(map(len, lines(capsys))) < 150


def test_everything_is_listed_in_flat_memory(
    wiring: Wiring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = wiring.jobs.submit(new_job())
    with writing(wiring.engine) as connection:
        results = [scored(i, entry(f"{i:06d}.jpg"), 0.9) for i in range(12_000)]
        insert_verdicts(connection, job_id, results, database_clock)
    written = 0

    def count(line: str, **how: object) -> None:
        nonlocal written
        written += 1

    monkeypatch.setattr(output.out, "print", count)

    def peak_bytes(limit: int) -> int:
        tracemalloc.start()
        try:
            assert run(["flagged", "--job", job_id, "--limit", str(limit)]) == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(10)
    assert peak_bytes(0) < 2 * peak_bytes(1500)
    assert written == 1 + 10 + 1 + 12_000 + 1 + 1500


def test_jobs_are_listed_with_name_tags_model_and_dates(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    first = screened(wiring, [scored(0, entry("a.jpg"))], options=JobOptions(name="claim 17", tags=("flood", "2026")))
    second = wiring.jobs.submit(new_job(model=OTHER))
    assert run(["jobs"]) == 0
    heading, newer, older = lines(capsys)
    columns = "job state waits images flagged failed submitted finished model name tags source"
    assert heading.split() == columns.split()  # "waits": nobody works on the second one
    assert newer.startswith(second)
    for text in (first, "completed", "1/1", "memory 1", "claim 17", "flood, 2026"):
        assert text in older
    assert [part for part in older.split() if part.startswith("20") and "-" in part]
    for filters, expected in [
        (["--model", "other 2"], [second]),
        (["--name", "CLAIM"], [first]),
        (["--submitted-after", "1h"], [second, first]),
        (["--submitted-before", "1h"], []),
    ]:
        assert run(["jobs", "--json", *filters]) == 0
        assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == expected
    assert run(["jobs", "--json", "--limit", "1"]) == 0
    cursor = json.loads(capsys.readouterr().out)["next_cursor"]
    assert run(["jobs", "--json", "--cursor", cursor]) == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == [first]
    assert run(["jobs", "--submitted-after", "soon"]) == 2


def test_a_photograph_that_changed_is_said_to_have(wiring: Wiring, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo_bytes())
    heatmap = FolderStorage(tmp_path.as_uri()).write(
        entry("a.png").key, encode_heatmap(blob(0.5)), content_type="image/png"
    )
    fields = _fields(scored(0, entry("a.jpg", container=tmp_path.as_uri()), 0.6)) | {"map_uri": heatmap}
    job_id = screened(wiring, [Verdict(**fields)])  # type: ignore[arg-type]
    assert run(["show", f"{job_id}/0", "--out", str(tmp_path / "changed.png")]) == 0
    with Image.open(tmp_path / "changed.png") as changed:
        tall = changed.height
    fields["sha256"] = None
    job_id = screened(wiring, [Verdict(**fields)])  # type: ignore[arg-type]
    assert run(["show", f"{job_id}/0", "--out", str(tmp_path / "same.png")]) == 0
    with Image.open(tmp_path / "same.png") as same:
        assert same.height < tall  # a line less


def test_cases_are_listed_the_most_suspect_first(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    images = [entry(f"{case}/1.jpg", case=case) for case in ("a", "b[x]\x1b")]
    job_id = ready_job(wiring.engine, images, shard_size=2)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[FINGERPRINT], job_id=job_id)
    queue.finish(lease, [scored(0, images[0], 0.3), scored(1, images[1], 0.9)])
    assert run(["cases", job_id]) == 0
    said = capsys.readouterr().out
    assert said.index("0.900") < said.index("b[x]") < said.index("0.300")
    assert "\x1b" not in said
    assert run(["cases", job_id, "--flagged", "--json"]) == 0
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert (case["case"], case["score"], case["unreviewed"]) == ("b[x]\x1b", 0.9, 1)
    assert run(["cases", job_id, "--limit", "1"]) == 0
    cursor = capsys.readouterr().err.split("--cursor ")[1].strip()
    assert run(["cases", job_id, "--limit", "1", "--cursor", cursor]) == 0
    assert "0.300" in capsys.readouterr().out
    assert run(["flagged", "--job", job_id, "--case", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == []
    assert run(["submit", "s3://x", "--case-from", "(a)"]) == 2
    assert "claims/(?P<case>[^/]+)/" in capsys.readouterr().err


def test_a_name_with_a_hidden_character_or_a_dash_first_is_drawn_as_it_is_printed(
    wiring: Wiring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for ordinal, name in enumerate(("a\nb.jpg", "-x.jpg")):
        (tmp_path / name).write_bytes(photo_bytes())
        storage = FolderStorage(tmp_path.as_uri())
        map_uri = storage.write(entry("m.png").key, encode_heatmap(blob(0.0)), content_type="image/png")
        found = scored(ordinal, entry(name, container=tmp_path.as_uri()), 0.9)
        results.append(Verdict(**{**_fields(found), "map_uri": map_uri, "sha256": None}))
    job_id = screened(wiring, results)
    assert run(["flagged", "--job", job_id]) == 0
    assert "a\\nb.jpg" in capsys.readouterr().out
    for said in (["a\\nb.jpg"], ["1"], ["--", "-x.jpg"]):
        picture = tmp_path / "out.png"
        assert run(["show", "--job", job_id, "--out", str(picture), *said]) == 0, said
        picture.unlink()
    assert run(["show", "--job", job_id, "-x.jpg", "--out", "k.png"]) == 2
    capsys.readouterr()
    assert run(["show", "--help"]) == 0
    assert "begins with a dash: by its number, or" in " ".join(capsys.readouterr().out.replace("│", " ").split())
