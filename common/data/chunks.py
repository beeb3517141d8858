"""CSV tables larger than memory, some rows at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from common.data.tables import check_columns, reading_table


def load_chunks(
    path: Path, *, columns: Iterable[str], n_rows: int = 50_000
) -> Iterator[pd.DataFrame]:
    """Read a CSV file a chunk at a time. Every field is the text that it is.

    Args:
        path: the file.
        columns: the columns that are read and must be there.
        n_rows: rows in a chunk, > 0.

    Yields:
        Frames of text, an empty field as "". Row labels go on from chunk to chunk, from 0: row k
        stands on line k + 2.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not a table, a row is longer than the
            header, or a column is missing.
    """
    columns = list(columns)
    with reading_table(path):
        chunks = pd.read_csv(
            path,
            dtype="str",
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
            chunksize=n_rows,
        )
    with chunks:
        while True:
            with reading_table(path):  # Not around `yield`: what the caller does is not meant.
                chunk = next(chunks, None)
            if chunk is None:
                return
            check_columns(path, chunk.columns, columns)
            yield chunk[columns]
