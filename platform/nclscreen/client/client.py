"""Asks the API: one connection pool, typed answers, lists as they come."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import urllib3
from urllib3.util import Retry

from ncl_model.writing import replacing
from nclscreen.client.errors import ApiError, ApiUnreachable
from nclscreen.client.records import Job, Review, Verdict, job_of, review_of, verdict_of

Decision = Literal["confirmed", "rejected", "unsure"]
ExportKind = Literal["csv", "jsonl", "parquet", "coco", "masks"]
Picture = Literal["photograph", "heatmap", "overlay", "thumbnail"]

_PAGE = 500
_CHUNK = 1 << 16
#: what asks again by itself: nothing was done, or doing it twice is doing it once
_AGAIN = Retry(
    total=5, backoff_factor=0.5, status_forcelist=(429, 503), allowed_methods=("GET",), raise_on_status=False
)


class Client:
    """The API at one address. Thread-safe; use it in a `with`, or `close` it."""

    def __init__(self, address: str, key: str | None = None, *, timeout_s: float = 60.0) -> None:
        """`address`: such as http://127.0.0.1:8080. `key`: `ncl_...`, where keys are needed."""
        self._address = address.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10.0, read=timeout_s), retries=_AGAIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._pool.clear()

    def submit(self, source: str, *, token: str | None = None, **options: Any) -> Job:
        """Submit a job. With the same `token` and request once more, it is the same job.

        `options`: as `POST /v1/jobs` takes them: threshold, name, tags, case_from, ... Raises ApiError.
        """
        headers = {} if token is None else {"Idempotency-Key": token}
        return job_of(self._post("/v1/jobs", {"source": source, **options}, headers))

    def job(self, job_id: str) -> Job:
        """Raises ApiError (404)."""
        return job_of(self._get(f"/v1/jobs/{quote(job_id)}"))

    def jobs(self, **wanted: Any) -> Iterator[Job]:
        """Jobs, newest first; `wanted`: tag, state, name, model, ..."""
        return map(job_of, self._list("/v1/jobs", wanted))

    def tell(self, job_id: str, verb: Literal["confirm", "pause", "resume", "cancel"]) -> Job:
        """Tell a job what to do."""
        return job_of(self._post(f"/v1/jobs/{quote(job_id)}/{verb}", None))

    def wait(self, job_id: str, *, every_s: float = 2.0, told: Callable[[Job], None] = lambda job: None) -> Job:
        """Wait until the job is over; `told` hears how it stands now and then."""
        while not (job := self.job(job_id)).is_over:
            told(job)
            time.sleep(every_s)
        return job

    def verdicts(self, **wanted: Any) -> Iterator[Verdict]:
        """Verdicts, as many as there are, page by page: `job`, `flagged`, `min_score`, `prefix`, `case`, `review`."""
        return map(verdict_of, self._list("/v1/verdicts", wanted))

    def count(self, **wanted: Any) -> int:
        """How many verdicts pass the same filters."""
        found: int = self._get("/v1/verdicts", {**wanted, "limit": 1, "count": "exact"})["count"]
        return found

    def score(self, photograph: bytes, **asked: Any) -> dict[str, Any]:
        """Score a file's bytes at once: `threshold`, `max_fpr`, `heatmap`. Raises ApiError (429, 503: come again)."""
        with self._answer("POST", "/v1/score", asked, content=photograph) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def reflag(self, job_id: str, *, threshold: float | None = None, max_fpr: float | None = None) -> Job:
        """Have a job that is over flag from another score on. Raises ApiError."""
        return job_of(self._post(f"/v1/jobs/{quote(job_id)}/threshold", {"threshold": threshold, "max_fpr": max_fpr}))

    def verdict(self, ref: str) -> Verdict:
        """One verdict, by its reference "JOB/17". Raises ApiError (404)."""
        return verdict_of(self._get(_place(ref)))

    def picture(self, ref: str, kind: Picture = "overlay", *, side: int = 1024) -> bytes:
        """A JPEG, or a PNG for the heatmap alone. Raises ApiError."""
        with self._answer("GET", f"{_place(ref)}/{kind}", {"side": side}) as answer:
            return bytes(answer.read())

    def review(
        self,
        ref: str,
        decision: Decision,
        *,
        note: str | None = None,
        severity: int | None = None,
        blind: bool = False,
        reviewer: str | None = None,
        mask: bytes | None = None,
        scribbles: bytes | None = None,
    ) -> Review:
        """Say what an image is; nothing is overwritten. Raises ApiError, and ValueError for two drawings.

        `blind`: a second look, by somebody who has not seen the first decision. `reviewer`: none: the key's name.
        `mask`: with "confirmed": an 8-bit grey PNG of the photograph's shape, 255 = tampered, 0 = not. `scribbles`: or
        one where only some pixels are said: 255 = tampered, 128 = not, 0 = unknown.
        """
        said = {"decision": decision, "note": note, "severity": severity, "blind": blind, "reviewer": reviewer}
        drawn = {"drawing": _drawing(mask, scribbles)}
        return review_of(self._post(f"{_place(ref)}/reviews", said | drawn))

    def drawing(self, ref: str) -> bytes:
        """The drawing of an image that holds, as PNG. Raises ApiError (404: there is none)."""
        with self._answer("GET", f"{_place(ref)}/drawing") as answer:
            return bytes(answer.read())

    def lease(self, job_id: str, count: int = 1, *, reviewer: str | None = None, **wanted: Any) -> list[Verdict]:
        """Be given images of a job that nobody else looks at; asked again, it keeps them. `wanted`: see `verdicts`."""
        asked = {"count": count, "reviewer": reviewer, "filter": wanted}
        return [verdict_of(each) for each in self._post(_leases(job_id), asked)["data"]]

    def release(self, job_id: str, *, reviewer: str | None = None) -> int:
        """Give all images of a job back that one was given; how many they were."""
        with self._answer("DELETE", _leases(job_id), {"reviewer": reviewer}) as answer:
            return int(json.loads(answer.read())["released"])

    def draw_audit(self, job_id: str, size: int = 200, seed: int = 0) -> dict[str, Any]:
        """Draw a sample of a job that is over: `verdicts(job=..., audit=...)` has its images. Raises ApiError."""
        found: dict[str, Any] = self._post(f"/v1/jobs/{quote(job_id)}/audit", {"size": size, "seed": seed})
        return found

    def audit(self, job_id: str) -> dict[str, Any]:
        """What the last sample of a job says: `precision`, `missed_rate`, `missed_share`. Raises ApiError (404)."""
        found: dict[str, Any] = self._get(f"/v1/jobs/{quote(job_id)}/audit")
        return found

    def undo_review(self, ref: str) -> Review:
        """Take the last decision back. Raises ApiError (409) where there is none."""
        return review_of(self._post(f"{_place(ref)}/reviews/undo", {}))

    def reviews(self, ref: str) -> list[Review]:
        """All that was said of an image, the first word first."""
        return [review_of(each) for each in self._get(f"{_place(ref)}/reviews")["data"]]

    def export(self, out: Path, *, kind: ExportKind, **wanted: Any) -> int:
        """Write verdicts to a file, whole or not at all; gives its bytes. Raises ApiError, OSError."""
        try:
            with (
                self._answer("GET", "/v1/verdicts/export", {**wanted, "format": kind}) as answer,
                replacing(out) as partial,
                partial.open("wb") as file,
            ):
                for part in answer.stream(_CHUNK):
                    file.write(part)
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnreachable(f"{self._address} broke off: {error}") from error
        return out.stat().st_size

    def _list(self, path: str, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        asked = {"limit": _PAGE, **wanted}
        while True:
            page = self._get(path, asked)
            yield from page["data"]
            if not page["has_more"]:
                return
            asked = {**asked, "cursor": page["next"]}

    def _get(self, path: str, asked: dict[str, Any] | None = None) -> Any:
        with self._answer("GET", path, asked) as answer:
            return json.loads(answer.read())

    def _post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        with self._answer("POST", path, body=body, headers=headers) as answer:
            return json.loads(answer.read())

    def _answer(
        self,
        method: str,
        path: str,
        asked: dict[str, Any] | None = None,
        *,
        body: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """An answer that is no refusal, to be read. Raises ApiError, ApiUnreachable."""
        fields = [(name, _word(value)) for name, value in (asked or {}).items() if value is not None]
        url = f"{self._address}{path}" + (f"?{urlencode(fields)}" if fields else "")
        sent, said = self._headers | (headers or {}), {} if body is None else {"json": body}
        if content is not None:
            said = {"body": content}
        try:
            answer = self._pool.request(method, url, headers=sent, **said, preload_content=False, redirect=False)
            if answer.status < 400:
                return answer
            problem = _problem(answer.read())
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnreachable(f"{self._address} does not answer: {error}") from error
        raise ApiError(answer.status, problem)


def _place(ref: str) -> str:
    """Of "JOB/17". Raises ValueError."""
    job_id, slash, ordinal = ref.partition("/")
    if not slash or not ordinal.isdigit():
        raise ValueError(f"{ref!r} is no reference; write JOB/NUMBER")
    return f"/v1/jobs/{quote(job_id)}/verdicts/{ordinal}"


def _drawing(mask: bytes | None, scribbles: bytes | None) -> dict[str, str] | None:
    if mask is not None and scribbles is not None:
        raise ValueError("a review has a mask or scribbles, not both")
    kind, png = ("mask", mask) if mask is not None else ("scribbles", scribbles)
    return None if png is None else {"kind": kind, "png": base64.b64encode(png).decode()}


def _leases(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id)}/review-leases"


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"detail": data[:200].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"detail": str(found)}
