"""Notifications reach a real MQTT broker, and are delivered only when it has them."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kiban.linkage.broker.delivery import Answer
from kiban.linkage.broker.mqtt import MqttSender
from kiban.linkage.broker.outgoing import Request, Target


class Guard:
    def __init__(self, open: bool = True) -> None:
        self.open = open

    def named(self, _: str) -> bool:
        return self.open

    def allows(self, _: str) -> bool:
        return self.open


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A broker with a listener for everyone, one with names and passwords, and one with TLS."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder
        self.plain, self.named, self.tls = free_port(), free_port(), free_port()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        subprocess.run(
            [program.with_name("mosquitto_passwd").name, "-c", "-b", str(folder / "words"), "ann", "secret"],
            check=True,
            env={"PATH": "/usr/bin:/usr/sbin:/bin"},
        )
        (folder / "mosquitto.conf").write_text(
            f"per_listener_settings true\nuser root\nmax_packet_size 100000\n"
            f"listener {self.plain} 127.0.0.1\nallow_anonymous true\n"
            f"listener {self.named} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/words\n"
            f"listener {self.tls} 127.0.0.1\nallow_anonymous true\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([self.program, "-c", str(self.folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        for port in (self.plain, self.named, self.tls):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, "the broker did not start"
                    time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@pytest.fixture(scope="module")
def broker(mosquitto: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    running = Broker(mosquitto, tmp_path_factory.mktemp("mosquitto"))
    running.start()
    yield running
    running.stop()


class Listener:
    """A subscriber of another make."""

    def __init__(self, port: int, topic: str, user: str | None = None, password: str | None = None) -> None:
        self.got: list[tuple[str, int, Any]] = []
        self.ready = False
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(user, password)
        self.client.on_message = lambda _client, _data, message: self.got.append((message.topic, message.qos, msgspec.json.decode(message.payload)))
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(topic, qos=2)
        self.closing = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        end = time.monotonic() + 20
        while not self.ready:
            assert time.monotonic() < end, "no subscription"
            time.sleep(0.01)

    def listen(self) -> None:
        """The loop of the client by poll: its own is by select, which knows no descriptor above 1,023, and a long run of tests may have as many."""
        while not self.closing and (socket := self.client.socket()) is not None:
            waiting = select.poll()
            waiting.register(socket, select.POLLIN | (select.POLLOUT if self.client.want_write() else 0))
            for _, event in waiting.poll(50):
                if event & select.POLLOUT:
                    self.client.loop_write()
                if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    self.client.loop_read()
            self.client.loop_misc()

    def close(self) -> None:
        self.closing = True
        self.thread.join(5)
        self.client.disconnect()


def request(url: str, number: int = 0, **info: str) -> Request:
    target = Target(
        {
            "uri": url,
            "receiverInfo": [{"key": "X-Town", "value": "Suzu"}],
            "notifierInfo": [{"key": key.replace("_", "-"), "value": value} for key, value in info.items()],
        },
        "suzu",
        "https://town.example/c.jsonld",
    )
    return target.request(msgspec.json.encode({"type": "Notification", "data": [number]}), f"urn:n:{number}")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("version", ["mqtt3.1.1", "mqtt5.0"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_a_message_carries_metadata_and_body_at_the_asked_quality(broker: Broker, version: str, qos: str) -> None:
    topic = f"town/水位/{version}/{qos}"
    listener = Listener(broker.plain, topic)

    async def main() -> None:
        sender = MqttSender(Guard())
        url = f"mqtt://127.0.0.1:{broker.plain}/{topic}"
        answers = await asyncio.gather(*(sender.send(request(url, number, MQTT_Version=version, MQTT_QoS=qos), 1, 10) for number in range(300)))
        assert answers == [Answer(200)] * 300
        await until(lambda: len(listener.got) == 300)
        await sender.close()

    run(main())
    listener.close()
    assert [got[2]["body"]["data"] for got in listener.got] == [[number] for number in range(300)]
    assert {(got[0], got[1]) for got in listener.got} == {(topic, int(qos))}
    assert listener.got[7][2] == {
        "metadata": {
            "Content-Type": "application/json",
            "NGSILD-Tenant": "suzu",
            "Link": '<https://town.example/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"',
            "X-Town": "Suzu",
            "Kiban-Notification-Id": "urn:n:7",
            "Kiban-Delivery-Attempt": "1",
        },
        "body": {"type": "Notification", "data": [7]},
    }


@pytest.mark.parametrize("version", ["mqtt3.1.1", "mqtt5.0"])
def test_name_and_password_come_from_the_url_and_a_wrong_one_is_refused(broker: Broker, version: str) -> None:
    listener = Listener(broker.named, "t", "ann", "secret")

    async def main() -> None:
        sender = MqttSender(Guard())
        for name, refused in [("ann:secret@", False), ("ann:wrong@", True), ("", True)]:
            answer = await sender.send(request(f"mqtt://{name}127.0.0.1:{broker.named}/t", MQTT_Version=version, MQTT_QoS="1"), 1, 10)
            assert (answer.status, answer.refused) == ((0, True) if refused else (200, False))
            assert "secret" not in answer.error
            assert "wrong" not in answer.error
        await until(lambda: len(listener.got) == 1)
        await sender.close()

    run(main())
    listener.close()


def test_the_certificate_of_the_broker_is_checked_against_its_name(broker: Broker) -> None:
    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(broker.folder / "cert.pem"))
        for tls, host, status in [(trusting, "localhost", 200), (trusting, "127.0.0.1", 0), (None, "localhost", 0)]:
            sender = MqttSender(Guard(), tls=tls)
            answer = await sender.send(request(f"mqtts://{host}:{broker.tls}/t", MQTT_QoS="1"), 1, 10)
            assert answer.status == status, answer
            assert status or "certificate" in answer.error.lower()
            await sender.close()

    run(main())


def test_a_broker_that_was_killed_is_reached_again(mosquitto: Path, tmp_path: Path) -> None:
    broker = Broker(mosquitto, tmp_path)
    broker.start()

    async def main() -> None:
        sender = MqttSender(Guard())
        ask = request(f"mqtt://127.0.0.1:{broker.plain}/t", MQTT_QoS="1")
        assert (await sender.send(ask, 1, 10)).status == 200
        broker.stop()
        answer = await sender.send(ask, 2, 10)
        assert (answer.status, answer.refused) == (0, False)
        broker.start()
        assert (await sender.send(ask, 3, 10)).status == 200
        await sender.close()

    run(main())
    broker.stop()


def test_a_message_that_the_broker_refuses_fails_alone(broker: Broker) -> None:
    async def main() -> None:
        sender = MqttSender(Guard())
        url = f"mqtt://127.0.0.1:{broker.plain}/t"
        large = Target({"uri": url, "notifierInfo": [{"key": "MQTT-QoS", "value": 1}]}).request(msgspec.json.encode("x" * 200_000), "urn:n")
        assert (await sender.send(large, 1, 10)).status == 0
        assert (await sender.send(request(url, MQTT_QoS="1"), 1, 10)).status == 200
        await sender.close()

    run(main())


def test_a_listener_that_says_nothing_or_nonsense_is_left_after_its_time() -> None:
    async def main() -> None:
        for said in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\x20\x02\x00\x00"):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = said) -> None:
                writer.write(said)
                await reader.read()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            sender = MqttSender(Guard())
            answer = await sender.send(request(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}/t", MQTT_QoS="1"), 1, 0.2)
            assert answer.status == 0
            await sender.close()
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0.02)

    run(main())


def test_a_broker_that_the_guard_refuses_is_never_dialled() -> None:
    async def main() -> None:
        answer = await MqttSender(Guard(open=False)).send(request("mqtt://127.0.0.1:1/t"), 1, 5)
        assert answer.refused

    run(main())
