"""Which addresses may be told, what a secret has to be, and where requests never go."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from support.servers.webhook_receiver import WebhookReceiver

from jobs.webhooks.post import NotDelivered, post
from jobs.webhooks.signature import secret_bytes, signed_headers
from jobs.webhooks.urls import InvalidWebhook, check_webhook_url, is_forbidden_address
from nclscreen.surroundings import InvalidSettings, load_settings

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def test_the_example_of_the_specification() -> None:
    """From the Standard Webhooks reference libraries: key, message and signature."""
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "password", "whsec_" + base64.b64encode(b"k" * 23).decode(), "whsec_!!!!", SECRET[6:]]
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(
    secret: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="at least 24 random bytes"):
        secret_bytes(secret)
    if secret:
        monkeypatch.setenv("NCLSCREEN_WEBHOOK_SECRET", secret)
        with pytest.raises(InvalidSettings, match=r"NCLSCREEN_WEBHOOK_SECRET: .*openssl rand") as refused:
            load_settings()
        assert repr(secret) not in str(refused.value)


def test_settings_of_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCLSCREEN_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("NCLSCREEN_WEBHOOK_HOSTS", "Hooks.Example.org, other")
    settings = load_settings()
    assert settings.webhook_key == b"k" * 24
    assert settings.webhook_host_names == {"hooks.example.org", "other"}
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org/", "it must begin with https:// or http://"),
        ("example.org/hook", "it must begin with https:// or http://"),
        ("file:///etc/passwd", "it must begin with https:// or http://"),
        ("https:///hook", "there is no host in it"),
        ("https://example.org:99999/", "Port out of range"),
        ("https://example.org:0/", "there is no host in it"),
        ("https://user:secret@example.org/", "no passwords in addresses"),
        ("https://example.org/a b", "write spaces and other than ASCII characters as %XX"),
        ("https://example.org/\r\nx: y", "write spaces and other than ASCII characters as %XX"),
        ("https://exämple.org/", "write spaces and other than ASCII characters as %XX"),
        ("", "write spaces and other than ASCII characters as %XX"),
        ("http://169.254.169.254/latest/meta-data/", "no receiver may be at a link-local"),
        ("http://[fd00:ec2::254]/", "no receiver may be at a link-local"),
    ],
)
def test_addresses_that_are_none(url: str, reason: str) -> None:
    with pytest.raises(InvalidWebhook, match=reason) as refused:
        check_webhook_url(url)
    assert "secret@" not in str(refused.value)


def test_only_listed_hosts_where_there_is_a_list() -> None:
    assert check_webhook_url("https://Hooks.example.org/x", ["hooks.example.org"]).hostname == "hooks.example.org"
    with pytest.raises(InvalidWebhook, match=r"the host evil\.example is not one of NCLSCREEN_WEBHOOK_HOSTS"):
        check_webhook_url("https://evil.example/hooks.example.org", ["hooks.example.org"])


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("fd12::1", False),
        ("93.184.216.34", False),
        ("hooks.example.org", False),
    ],
)
def test_where_no_receiver_may_be(address: str, forbidden: bool) -> None:
    assert is_forbidden_address(address) is forbidden


def test_a_name_that_leads_to_a_forbidden_address_is_found_out_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = WebhookReceiver()
    try:
        monkeypatch.setattr("jobs.webhooks.post.is_forbidden_address", lambda address: address == "127.0.0.1")
        with pytest.raises(NotDelivered, match=r"is at 127\.0\.0\.1, where no receiver may be") as refused:
            post(receiver.url, b"{}", {}, timeout_s=5)
        assert refused.value.for_good
        assert receiver.heard == []
        post(receiver.url, b"{}", {}, timeout_s=5, hosts=["127.0.0.1"])  # listed: somebody meant it
        assert len(receiver.heard) == 1
    finally:
        receiver.close()
