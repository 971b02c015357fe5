"""One function masks secrets, in whatever form they come; and leaves alone what is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.masking import forget_secrets, know_secrets, masked, secrets_in

SECRET = "hunter2-very-secret"


@pytest.fixture(autouse=True)
def none_known() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


FORMS = [
    f"postgresql://user:{SECRET}@host/name",
    f"postgresql+psycopg://user:{SECRET}@host:5432/name?sslmode=require",
    f"postgres://user:p@ss-{SECRET}@host/name",
    f"postgresql://user:a/b-{SECRET}@host/name",
    f"postgresql://host/name?user=me&password={SECRET}",
    f"postgresql://host/name?password={SECRET}&sslmode=require",
    f"postgresql://host/name?sslpassword={SECRET}",
    f"postgresql://:{SECRET}@host/name",
    f"host=db user=me password={SECRET} dbname=x",
    f"host=db password='{SECRET} with space' dbname=x",
    f"s3://AKIAEXAMPLE:{SECRET}@bucket/prefix",
    f"s3://AKIAEXAMPLE:wJal/rXU+tn{SECRET}@bucket/prefix",
    f"https://user:{SECRET}@hooks.example.org/x",
    f"https://hooks.example.org/x?token={SECRET}",
    f"https://bucket.s3.amazonaws.com/a.jpg?X-Amz-Signature={SECRET}&X-Amz-Expires=60",
    f"https://bucket.s3.amazonaws.com/a.jpg?X-Amz-Security-Token={SECRET}",
    f"https://account.blob.core.windows.net/a?sv=2020&sig={SECRET}",
    f"AWS_SECRET_ACCESS_KEY={SECRET}",
    f"NCLSCREEN_WEBHOOK_SECRET=whsec_{SECRET}",
    f"signed with whsec_{SECRET}",
    f'{{"aws_secret_access_key": "{SECRET}"}}',
    f"aws_session_token = {SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"api_key: {SECRET}",
    f"redis://:{SECRET}@cache:6379/0",
]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("around", ["{}", "cannot use '{}': no such host", 'database "{}", schema is current', "({})"])
def test_a_secret_is_masked(text: str, around: str) -> None:
    shown = masked(around.format(text))
    assert SECRET not in shown
    assert "***" in shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user@host/name",
        "sqlite:////home/me/.nclscreen/nclscreen.sqlite",
        "s3://archive/2026/05/a:b@c.jpg",
        "s3://archive/who?token.jpg",
        "file:///photos/me@home/12:30.jpg",
        "https://host:8080/path/@me",
        "https://hooks.example.org/x?job=1m7yxf33cw6dnp0t&page=2",
        "threshold 0.800, token-free, secretary.jpg",
        "the token is known: this is job 1m7yxf33cw6dnp0t",
        "cannot use the source: give a folder, a file or s3://bucket/prefix",
        "12:30:45 user: me, host: db",
        "etag=9e107d9d372bb6826bd81d3542a419d6",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert masked(text) == text


def test_known_secrets_are_masked_wherever_they_stand() -> None:
    know_secrets(secrets_in("postgresql://me:p%40ssword!@host/name", {"AWS_SECRET_ACCESS_KEY": "abc+def/ghi"}))
    for text in ("p@ssword!", "p%40ssword!", "abc+def/ghi", "abc%2Bdef%2Fghi"):
        assert masked(f"server said {text} twice: {text}") == "server said *** twice: ***"


def test_what_is_too_short_to_be_told_apart_is_not_searched_for() -> None:
    know_secrets(["a", "", None])
    assert masked("a banana") == "a banana"
