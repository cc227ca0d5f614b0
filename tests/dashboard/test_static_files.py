"""Static files as they cross the wire: packed for whoever takes them packed, and kept by their content."""

from __future__ import annotations

import gzip
import re

from tests.dashboard.conftest import Place


def test_styles_are_sent_packed_once_and_whole_to_those_who_cannot_unpack(sqlite_place: Place) -> None:
    client = sqlite_place.app.test_client()
    found = re.search(r'href="([^"]+parts\.css[^"]+)"', client.get("/sign-in").text)
    assert found is not None
    plain = client.get(found[1])
    packed = client.get(found[1], headers={"Accept-Encoding": "br;q=0.5, gzip"})
    assert (plain.headers.get("Content-Encoding"), packed.headers["Content-Encoding"]) == (None, "gzip")
    assert gzip.decompress(packed.data) == plain.data
    assert packed.content_length == len(packed.data) < len(plain.data) / 3
    for answer in (plain, packed):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.mimetype == "text/css"

    part = client.get(found[1], headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.data) == (206, plain.data[:10])
    same = client.get(found[1], headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    refused = client.get(found[1], headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_what_is_small_or_no_text_is_sent_as_it_is(sqlite_place: Place) -> None:
    client = sqlite_place.app.test_client()
    answer = client.get("/static/mark.svg", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert client.head("/static/css/base.css", headers={"Accept-Encoding": "gzip"}).data == b""
