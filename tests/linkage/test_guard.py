"""Where the broker may send: inner networks are refused in whatever clothes, also when a name changes its mind."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import KibanError
from kiban.linkage.broker.guard import Guard, GuardError
from kiban.linkage.broker.posting import Refused, Resolver, addresses

CLOSED = Guard.of(loopback=False)
LOCAL = Guard.of(loopback=True)

INNER = [
    *("127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "192.0.0.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1"),
]
OUTER = ["8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:200::1"]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused(address):
    assert not CLOSED.allows(address)
    with pytest.raises(GuardError):
        CLOSED.check_address(address)


@pytest.mark.parametrize("address", OUTER)
def test_outer_addresses_are_allowed(address):
    CLOSED.check_address(address)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_an_address_is_the_same_in_each_of_its_forms(address):
    allowed = CLOSED.allows(address)
    assert CLOSED.allows(f"::ffff:{address}") == allowed
    assert CLOSED.allows(ipaddress.IPv6Address((0x64FF9B << 96) | int(address))) == allowed
    assert CLOSED.allows(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))) == allowed
    for text in (str(int(address)), hex(int(address)), ".".join(f"0{part:o}" for part in address.packed)):
        assert Guard.literal(text) == address
    if not address.is_global:
        assert not allowed


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1:8080/x", "http://127.1/", "http://[::1]/", "http://[::ffff:7f00:1]/"),
        *("http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "https://169.254.169.254/latest/meta-data", "mqtt://10.0.0.1/topic"),
        *("ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "//example.org/", "example.org", "", "http://", "http:///x", "http://:80/"),
        *("http://user:secret@example.org/", "http://example.org@10.0.0.1/", "http://example.org:0/", "http://example.org:70000/", "http://example.org:x/"),
        *(
            "http://exa mple.org/",
            "http://example.org/\r\nHost: x",
            "http://example.org\\@10.0.0.1/",
            "http://１２７.0.0.1/",
            "http://ⓔxample.org/",
            "http://-x.org/",
        ),
        *("http://999.999.999.999/", "http://[fe80::1%25eth0]/", "http://[::1/", "http://a..b/", "http://0/"),
    ],
)
def test_addresses_that_lead_inside_or_nowhere_are_refused(url):
    with pytest.raises(GuardError):
        CLOSED.check_url(url)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://example.org", ("http", "example.org", 80)),
        ("https://example.org:8443/a?b=c#d", ("https", "example.org", 8443)),
        ("mqtt://user:secret@example.org/topic", ("mqtt", "example.org", 1883)),
        ("mqtts://example.org", ("mqtts", "example.org", 8883)),
        ("HTTP://EXAMPLE.org/", ("http", "example.org", 80)),
        ("http://[2606:4700:4700::1111]:81/", ("http", "2606:4700:4700::1111", 81)),
        ("http://xn--wgv71a.example/", ("http", "xn--wgv71a.example", 80)),
        ("http://under_score.example/", ("http", "under_score.example", 80)),
    ],
)
def test_other_addresses_are_taken_apart(url, found):
    assert CLOSED.check_url(url) == found


def test_a_scheme_can_be_left_out_of_what_is_accepted():
    with pytest.raises(GuardError):
        CLOSED.check_url("mqtt://example.org/", ("http", "https"))


def test_a_broker_on_loopback_may_speak_to_loopback_and_nothing_else_inside():
    assert LOCAL.check_url("http://localhost:9000/notify") == ("http", "localhost", 9000)
    assert LOCAL.check_url("http://127.0.0.1:9000/") == ("http", "127.0.0.1", 9000)
    LOCAL.check_address("::1")
    for address in ("10.0.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0"):
        assert not LOCAL.allows(address)


def test_the_operator_allows_networks_addresses_and_names():
    guard = Guard.of(loopback=False, allow=["10.1.0.0/16", "192.168.7.7", "fd00:1::/32", "sensor.example", "*.town.example"])
    assert [guard.allows(address) for address in ("10.1.9.9", "10.2.0.1", "192.168.7.7", "192.168.7.8", "fd00:1::5", "fd00:2::5", "::ffff:10.1.0.1")] == [
        *(True, False, True, False, True, False, True)
    ]
    assert [guard.named(host) for host in ("sensor.example", "SENSOR.example.", "a.town.example", "town.example", "xsensor.example", "eviltown.example")] == [
        *(True, True, True, False, False, False)
    ]


@pytest.mark.parametrize("text", ["10.1.0.1/16", "300.1.1.1", "http://x/", "*", "a b", "", "*.*", "10.0.0.0/33"])
def test_what_is_neither_network_nor_name_stops_the_start(text):
    with pytest.raises(KibanError, match="--allow-endpoint"):
        Guard.of(loopback=False, allow=[text])


def looking_up(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Each look-up of a name gives the next list of addresses, the last one for ever."""
    waiting = list(answers)

    def getaddrinfo(_host: object, port: int, *_args: object, **_options: object) -> list[tuple]:
        addresses = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port, 0, 0) if ":" in each else (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_that_leads_inside_when_it_is_used_is_refused(monkeypatch):
    looking_up(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])

    async def run() -> None:
        resolver = Resolver(CLOSED)
        assert [each["host"] for each in await resolver.resolve("rebind.example", 80)] == ["93.184.216.34"]
        with pytest.raises(Refused, match="inner network"):
            await resolver.resolve("rebind.example", 80)

    asyncio.run(run())


def test_of_a_name_with_several_addresses_only_the_outer_ones_are_used(monkeypatch):
    looking_up(monkeypatch, ["10.0.0.1", "93.184.216.34", "::1"])

    async def run() -> None:
        assert [each["host"] for each in await Resolver(CLOSED).resolve("mixed.example", 80)] == ["93.184.216.34"]
        assert await addresses(CLOSED, "mixed.example", 1883) == ["93.184.216.34"]

    asyncio.run(run())


def test_a_name_that_the_operator_allows_may_lead_inside(monkeypatch):
    looking_up(monkeypatch, ["10.0.0.1"])
    guard = Guard.of(loopback=False, allow=["inner.example"])

    async def run() -> None:
        assert [each["host"] for each in await Resolver(guard).resolve("inner.example", 80)] == ["10.0.0.1"]
        assert await addresses(guard, "inner.example", 1883) == ["10.0.0.1"]
        with pytest.raises(Refused):
            await addresses(guard, "other.example", 1883)

    asyncio.run(run())


def test_an_address_is_refused_in_every_way_to_write_it():
    async def run() -> None:
        assert await addresses(CLOSED, "8.8.8.8", 1883) == ["8.8.8.8"]
        for host in ("127.0.0.1", "0x7f.1", "2130706433", "127.1", "0177.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"):
            with pytest.raises(Refused):
                await addresses(CLOSED, host, 1883)

    asyncio.run(run())
