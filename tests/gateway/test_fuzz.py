"""Whatever the listener accepts, an independent parser reads as the same requests; whatever arrives, it lives on.

h11 is the oracle: a request that two parsers read differently is how requests are smuggled.
"""

import itertools
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rig.gateway import Gateway, configuration, start_gateway
from rig.noted import assert_read_alike, listen
from rig.provider import FakeProvider


def usually(usual: bytes, *odd: bytes) -> st.SearchStrategy[bytes]:
    """The usual thing nine times in ten: a request with one oddity says more than one made of them."""
    return st.integers(0, 9 * len(odd)).map(lambda n: odd[n] if n < len(odd) else usual)


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS"])
TARGETS = usually(b"/healthz", b"/a?b=c", b"/%2e%2e/x", b"*", b"http://h/x", b"/a b", b"/\xc3\xa9", b"//h/x", b"/x#y")
VERSIONS = usually(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.10")
NAMES = usually(b"X-A", b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"Expect", b"X A", b"X-A ",
                b"", b"Trailer", b"\x0bHost")  # fmt: skip
VALUES = usually(b"a\tb", b"3", b"chunked", b"Chunked", b"close", b"identity", b"\x80", b"a\x00b", b"a\x0bb",
                 b"100-continue", b"keep-alive", b"")  # fmt: skip
LENGTHS = usually(b"3", b"+3", b"3, 3", b"0x3", b" 3 ", b"03", b"4", b"2", b"3_0")
CODINGS = usually(
    b"chunked", b"Chunked", b"gzip, chunked", b"chunked, chunked", b" chunked ", b"xchunked", b"chunked;a=b"
)
SIZES = usually(b"3", b"03", b"3;e=1", b"3 ;e", b" 3", b"-1", b"0x3", b"3;\x00", b"F" * 17, b"4", b"2")
ENDS = usually(b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\r\n")
LASTS = usually(b"0\r\n\r\n", b"0\r\nx-t: 1\r\n\r\n", b"0\n\n", b"00\r\n\r\n", b"0\r\n", b"0\r\nx t\r\n\r\n")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    line = draw(METHODS) + b" " + draw(TARGETS) + b" " + draw(VERSIONS) + draw(ENDS)
    fields = draw(st.lists(st.tuples(NAMES, VALUES, ENDS), max_size=2))
    head = line + b"Host: h\r\n" + b"".join(name + b": " + value + end for name, value, end in fields)
    match draw(st.sampled_from(["none", "sized", "chunked"])):
        case "sized":
            return head + b"Content-Length: " + draw(LENGTHS) + draw(ENDS) + b"\r\nabc"
        case "chunked":
            chunk = draw(SIZES) + draw(ENDS) + b"abc" + draw(ENDS)
            return head + b"Transfer-Encoding: " + draw(CODINGS) + draw(ENDS) + b"\r\n" + chunk + draw(LASTS)
        case _:
            return head + b"\r\n"


@settings(max_examples=400, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 500), max_size=4))
def test_what_is_accepted_means_the_same_to_another_parser(sent: list[bytes], places: list[int]) -> None:
    """Method, path, headers and body, however the bytes are cut; what h11 refuses may not be accepted."""
    data = b"".join(sent)
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    assert_read_alike(data, listen([data[a:b] for a, b in itertools.pairwise(edges)]).requests)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with FakeProvider() as provider:
        running = start_gateway(tmp_path_factory.mktemp("home"), configuration(provider, ["ok"]))
        yield running
        assert running.stop() == 0
        assert "Traceback" not in (running.home / "log").read_text()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(requests(), st.binary(max_size=300), st.tuples(requests(), st.binary(max_size=60)).map(b"".join)))
def test_no_bytes_stop_a_running_gateway(gateway: Gateway, data: bytes) -> None:
    """Nonsense is answered or hung up on; the next caller is served."""
    with gateway.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass
    with gateway.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
