"""Which addresses may hear of a job: the rules, without a network.

Whoever may submit a job makes the dispatcher send requests. Today that is the operator, whose receivers often are
inside the own network, so private addresses are allowed. Link-local ones are not: no receiver lives there, but the
credentials of cloud machines do (169.254.169.254). Where others submit, name the receivers: `webhook_hosts`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from jobs.errors import JobsError

_VISIBLE_ASCII = re.compile(r"[!-~]+")
#: AWS gives out credentials here too, on IPv6
_METADATA = ipaddress.ip_address("fd00:ec2::254")


class InvalidWebhook(JobsError):
    """A webhook address that cannot or may not be used."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"cannot use the webhook {url!r}: {reason}")


def check_webhook_url(url: str, hosts: Collection[str] = ()) -> SplitResult:
    """The parts of the address. `hosts`: the only ones allowed, in small letters; none mean all.

    Raises InvalidWebhook.
    """
    if not _VISIBLE_ASCII.fullmatch(url):
        raise InvalidWebhook(url, "write spaces and other than ASCII characters as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidWebhook(url, str(error)) from None
    if parts.scheme not in ("http", "https"):
        raise InvalidWebhook(url, "it must begin with https:// or http://")
    if not parts.hostname or port == 0:
        raise InvalidWebhook(url, "there is no host in it")
    if parts.username is not None or parts.password is not None:
        raise InvalidWebhook("https://...@" + parts.hostname, "no passwords in addresses: webhooks are signed instead")
    if hosts and parts.hostname.lower() not in hosts:
        raise InvalidWebhook(url, f"the host {parts.hostname} is not one of NCLSCREEN_WEBHOOK_HOSTS")
    # names are looked up only when something is sent
    if not hosts and is_forbidden_address(parts.hostname):
        raise InvalidWebhook(url, "no receiver may be at a link-local, multicast or unspecified address")
    return parts


def is_forbidden_address(host: str) -> bool:
    """Whether this is an IP address at which a host that nobody listed may not be; a name is none."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip == _METADATA
