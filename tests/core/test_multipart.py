"""multipart/form-data: what goes in comes out, real forms of several clients, and a table of broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import multipart
from dragoman.core.multipart import FormPart, MultipartError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\\%"), max_size=20)
PARTS = st.builds(
    FormPart,
    name=NAMES,
    data=st.binary(max_size=60) | st.sampled_from([b"dragoman-form-0", b"\r\n--dragoman-form-0--", b"--", b"\r\n"]),
    filename=st.none() | NAMES,
    media_type=st.none() | st.sampled_from(["image/png", "text/plain; charset=utf-8"]),
)


@given(st.lists(PARTS, max_size=5))
def test_parts_come_back_as_they_went(parts):
    boundary = multipart.free_boundary(parts)
    body = multipart.encode(parts, boundary)
    assert multipart.decode(body, multipart.boundary_of(multipart.content_type(boundary))) == tuple(parts)
    assert multipart.free_boundary(parts) == boundary, "the same parts get the same boundary"


def test_a_boundary_is_never_inside_a_part():
    parts = [FormPart(name="a", data=b"dragoman-form-0"), FormPart(name="b", data=b"dragoman-form-1")]
    assert multipart.free_boundary(parts) == "dragoman-form-2"


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ('form-data; name="n"', FormPart(name="n", data=b"1")),
        ("form-data; name=n", FormPart(name="n", data=b"1")),
        ('form-data; name="a\\"b"', FormPart(name='a"b', data=b"1")),
        ('form-data; name="a%22b"', FormPart(name='a"b', data=b"1")),
        ('form-data; name="f"; filename="C: x.png"', FormPart(name="f", filename="C: x.png", data=b"1")),
        ('form-data; name="f"; filename=""', FormPart(name="f", filename="", data=b"1")),
        ('form-data; name="f"; filename="x"; filename*=utf-8\'\'%C3%A4.png', FormPart(name="f", filename="ä.png", data=b"1")),
    ],
)
def test_ways_to_write_a_disposition(head, part):
    assert multipart.decode(f"--B\r\nContent-Disposition: {head}\r\n\r\n1\r\n--B--".encode(), "B") == (part,)


def test_headers_may_come_in_any_order_and_others_beside_them():
    head = b'Content-Length: 2\r\ncontent-type: \r\nCONTENT-DISPOSITION: form-data; name="a"'
    body = b"--B \r\n" + head + b"\r\n\r\nhi\r\n--B--\r\nepilogue"
    assert multipart.decode(b"preamble\r\n" + body, "B") == (FormPart(name="a", data=b"hi"),)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cut off"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nhi', "cut off"),
        (b'--Bx\r\nContent-Disposition: form-data; name="a"\r\n\r\nhi\r\n--B--', "end of its line"),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\nhi\r\n--B--", "Content-Disposition"),
        (b'--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nhi\r\n--B--', "Content-Disposition"),
        (b"--B\r\nhi\r\n--B--", "end of its headers"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: a/b\nX: y\r\n\r\nhi\r\n--B--', "no header value"),
        (b"--B\r\nX: \xff\r\n\r\nhi\r\n--B--", "UTF-8"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n' * 1002, "more than 1000 parts"),
    ],
)
def test_broken_forms(body, message):
    with pytest.raises(MultipartError, match=message):
        multipart.decode(body, "B")


@pytest.mark.parametrize(
    "header", ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
)
def test_content_types_that_are_no_form(header):
    with pytest.raises(MultipartError):
        multipart.boundary_of(header)


def test_boundaries_may_be_quoted():
    assert multipart.boundary_of('Multipart/Form-Data; charset=utf-8; boundary="a b"') == "a b"


def test_a_field_that_is_no_text():
    with pytest.raises(MultipartError, match="'a' is no UTF-8"):
        _ = FormPart(name="a", data=b"\xff").text


def test_a_media_type_cannot_smuggle_a_header():
    with pytest.raises(MultipartError, match="no header value"):
        multipart.encode([FormPart(name="a", data=b"", media_type="x\r\nY: z")], "B")
