"""A table of results as a Parquet file, written while it is sent: one row group at a time is in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from core.faces.exports import COLUMNS, Result

_ROWS_OF_A_GROUP = 10_000


class _Outgoing(io.RawIOBase):
    """A file that only grows, and whose content is taken away as it does."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parquet_pieces(lines: Iterable[Result]) -> Iterator[bytes]:
    """The file, piece by piece; empty cells of the table are nulls here."""
    # Arrow takes tens of megabytes to load, and only this function needs it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"seconds": pa.float64()}
    schema = pa.schema(
        [(name, kinds.get(name, pa.string())) for name in COLUMNS],
        metadata={"description": "Faces are AI-generated guesses, and nobody's likeness."},
    )
    outgoing = _Outgoing()
    rows = iter(lines)
    with pq.ParquetWriter(outgoing, schema, compression="zstd") as writer:
        while group := list(islice(rows, _ROWS_OF_A_GROUP)):
            columns = {
                name: [None if (cell := getattr(line, name)) == "" else cell for line in group]
                for name in COLUMNS
            }
            writer.write_table(pa.table(columns, schema=schema), row_group_size=_ROWS_OF_A_GROUP)
            yield outgoing.take()
    yield outgoing.take()
