"""Every address that the API describes, asked with whatever its description allows, by two projects.

No answer is a server error, each fits its description, and nothing of one project is in any answer to the other: not in
a body, a header, an export, or a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from support.drawings import box_mask, png_of
from support.local_scorer import LocalScorer
from support.screened_jobs import MODEL, photo_bytes
from support.tiny_model import save_tiny_model

from jobs.domain import Decision, ImageKey, ImageRef, JobOptions, NewJob, NewReview, Verdict, VerdictRef
from jobs.domain.access import ProjectName, Scope
from jobs.domain.drawings import DrawingKind
from jobs.reviews.drawing_png import read_drawing
from jobs.shards.work_queue import WorkQueue
from jobs.storage import FolderStorage
from nclscreen.api import create_app
from nclscreen.project_wiring import ProjectWiring
from nclscreen.settings import Settings
from nclscreen.wiring import Wiring

SECRET = "SECRETOFTHEOTHER"
DRAWING = read_drawing(DrawingKind.MASK, png_of(box_mask(96, 64)), (96, 64))
#: it goes on for ever, and has tests of its own
_ENDLESS = "/events"
_EXAMPLES = 12


@pytest.fixture(scope="module")
def wiring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiring]:
    folder = tmp_path_factory.mktemp("whole")
    patch = pytest.MonkeyPatch()
    patch.setenv("NCLSCREEN_HOME", str(folder / "home"))
    patch.setenv("NCLSCREEN_WEIGHTS", str(save_tiny_model(folder / "tiny.safetensors")))
    patch.setenv("NCLSCREEN_API_RATE", "100000")
    found = Wiring(Settings())
    for name in ("mine", "theirs"):
        found.projects.create(name)
        screened(found, ProjectName(name), folder / name)
    yield found
    found.engine.dispose()
    found.decoder.close()
    patch.undo()


def screened(wiring: Wiring, project: ProjectName, folder: Path) -> None:
    """A job with one flagged and reviewed image, and one that failed; those of the other project are marked."""
    mark = SECRET if project == "theirs" else "mine"
    seen = ProjectWiring(wiring, wiring.projects.get(project))
    folder.mkdir()
    storage = FolderStorage((folder / mark).as_uri())
    (folder / mark).mkdir()
    key = ImageKey(f"{mark}.jpg")
    storage.write(key, photo_bytes(), content_type="image/jpeg")
    options = JobOptions(name=mark, tags=(mark,))
    job_id = seen.jobs.submit(NewJob(source=str(folder / mark), model=MODEL, threshold=0.5, options=options))
    preparation = seen.jobs.claim_preparation(60, job_id)
    assert preparation is not None
    entry = ImageRef(container=storage.container, key=key, case=mark)
    seen.jobs.extend_preparation(preparation, 60, shard=[entry], first_ordinal=0)
    seen.jobs.finish_preparation(preparation, ignored=0)
    queue = WorkQueue(wiring.engine, "tests")
    (lease,) = queue.claim(1, 60, fingerprints=[MODEL.fingerprint], job_id=job_id)
    verdict = Verdict(
        ordinal=0,
        container=storage.container,
        key=key,
        score=0.9,
        flagged=True,
        tampered_areas=(0.5,) * 16,
        signals={"software": mark},
        width=96,
        height=64,
        sha256=("ab" if mark == SECRET else "cd") * 32,
        fingerprint=MODEL.fingerprint,
    )
    queue.finish(lease, [verdict])
    seen.jobs.complete(job_id)
    found = seen.verdicts.at(VerdictRef(job_id=job_id, ordinal=0))
    wiring.reviews.add(found, NewReview(decision=Decision.CONFIRMED, reviewer=mark, note=mark, drawing=DRAWING))
    wiring.audits.draw(seen.jobs.get(job_id), size=10, seed=0, drawn_by=mark)
    wiring.review_leases.take(job_id, [0], f"desk {mark}", mark)


@pytest.fixture(scope="module")
def operations(wiring: Wiring) -> list[Any]:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(wiring, scorer=LocalScorer(wiring)))
    found = [each.ok() for each in schema.get_all_operations()]
    assert len(found) > 40
    return [each for each in found if not each.path.endswith(_ENDLESS)]


def test_nothing_is_a_server_error_and_nothing_of_the_others_appears(wiring: Wiring, operations: list[Any]) -> None:
    _, text = wiring.keys.create(ProjectName("mine"), "ann", [Scope.ADMIN])
    header = {"Authorization": f"Bearer {text.text}"}
    jobs = {project: job.id for job in wiring.jobs.latest() for project in [job.project]}
    statuses: set[int] = set()
    asked = 0
    for operation in operations:
        if operation.path.startswith("/v1/keys") and operation.method.upper() == "DELETE":
            continue  # it would shut itself out

        @seed(1)
        @settings(max_examples=_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), whose=st.sampled_from(["mine", "theirs", "nobody's"]))
        def ask(case: Any, whose: str) -> None:
            nonlocal asked
            if "job_id" in (case.path_parameters or {}) and whose in jobs:
                case.path_parameters["job_id"] = jobs[ProjectName(whose)]
                if "ordinal" in case.path_parameters:
                    case.path_parameters["ordinal"] = 0
            answer = case.call(headers=header)
            asked += 1
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
            told = repr(answer.headers) + answer.content.decode("utf-8", "replace")
            assert SECRET not in told, (case.as_curl_command(), told[:500])
            if whose == "theirs" and "job_id" in (case.path_parameters or {}):
                assert answer.status_code in (404, 422), (case.as_curl_command(), answer.status_code)

        ask()
    assert asked > 300
    assert {200, 201, 404, 422} <= statuses, "some were answered, and some were refused"


def test_the_marks_would_be_found(wiring: Wiring) -> None:
    """Of the test above: whoever owns them does see them."""
    from starlette.testclient import TestClient

    _, text = wiring.keys.create(ProjectName("theirs"), "bob", [Scope.ADMIN])
    client = TestClient(create_app(wiring), headers={"Authorization": f"Bearer {text.text}"})
    (job,) = client.get("/v1/jobs").json()["data"]
    place = f"/v1/jobs/{job['id']}"
    for path in (
        "/v1/jobs",
        "/v1/verdicts?flagged=true",
        "/v1/verdicts/export?format=csv&flagged=true",
        f"{place}/cases",
        f"{place}/verdicts/0",
        f"{place}/verdicts/0/reviews",
        f"{place}/reviews",
        f"{place}/audit",
        f"{place}/review-leases",
    ):
        assert SECRET in client.get(path).text, path
    assert client.get(f"{place}/verdicts/0/photograph").status_code == 200
    assert client.get(f"{place}/verdicts/0/drawing").content == DRAWING.png
