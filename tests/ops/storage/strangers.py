"""Strangers to fetch from: real sockets that answer with the bytes a test gives, however wrong these are."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK: Final = ("127.0.0.0/8",)

Send = Callable[[bytes], None]
Script = Callable[[str, Send], None]
"""Is given the request's target and how to send; the connection closes when it returns."""


def reply(content: bytes = b"", status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """Return an answer as it goes over the wire; `length` may lie."""
    stated = f"content-length: {len(content) if length is None else length}"
    head = "\r\n".join((f"HTTP/1.1 {status} Whatever", "connection: close", stated, *headers))
    return head.encode() + b"\r\n\r\n" + content


def answering(content: bytes, status: int = 200, *headers: str, length: int | None = None) -> Script:
    return lambda _, send: send(reply(content, status, *headers, length=length))


@dataclass(slots=True)
class Stranger:
    """A server that follows a script; `asked` holds the targets that were asked for."""

    port: int
    asked: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def at(self, host: str, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def stranger(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Stranger]:
    """Serve on 127.0.0.1 for the length of a test."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Stranger(listening.getsockname()[1])
    accepting = threading.Thread(target=_accept, args=(listening, server, script, tls))
    accepting.start()
    try:
        yield server
    finally:
        server.stopped.set()
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listening.close()


def _accept(listening: socket.socket, server: Stranger, script: Script, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection = listening.accept()[0]
            threading.Thread(target=_serve, args=(connection, server, script, tls), daemon=True).start()


def _serve(plain: socket.socket, server: Stranger, script: Script, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError), plain:
        plain.settimeout(30)
        connection = tls.wrap_socket(plain, server_side=True) if tls else plain
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65_536)
                if not part:
                    return
                head += part
            target = head.split(b" ", 2)[1].decode()
            server.asked.append(target)
            script(target, connection.sendall)
            if not tls:
                # Closing with unread or unsent bytes would reset the connection instead of ending it.
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(1)
                while connection.recv(65_536):
                    pass


def certified(folder: Path, names: Sequence[str]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's TLS for some names, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stranger")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_named(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "stranger.pem"
    path.write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.create_default_context(cadata=pem.decode())
    return server, client


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
