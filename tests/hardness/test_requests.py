"""Requests on the edge of HTTP (`data/requests.yml`): one verdict each, however TCP cuts them; h11 agrees.

First against the listener without a socket, at any cut; then against a running gateway, with a smuggled request behind.
"""

import re
import socket
from collections.abc import Iterator

import pytest

from hardness.corpus import corpus, cuts
from rig.gateway import Gateway, configuration, start_gateway
from rig.noted import Verdict, assert_read_alike, listen, read_by_h11
from rig.provider import FakeProvider

REQUESTS = corpus("requests")
BEHIND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def as_text(verdict: Verdict) -> list[str]:
    return [b" ".join(part for part in (r.method, r.path, r.body) if part).decode("latin-1") for r in verdict.requests]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_has_one_verdict_however_it_is_cut(name: str) -> None:
    """What is read, and with which status the rest is refused, may not depend on the packets it came in."""
    entry = REQUESTS[name]
    for pieces in cuts(entry["sent"], is_long=entry.get("is_long", False)):
        verdict = listen(pieces)
        assert (as_text(verdict), verdict.status) == (entry.get("reads", []), entry.get("status")), entry["why"]


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_read_h11_reads_the_same(name: str) -> None:
    """Method, target, headers and body. Where h11 refuses what we read, the corpus says so and why."""
    entry = REQUESTS[name]
    ours = listen(cuts(entry["sent"])[-1]).requests
    if entry.get("h11") == "no":
        assert len(read_by_h11(entry["sent"])) < len(ours), "h11 has learnt to read it: drop the exception"
    else:
        assert_read_alike(entry["sent"], ours)


def test_chunks_of_one_byte_are_read() -> None:
    """Wasteful, as some clients are, but no abuse: six bytes for one are within what framing may take."""
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for pieces in cuts(head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"):
        (read,) = listen(pieces).requests
        assert read.body == b"x" * 20_000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with FakeProvider() as provider:
        running = start_gateway(tmp_path_factory.mktemp("home"), configuration(provider, ["ok"]))
        yield running
        assert running.stop() == 0
        assert "Traceback" not in (running.home / "log").read_text()


def exchange(gateway: Gateway, data: bytes) -> bytes:
    """All that the gateway says to these bytes and the end of the connection."""
    with gateway.connect() as connection:
        connection.settimeout(5)
        said = b""
        try:
            connection.sendall(data)
            while b"connection: close" not in said and said.count(b"HTTP/1.1 ") < 20:
                piece = connection.recv(65536)
                if not piece:
                    break
                said += piece
                if data.endswith(BEHIND) and b'"status":"ok"' in said:
                    break
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                said += piece
        except ConnectionError:
            pass
        return said


@pytest.mark.parametrize("name", [name for name, entry in REQUESTS.items() if "status" in entry])
def test_nothing_behind_a_refused_request_is_served(gateway: Gateway, name: str) -> None:
    """Over a real socket: the refusal is the last reply of its connection, and the smuggled request has none."""
    entry = REQUESTS[name]
    said = exchange(gateway, entry["sent"] + (b"" if entry.get("is_open") else BEHIND))
    replies = re.findall(rb"HTTP/1\.1 (\d{3}) \w", said)
    assert len(replies) <= len(entry.get("reads", [])) + 1
    assert b'"status":"ok"' not in said, entry["why"]
    if "reads" not in entry:
        assert [int(status) for status in replies] == [entry["status"]], entry["why"]
        assert b"connection: close" in said


@pytest.mark.parametrize("name", [name for name, entry in REQUESTS.items() if "status" not in entry])
def test_behind_a_request_that_is_read_the_next_one_is_found(gateway: Gateway, name: str) -> None:
    """Over a real socket: every request has its reply, and the one behind it begins where it should."""
    entry = REQUESTS[name]
    said = exchange(gateway, entry["sent"] + BEHIND)
    is_last = b"HTTP/1.0" in entry["sent"]  # nothing follows a request of HTTP/1.0
    replies = re.findall(rb"HTTP/1\.1 (\d{3}) \w", said.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    assert len(replies) == len(entry["reads"]) + (not is_last)
    assert (b'"status":"ok"' in said) is not is_last
    assert b"400" not in replies
