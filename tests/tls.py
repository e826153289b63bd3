"""A server with TLS in front of another one, for tests: its certificate is signed by nobody whom a machine knows."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_ADDRESS = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True)
class TlsFront:
    """Where it listens, and the file of who signed its certificate."""

    url: str
    ca_file: Path


@contextlib.contextmanager
def tls_front(port: int, folder: Path) -> Iterator[TlsFront]:
    """TLS on a free port, passed on as it is to a port of this machine.

    Args:
        port: Of the server behind it.
        folder: For keys and certificates.
    """
    ca_file, server_file = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)

    class PassOn(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),  # a client that does not trust it, or has what it wanted
                context.wrap_socket(self.request, server_side=True) as front,
                socket.create_connection(("127.0.0.1", port)) as behind,
            ):
                _pass_on(front, behind, is_over)

    is_over = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), PassOn) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield TlsFront(f"https://127.0.0.1:{server.server_address[1]}", ca_file)
        finally:
            is_over.set()
            server.shutdown()
            thread.join()


def _pass_on(front: ssl.SSLSocket, behind: socket.socket, is_over: threading.Event) -> None:
    """Carry bytes both ways until one side ends, or all is over."""
    while not is_over.is_set():
        ready = [front] if front.pending() else select.select([front, behind], [], [], 0.05)[0]
        for one in ready:
            data = one.recv(1 << 16)
            if not data:
                return
            (behind if one is front else front).sendall(data)


def _certificates(folder: Path) -> tuple[Path, Path]:
    """The file of the authority, and that of the server's key and certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    signer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    root = (
        _builder(signer, signer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")]), signer, server.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_ADDRESS)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    ca_file, server_file = folder / "authority.pem", folder / "server.pem"
    ca_file.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_file.write_bytes(key + leaf.public_bytes(serialization.Encoding.PEM))
    return ca_file, server_file


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
