"""Networks as they are: TLS on both sides, private authorities, outbound proxies, forwarders in front."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import trustme

from rig.gateway import configuration
from rig.provider import FakeProvider
from rig.server import ThreadedServer

BODY = {"model": "acme/ok", "messages": []}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def secure_provider(authority: trustme.CA) -> Iterator[FakeProvider]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with FakeProvider(ssl=context) as server:
        yield server


@pytest.fixture(scope="module")
def plain_provider() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


class Proxy(ThreadedServer):
    """A forward proxy: CONNECT tunnels and absolute-form requests, optionally with a password."""

    def __init__(self, *, password: str = "") -> None:
        super().__init__()
        self.password = password
        self.lines: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line = head.split(b"\r\n")[0].decode()
            self.lines.append(line)
            if self.password and self.password.encode() not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
                return
            method, target, _ = line.split(" ")
            authority = target if method == "CONNECT" else target.split("/")[2]
            host, _, port = authority.rpartition(":")
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                up_writer.write(head.replace(f"http://{authority}".encode(), b"", 1))
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


def call(gateway, url: str = "", **options) -> httpx.Response:
    return httpx.post(f"{url or gateway.url}/v1/chat/completions", json=BODY, headers=gateway.headers, **options)


def test_a_provider_behind_a_private_authority_is_trusted_by_its_ca_file(secure_provider, ca_file, run_gateway) -> None:
    """Only for this provider, and only when told."""
    gateway = run_gateway(configuration(secure_provider, ["ok"], provider_extra=f'ca_file = "{ca_file}"'))
    assert call(gateway).status_code == 200
    assert call(gateway).status_code == 200
    assert gateway.row().cost_basis == "metered"


def test_an_untrusted_provider_is_502_that_names_the_setting(secure_provider, run_gateway) -> None:
    """A certificate nobody vouches for is not talked to."""
    gateway = run_gateway(configuration(secure_provider, ["ok"]))
    reply = call(gateway)
    assert reply.status_code == 502
    assert "providers.mock.ca_file" in reply.json()["error"]["message"]
    row = gateway.row()
    assert (row.cost_basis, row.cost_nano_usd) == ("metered", 0)


@pytest.mark.parametrize("password", ["", "s3cret"])
def test_https_goes_through_a_proxy_by_connect(secure_provider, ca_file, run_gateway, password: str) -> None:
    """The tunnel carries TLS from end to end; the proxy sees a name and a port."""
    with Proxy(password="cGVyc29uOnMzY3JldA==" if password else "") as proxy:  # person:s3cret
        user = f"person:{password}@" if password else ""
        extra = f'ca_file = "{ca_file}"\nproxy_url = "http://{user}127.0.0.1:{proxy.port}"'
        gateway = run_gateway(configuration(secure_provider, ["ok"], provider_extra=extra))
        assert call(gateway).status_code == 200
        assert proxy.lines == [f"CONNECT localhost:{secure_provider.port} HTTP/1.1"]
        gateway.stop()


def test_http_goes_through_a_proxy_in_absolute_form(plain_provider, run_gateway) -> None:
    """As RFC 9112, section 3.2.2, wants it."""
    with Proxy() as proxy:
        extra = f'proxy_url = "http://127.0.0.1:{proxy.port}"'
        gateway = run_gateway(configuration(plain_provider, ["ok"], provider_extra=extra))
        assert call(gateway).status_code == 200
        assert proxy.lines == [f"POST http://localhost:{plain_provider.port}/v1/chat/completions HTTP/1.1"]
        gateway.stop()


def test_a_proxy_that_refuses_is_named(secure_provider, run_gateway) -> None:
    """The proxy's own status line, and no word of its password."""
    with Proxy(password="something else") as proxy:
        extra = f'proxy_url = "http://a:hidden@127.0.0.1:{proxy.port}"'
        gateway = run_gateway(configuration(secure_provider, ["ok"], provider_extra=extra))
        reply = call(gateway)
        assert (reply.status_code, "407" in reply.text, "hidden" in reply.text) == (502, True, False)


def test_the_listener_speaks_tls_when_given_a_certificate(
    authority, plain_provider, ca_file, run_gateway, tmp_path
) -> None:
    """For those who have no terminator in front."""
    certificate = authority.issue_cert("localhost")
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(cert_file))
    certificate.private_key_pem.write_to_path(str(key_file))
    extra = f'[gateway]\ntls_cert_file = "{cert_file}"\ntls_key_file = "{key_file}"'
    gateway = run_gateway(configuration(plain_provider, ["ok"], extra))
    context = ssl.create_default_context(cafile=str(ca_file))
    url = f"https://localhost:{gateway.port}"
    assert call(gateway, url, verify=context).status_code == 200
    stream = httpx.post(
        f"{url}/v1/chat/completions", json=BODY | {"stream": True}, headers=gateway.headers, verify=context
    )
    assert stream.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(("trusted", "country"), [('["127.0.0.0/8"]', "US"), ("[]", None)])
def test_only_a_trusted_forwarder_may_set_the_callers_address(plain_provider, run_gateway, trusted, country) -> None:
    """A caller who claims to be elsewhere is not believed; a load balancer of ours is."""
    gateway = run_gateway(configuration(plain_provider, ["ok"], f"[gateway]\ntrusted_forwarders = {trusted}"))
    headers = gateway.headers | {"x-forwarded-for": "10.9.9.9, 8.8.8.8, 127.0.0.5"}
    assert httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY, headers=headers).status_code == 200
    assert gateway.row().ip_country == country


def test_a_warm_connection_is_used_again_and_a_dead_one_replaced(plain_provider, run_gateway) -> None:
    """Keep-alive towards the provider; the race with its time-out costs a reconnect, not a failed call."""
    gateway = run_gateway(configuration(plain_provider, ["ok"]))
    before = plain_provider.connections
    assert [call(gateway).status_code for _ in range(5)] == [200] * 5
    assert plain_provider.connections == before + 1
    assert json.loads(plain_provider.calls[-1].raw)["model"] == "ok"
