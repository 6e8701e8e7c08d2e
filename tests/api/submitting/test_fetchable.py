"""Addresses that the registry is asked to fetch: what one must look like, and which hosts are allowed."""

from __future__ import annotations

import pytest

from api.submitting.fetchable import MAX_SHOWN, HostNotAllowedError, fetchable
from ledger.errors import InvalidFieldError

HOSTS = ("arxiv.org", "*.archive.example", "archive.example:8443", "127.0.0.1:8123", "[::1]:81")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://arxiv.org/pdf/2605.25619", "https://arxiv.org/pdf/2605.25619"),
        ("HTTPS://ArXiv.Org:443/Pdf?a=B#page=2", "https://arxiv.org/Pdf?a=B"),
        ("http://arxiv.org", "http://arxiv.org/"),
        ("https://one.two.archive.example/%41%20(x)/~y", "https://one.two.archive.example/%41%20(x)/~y"),
        ("https://archive.example:8443/a", "https://archive.example:8443/a"),
        ("http://127.0.0.1:8123/a", "http://127.0.0.1:8123/a"),
        ("http://[::1]:81/a", "http://[::1]:81/a"),
    ],
)
def test_an_address_is_taken_in_normal_form(given: str, meant: str) -> None:
    assert fetchable(given, HOSTS) == meant


@pytest.mark.parametrize(
    "url",
    [
        "https://archive.example/",
        "https://notarchive.example/",
        "https://arxiv.org.evil.example/",
        "https://export.arxiv.org/",
        "https://arxiv.org:8443/",
        "http://arxiv.org:443/",
        "http://127.0.0.1/",
        "http://127.0.0.2:8123/",
        "http://127.1:8123/",
        "http://2130706433:8123/",
        "http://0x7f000001:8123/",
        "http://localhost:8123/",
        "http://[::ffff:127.0.0.1]:81/",
        "http://[0:0:0:0:0:0:0:1]:81/",
        "http://169.254.169.254/latest/meta-data/",
        "https://xn--arxv-5pa.org/",
        "https://evil.example#@arxiv.org/",
        "https://evil.example?@arxiv.org/",
    ],
)
def test_an_address_on_another_host_or_port_is_refused_with_the_hosts_that_are_allowed(url: str) -> None:
    with pytest.raises(HostNotAllowedError) as refused:
        fetchable(url, HOSTS)
    assert "arxiv.org, *.archive.example" in refused.value.cure


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@arxiv.org/",
        "https://arxiv.org@evil.example/",
        "https://evil.example\\@arxiv.org/",
        "https://arxiv.org\\.evil.example/",
        "https:\\\\arxiv.org/",
        "https://arxiv.org%2eevil.example/",
        "https://arxiv.org%00.evil.example/",
        "https://arxiv.org./",
        "https://.archive.example/",
        "https://a..archive.example/",
        "https://-.archive.example/",
        "https://*.archive.example/",
        "https:///arxiv.org/",
        "https:/arxiv.org/",
        "https:arxiv.org",
        "//arxiv.org/",
        "arxiv.org",
        "ftp://arxiv.org/",
        "file:///etc/passwd",
        "gopher://arxiv.org/",
        "javascript:alert(1)",
        "data:text/html,x",
        "jar:https://arxiv.org!/",
        "https://arxiv.org:/",
        "https://arxiv.org:0/",
        "https://arxiv.org:65536/",
        "https://arxiv.org:443x/",
        "https://arxiv.org:443:443/",
        "https://arxiv.org:-1/",
        "https://arxiv.org:\u0664\u0664\u0663/",
        "https://[::1/",
        "https://[::1%25lo]:81/",
        "https://arxiv.org/%",
        "https://arxiv.org/%4",
        "https://arxiv.org/%zz",
        "https://arxiv.org/a b",
        "https://arxiv.org/\r\nHost: evil.example",
        "https://arxiv.org/\x00",
        'https://arxiv.org/"onload="x',
        "https://arxiv.org/<script>",
        "https://arxiv.org/\u202efdp",
        "https://arx\u0456v.org/",
        "https://arxiv\u3002org/",
        f"https://{'a.' * 130}archive.example/",
        f"https://{'a' * 64}.archive.example/",
        " https://arxiv.org/",
        "https://arxiv.org/\n",
        "",
    ],
)
def test_what_could_be_taken_for_another_address_is_none(url: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        fetchable(url, HOSTS)
    assert "secret" not in str(refused.value)


def test_nothing_is_allowed_where_no_host_is_listed() -> None:
    with pytest.raises(HostNotAllowedError):
        fetchable("https://arxiv.org/", ())


def test_a_refusal_names_some_hosts_and_not_hundreds() -> None:
    with pytest.raises(HostNotAllowedError) as refused:
        fetchable("https://arxiv.org/", [f"host{at}.example" for at in range(500)])
    assert refused.value.cure.count(".example") == MAX_SHOWN and "…" in refused.value.cure
