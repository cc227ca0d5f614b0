"""One stored object as an answer: streamed, in whole or in a range, and never sent to a browser that has it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import ContentRange
from werkzeug.http import dump_options_header, quote_etag, unquote_etag

from dashboard.services import services


def object_response(
    key: str, *, size: int, sha256: str, media_type: str, file_name: str, attachment: bool = False
) -> Response:
    """Answers GET and HEAD with an object that never changes under its hash.

    Raises:
        NotFound: the store does not have it.
        StorageUnavailable: the store cannot be reached.
    """
    etag = quote_etag(sha256)
    if request.if_none_match.contains(sha256):
        response = Response(status=304)
    elif (found := _range(size, etag)) is not None:
        first, after = found
        if first >= size or first >= after:
            response = Response(status=416)
            response.headers["Content-Range"] = f"bytes */{size}"
            return response
        response = Response(_pieces(key, (first, after - 1)), 206, mimetype=media_type)
        response.content_length = after - first
        response.content_range = ContentRange("bytes", first, after, size)
    else:
        response = Response(_pieces(key, None), 200, mimetype=media_type)
        response.content_length = size
    headers = response.headers
    headers["ETag"] = etag
    headers["Accept-Ranges"] = "bytes"
    # Kept by one browser for one sitting: what is deleted here must not be shown there for long.
    headers["Cache-Control"] = "private, max-age=3600"
    headers["Content-Disposition"] = disposition("attachment" if attachment else "inline", file_name)
    return response


def _range(size: int, etag: str) -> tuple[int, int] | None:
    """First byte and the one after the last, as asked for; None where the whole is to be sent."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    unless_changed = request.headers.get("If-Range")
    if unless_changed is not None and unquote_etag(unless_changed) != unquote_etag(etag):
        return None
    begin, end = asked.ranges[0]
    if end is None:
        begin = max(0, size + begin) if begin < 0 else begin
        return begin, size
    return begin, min(end, size)


def _pieces(key: str, byte_range: tuple[int, int] | None) -> Iterator[bytes]:
    return iter(()) if request.method == "HEAD" else services().store.stream(key, byte_range)


def disposition(how: str, file_name: str) -> str:
    """A header that names a file, in letters that any server and any browser takes."""
    stem, dot, ending = file_name.encode("ascii", "ignore").decode().rpartition(".")
    plain = f"{stem or 'file'}{dot}{ending}"
    options = {"filename": plain}
    if plain != file_name:
        # RFC 8187; werkzeug would send the letters as they are, which is no header at all.
        options["filename*"] = f"UTF-8''{quote(file_name, safe='')}"
    return dump_options_header(how, options)
