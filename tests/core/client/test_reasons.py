"""What is said where no answer comes: of certificates, names, time limits, and addresses that send on."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.client import Client
from core.errors import InvalidRequest, ServiceUnreachable
from core.service import find_service
from tests.core.client.small_service import Answer, in_json, job_answer, small_service
from tests.core.client.test_client import QUICK, unused_port


def sentence_of(url: str, ca_file: Path | None = None) -> str:
    with pytest.raises(ServiceUnreachable) as caught:
        Client(url, "vs_secret", retries=QUICK, ca_file=ca_file).job("job_1")
    return caught.value.message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority that nobody knows, for 127.0.0.1; its key is in `key.pem` beside it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=a test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "authority.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "authority.pem"


@contextmanager
def over_tls(certificate: Path) -> Iterator[str]:
    """A service that has one job, by https."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = in_json(job_answer())
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # who does not trust us hangs up

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_certificate_of_ones_own_authority_is_taken_once_that_is_named(certificate: Path) -> None:
    with over_tls(certificate) as url:
        told = sentence_of(url)
        assert told.startswith(f"The certificate of {url} is not accepted here: self-signed certificate")
        assert told.endswith("An authority of your own is named in SSL_CERT_FILE.")
        client = find_service(url=url, token="vs_secret", ca_file=certificate)
        assert client.job("job_1").id == "job_1"


def test_a_service_without_tls_is_told_from_one_that_is_not_there() -> None:
    with small_service(lambda asked: in_json(job_answer())) as service:
        url = service.url.replace("http:", "https:")
        assert (
            sentence_of(url) == f"What answers at {url} speaks no TLS that is understood here; check --url."
        )


def test_a_host_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)  # a real one may take its time to know nothing
    told = sentence_of("http://nowhere.invalid:8000")
    assert told == "This machine knows no host 'nowhere.invalid'; check --url."


def test_who_takes_the_connection_and_stays_silent_is_said_to_be_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.client.asking._TIMEOUTS", (1.0, 0.2))
    with socket.create_server(("127.0.0.1", unused_port())) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert sentence_of(url) == f"Nothing at {url} answers in time; see whether it runs, and try again."


def test_an_address_that_sends_on_names_the_one_to_give_and_no_token_goes_there() -> None:
    with small_service(lambda asked: in_json(job_answer())) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with small_service(
            lambda asked: Answer(308, b"", {"Location": f"{elsewhere}/api/v1/jobs"})
        ) as service:
            told = sentence_of(service.url)
    assert told == f"{service.url} sends on to {elsewhere}; give that address with --url."
    assert other.asked == []


@pytest.mark.parametrize(
    "url", ["localhost:8000", "127.0.0.1", "ftp://host", "http://", "http://host:x", "http://[::1"]
)
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with pytest.raises(InvalidRequest, match="is no address of a service: give one such as"):
        find_service(url=url, token="vs_secret")


def test_a_file_of_authorities_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no file '.*gone.pem' of certificates"):
        find_service(url="https://127.0.0.1", token="vs_secret", ca_file=tmp_path / "gone.pem")
