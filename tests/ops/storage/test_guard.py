from __future__ import annotations

import pytest

from ledger.errors import ServiceUnavailableError, UsageError
from ops.services import Fetched
from ops.storage.guard import AddressRefusedError, Guard, listed_host

PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1:248:1893:25c8:1946"


def leading_to(*addresses: str, networks: tuple[str, ...] = ()) -> Guard:
    return Guard(["site.example"], networks, lambda _host, _port: addresses)


def refusal(guard: Guard, url: str) -> str:
    with pytest.raises(AddressRefusedError) as caught:
        guard.check(url)
    return caught.value.message


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("site.example", "https://site.example/a.pdf"),
        ("site.example", "http://site.example/a.pdf"),
        ("site.example", "HTTPS://SITE.Example:443/a.pdf"),
        ("SITE.example", "https://site.example/?q=a@b"),
        ("*.site.example", "https://www.site.example/"),
        ("*.site.example", "https://a.b.site.example/"),
        ("site.example:8443", "https://site.example:8443/"),
        ("*.site.example:8080", "http://a.site.example:8080/"),
        ("xn--bcher-kva.example", "https://BÜCHER.example/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("[2001:db8::1]", "https://[2001:DB8::1]/"),
        ("2001:db8::1", "https://[2001:DB8::1]/"),
        ("[2001:db8::1]:8443", "https://[2001:DB8::1]:8443/"),
    ],
)
def test_a_listed_host_passes(pattern: str, url: str) -> None:
    assert Guard([pattern]).check(url).url


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("site.example", "https://www.site.example/"),
        ("site.example", "https://site.example.evil.example/"),
        ("site.example", "https://evilsite.example/"),
        ("*.site.example", "https://site.example/"),
        ("*.site.example", "https://evilsite.example/"),
        ("*.example", "https://10.0.0.1/"),
        ("site.example", "https://site.example:8443/"),
        ("site.example", "http://site.example:443/"),
        ("site.example", "https://site.example:80/"),
        ("site.example:8443", "https://site.example/"),
        ("site.example", "https://127.0.0.1/"),
        ("site.example", "https://ѕite.example/"),
        ("bücher.example", "https://b%C3%BCcher.example/"),
    ],
)
def test_a_host_or_port_that_is_not_listed_is_refused(pattern: str, url: str) -> None:
    assert refusal(Guard([pattern]), url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://site.example/",
        "file:///etc/passwd",
        "gopher://site.example/",
        "javascript:alert(1)",
        "//site.example/",
        "site.example/a",
        "https:///a",
        "https://",
        "",
        "https://user@site.example/",
        "https://user:secret@site.example/",
        "https://@site.example/",
        "https://site.example@evil.example/",
        "https://evil.example\\@site.example/",
        "https://site.example\\.evil.example/",
        "https://site.example/\\..\\a",
        "https://site.example./",
        "https://site.example../",
        "https://.site.example/",
        "https://site..example/",
        "https://-site.example/",
        "https://site.example:0/",
        "https://site.example:65536/",
        "https://site.example:4x/",
        "https://site.example\r\nhost: evil.example/",
        "https://site.example/\r\nx: y",
        "https://site.example/\x00",
        "https://site%00.example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://site.example/" + "a" * 2_000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    message = refusal(Guard(["site.example", "*.example", "evil.example"]), url)
    assert message.isprintable()


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "1.2.3.256",
    ],
)
def test_a_number_is_a_host_in_its_usual_form_only(host: str) -> None:
    # By its form: not for want of a listing.
    assert "nothing is fetched from" not in refusal(Guard(["site.example"]), f"http://{host}/")


def test_a_user_and_password_are_not_repeated() -> None:
    with pytest.raises(AddressRefusedError) as caught:
        Guard(["site.example"]).check("https://user:hunter2@site.example/")
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value.facts())


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6, f"64:ff9b::{PUBLIC}", "2002:5db8:d822::1"])
def test_a_public_address_is_connected_to(address: str) -> None:
    (found,) = leading_to(address).addresses("site.example", 443)
    assert str(found) in (address, "64:ff9b::5db8:d822")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "233.252.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        f"{PUBLIC_6}%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "100::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        f"64:ff9b:1::{PUBLIC}",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:5db8:d822::ffff:ffff",
        "2001:0:7f00:1::a247:27dd",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefusedError, match="not public"):
        leading_to(address).addresses("site.example", 80)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.7"):
        leading_to(PUBLIC, PUBLIC_6, "10.0.0.7").addresses("site.example", 80)


@pytest.mark.parametrize("answer", ["", "localhost", "127.1", "93.184.216.34:80"])
def test_a_resolver_that_answers_with_no_address_is_refused(answer: str) -> None:
    with pytest.raises(AddressRefusedError):
        leading_to(answer).addresses("site.example", 80)


def test_a_private_network_that_is_listed_is_allowed_and_its_neighbour_is_not() -> None:
    guard = leading_to("10.1.2.3", "::ffff:a01:204", networks=("10.1.0.0/16",))
    assert [str(address) for address in guard.addresses("site.example", 80)] == ["10.1.2.3", "::ffff:a01:204"]
    with pytest.raises(AddressRefusedError):
        leading_to("10.2.0.1", networks=("10.1.0.0/16",)).addresses("site.example", 80)


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "::", "ff02::1", "fe80::1%eth0"])
def test_no_list_of_networks_allows_what_is_nobodys_address(address: str) -> None:
    with pytest.raises(AddressRefusedError):
        leading_to(address, networks=("0.0.0.0/0", "::/0")).addresses("site.example", 80)


def test_a_name_without_address_may_have_one_later() -> None:
    def failing(_host: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(ServiceUnavailableError, match="Name or service not known"):
        Guard(["site.example"], resolve=failing).addresses("site.example", 80)
    with pytest.raises(ServiceUnavailableError):
        leading_to().addresses("site.example", 80)


@pytest.mark.parametrize(
    "pattern",
    ["*", "*.", "", "https://site.example", "site.example/a", "a@site.example", "*.*.example", "a b", "*.10.0.0.1"],
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        Guard([pattern])
    assert caught.value.place == "fetched.hosts"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "ten", "", "10.0.0.0/33"])
def test_a_network_that_cannot_be_meant_is_refused(network: str) -> None:
    with pytest.raises(UsageError) as caught:
        Guard([], [network])
    assert caught.value.place == "fetched.networks"


def test_the_hosts_of_configured_archives_are_listed_with_the_others() -> None:
    guard = Guard.of(Fetched(hosts=("site.example",)), "https://archive.example:8443/web", "http://[::1]:80/x")
    for url in ("https://site.example/", "https://archive.example:8443/web/1/x", "http://[::1]/y"):
        guard.check(url)
    assert refusal(guard, "https://archive.example/")
    assert listed_host("https://archive.example:8443/web") == "archive.example:8443"


def test_an_address_that_grows_too_long_as_it_is_asked_for_is_refused() -> None:
    guard = Guard(["site.example"])
    assert "longer than" in refusal(guard, "https://site.example/?" + '"' * 1_900)
    assert guard.check("https://site.example/?" + "x" * 1_900).url


def test_a_network_of_ones_own_is_told_apart() -> None:
    guard = leading_to(networks=("10.0.0.0/8",))
    assert guard.is_own("10.1.2.3")
    assert not any(guard.is_own(address) for address in (PUBLIC, "127.0.0.1", PUBLIC_6, "", "no address"))
