"""Where the broker may send: no request of a client makes it speak to the inside of the network (server-side request forgery).

Endpoints of subscriptions, context sources and remote @contexts are addresses that clients choose. A private, loopback or otherwise
inner network is refused unless the operator has allowed it; names are checked again when the connection is made, at the addresses
that they then have.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from kiban.base.errors import KibanError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# What ipaddress calls global although it leads inside: shared address space of carriers, 6to4 and NAT64 around an inner address,
# benchmarks, documentation, site-local.
_INNER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/3", "100::/64", "2001:db8::/32", "2001::/23", "fec0::/10", "ff00::/8"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?\Z")
_BAD = re.compile(r"[\x00-\x20\x7f\\<>\"{}|^`]")


class GuardError(KibanError):
    """An address that the broker does not speak to."""

    status = 400


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, compatible, 6to4, NAT64, Teredo), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0 and int(address) > 1:
            inner = ipaddress.IPv4Address(int(address))
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return inner
        if address.scope_id is not None:
            return ipaddress.IPv6Address(int(address))
    return address


class Guard:
    """Decides which addresses may be spoken to.

    Parameters
    ----------
    networks  inner networks that are allowed
    hosts     host names that are allowed whatever their address is: in full, or *.example.jp for all below one

    >>> guard = Guard.of(loopback=False, allow=["10.1.0.0/16", "*.town.example.jp"])
    >>> guard.allows("10.1.2.3"), guard.allows("10.2.0.1"), guard.allows("8.8.8.8"), guard.allows("::ffff:169.254.169.254")
    (True, False, True, False)
    """

    def __init__(self, networks: Iterable[Network] = (), hosts: Iterable[str] = ()) -> None:
        self.networks = tuple(networks)
        names = [host.lower().rstrip(".") for host in hosts]
        self.hosts = frozenset(name for name in names if not name.startswith("*."))
        self.domains = tuple(name[1:] for name in names if name.startswith("*."))

    @classmethod
    def of(cls, *, loopback: bool, allow: Iterable[str] = ()) -> Guard:
        """The guard of a broker; loopback: it is reached from this machine only, so it may answer to this machine.

        allow  networks (10.1.0.0/16), addresses, host names, *.domain. Raises KibanError for anything else.
        """
        networks, hosts = list(LOOPBACK) if loopback else [], ["localhost"] if loopback else []
        for text in allow:
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError:
                if not _HOST.match(text.removeprefix("*.")) or re.fullmatch(r"[0-9.]+(/.*)?", text) or "/" in text:
                    fits = "a network such as 10.1.0.0/16, an address, a host name, or *.example.jp"
                    raise KibanError("--allow-endpoint", repr(text), fits, "write the network with no bits behind its prefix") from None
                hosts.append(text)
        return cls(networks, hosts)

    def allows(self, address: str | Address) -> bool:
        """Whether an IP address may be spoken to. Raises ValueError for what is none."""
        found = _embedded(ipaddress.ip_address(address) if isinstance(address, str) else address)
        if any(found in network for network in self.networks):
            return True
        return found.is_global and not found.is_multicast and not any(found in network for network in _INNER)

    def named(self, host: str) -> bool:
        """Whether the operator has allowed this host by its name."""
        host = host.lower().rstrip(".")
        return host in self.hosts or host.endswith(self.domains)

    def check_address(self, address: str | Address) -> None:
        """Raises GuardError for an IP address that may not be spoken to."""
        if not self.allows(address):
            raise GuardError("address", str(address), "an address outside of inner networks", "--allow-endpoint lets the operator allow it")

    def check_url(self, url: str, schemes: Iterable[str] = ("http", "https", "mqtt", "mqtts")) -> tuple[str, str, int]:
        """Scheme, host and port of an address that may be spoken to, as far as it can be told before the name is looked up.

        Raises GuardError: another scheme, a user name in it (outside mqtt), no port that can be, a refused literal address.

        >>> Guard().check_url("https://example.org/notify")
        ('https', 'example.org', 443)
        >>> Guard().check_url("http://169.254.169.254/latest")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        kiban.linkage.broker.guard.GuardError: address: found 169.254.169.254; expected an address outside of inner networks...
        """
        if _BAD.search(url) or len(url) > 4096:
            raise GuardError("address", repr(url[:100]), "a URI without spaces and control characters, at most 4,096 long")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise GuardError("address", str(error), "a host and a port from 1 to 65535") from None
        if parts.scheme not in schemes:
            raise GuardError("address", f"the scheme {parts.scheme!r}", ", ".join(schemes))
        if not host:
            raise GuardError("address", "no host", f"{parts.scheme}://host/…")
        if port == 0:
            raise GuardError("address", "port 0", "a port from 1 to 65535")
        if parts.scheme in ("http", "https") and (parts.username is not None or parts.password is not None):
            raise GuardError("address", "a user name or password in the address", "a host alone", "send credentials as a header (receiverInfo)")
        literal = self.literal(host)
        if literal is not None:
            self.check_address(literal)
        elif not _HOST.match(host) and not host.isascii():
            raise GuardError("address", f"the host {host!r}", "its ASCII form (xn--…)")
        elif not _HOST.match(host):
            raise GuardError("address", f"the host {host!r}", "a host name or an IP address")
        elif (host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost")) and not self.named(host):
            self.check_address("127.0.0.1")
        return parts.scheme, host, port or PORTS[parts.scheme]

    @staticmethod
    def literal(host: str) -> Address | None:
        """The IP address that a host is written as, None for a name. Also the old forms that the system would take: 0x7f.1, 2130706433.

        >>> Guard.literal("2130706433"), Guard.literal("0x7f.1"), Guard.literal("example.org")
        (IPv4Address('127.0.0.1'), IPv4Address('127.0.0.1'), None)
        """
        try:
            return ipaddress.ip_address(host)
        except ValueError:
            pass
        if re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}\.?", host, re.IGNORECASE):
            try:
                return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
            except OSError:
                return ipaddress.IPv4Address(0)  # numbers that are no address: refused
        return None
