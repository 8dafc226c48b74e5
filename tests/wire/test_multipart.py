"""Forms read in passing: any cut gives the same fields, and what could be read in two ways is refused."""

import email.parser
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.wire.multipart import VALUE_BYTES_MAX, FormReader, boundary_of, field_part

BOUNDARY = b"x-0123"
WORDS = st.text(st.sampled_from("abc-é\r\n x0123"), max_size=12)


def part(name: str, content: bytes, filename: str = "") -> bytes:
    more = f'; filename="{filename}"\r\nContent-Type: audio/mpeg' if filename else ""
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content


def form(*parts: bytes) -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY, one) for one in parts) + b"--%b--\r\n" % BOUNDARY


def read(body: bytes, size: int = 1 << 20) -> FormReader:
    reader = FormReader(BOUNDARY)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    reader.finish()
    return reader


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "file"]), WORDS), max_size=5), st.integers(1, 40))
def test_fields_do_not_depend_on_where_the_form_is_cut(given: list[tuple[str, str]], size: int) -> None:
    """TCP may split a form anywhere; each field is what was written, and stands where it is said to."""
    body = form(*(part(name, text.encode(), "f" if name == "file" else "") for name, text in given))
    reader = read(body, size)
    wanted = {name: text for name, text in reversed(given) if name != "file"}
    assert {name: value.text for name, value in reader.fields.items()} == wanted
    for value in reader.fields.values():
        assert body[value.start : value.end].decode() == value.text
    assert reader.file_bytes == sum(len(text.encode()) for name, text in given if name == "file")


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.binary(max_size=60)), max_size=5), st.integers(1, 9))
def test_another_reader_sees_the_same_parts(given: list[tuple[str, bytes]], size: int) -> None:
    """The standard library's parser of mail is the witness, for what we accept."""
    body = form(*(part(name, content) for name, content in given))
    try:
        reader = read(body, size)
    except InvalidRequest:
        assert any(b"--" + BOUNDARY in content for _, content in given)
        return
    head = b"Content-Type: multipart/form-data; boundary=%b\r\n\r\n" % BOUNDARY
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = list(message.iter_parts()) if given else []
    assert len(parts) == len(given)
    assert {name for name, _ in given} == set(reader.fields)


def test_a_long_field_is_measured_and_not_kept() -> None:
    reader = read(form(part("prompt", b"x" * (VALUE_BYTES_MAX + 1)), part("model", b"m")), 1000)
    assert reader.long_fields == {"prompt": VALUE_BYTES_MAX + 1}
    assert reader.fields["model"].text == "m"


def test_the_first_bytes_of_a_file_are_kept() -> None:
    reader = read(form(part("model", b"m"), part("file", b"RIFF" + bytes(9000), "a.wav")), 500)
    assert reader.file_head[:4] == b"RIFF"
    assert (len(reader.file_head), reader.file_bytes) == (VALUE_BYTES_MAX, 9004)


def test_memory_stays_small_whatever_the_file() -> None:
    reader = FormReader(BOUNDARY)
    reader.feed(b"--%b\r\n%b" % (BOUNDARY, part("file", b"", "a.mp3")))
    for _ in range(200):
        reader.feed(b"\r\n--x-012" * 8000)
        assert len(reader._buffer) + len(reader._value) < 3 * VALUE_BYTES_MAX


def test_a_part_may_be_put_before_the_first_boundary() -> None:
    body = b"preamble\r\n" + form(part("file", b"sound", "a.mp3"))
    begin = read(body).begin
    assert body[begin:].startswith(b"--" + BOUNDARY)
    assert read(body[:begin] + field_part(BOUNDARY, "model", b"m") + body[begin:]).fields["model"].text == "m"


ODD = {
    "two models": form(part("model", b"cheap"), part("model", b"dear")),
    "a model behind a bare LF": form(part("file", b"x\n--%b\n%b" % (BOUNDARY, part("model", b"dear")), "f"),
                                     part("model", b"cheap")),
    "a head with a bare LF": form(b'Content-Disposition: form-data; name="a"\n\nx', part("model", b"m")),
    "two names": form(b'Content-Disposition: form-data; name="a"; name="model"\r\n\r\nx'),
    "two dispositions": form(part("a", b"")[:-4] + b"\r\n" + part("model", b"m")),
    "no name": form(b"Content-Type: text/plain\r\n\r\nx"),
    "no last boundary": form(part("model", b"m"))[: -len(BOUNDARY) - 6],
    "more after the last boundary": form(part("model", b"m")) + form(part("model", b"n")),
    "a boundary that goes on": form(part("model", b"m")).replace(BOUNDARY + b"\r\n", BOUNDARY + b"9\r\n", 1),
    "nothing": b"",
    "JSON": b'{"model": "m"}',
    "an endless head": form(b"x-filler: " + b"x" * 20_000 + b"\r\n" + part("model", b"m")),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("case", ODD)
def test_what_two_readers_could_cut_differently_is_refused(case: str, size: int) -> None:
    with pytest.raises(InvalidRequest):
        read(ODD[case], size)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_break_the_reader(noise: bytes, size: int) -> None:
    try:
        read(b"--" + BOUNDARY + b"\r\n" + noise, size)
    except InvalidRequest:
        pass


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; Boundary="a b c"', b"a b c"),
        (b"multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk", b"----WebKitFormBoundary7MA4YWxk"),
    ],
)
def test_the_boundary_is_read_as_clients_write_it(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=a; boundary=b",
     b"multipart/form-data; boundary=" + b"x" * 71, b'multipart/form-data; boundary="a\xff"'],
)  # fmt: skip
def test_a_form_without_one_boundary_is_refused(content_type: bytes) -> None:
    with pytest.raises(InvalidRequest):
        boundary_of(content_type)
