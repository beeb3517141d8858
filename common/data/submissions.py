"""Submissions and answers: checked against Kaggle's own sample before anybody sees them."""

import numpy as np
import pandas as pd

from common.checks import InputError
from common.contract import SubmissionFile


def check_submission(frame: pd.DataFrame, sample: pd.DataFrame, form: SubmissionFile) -> None:
    """Check a submission against the sample submission: columns, ids and their order, values.

    Args:
        frame: the submission.
        sample: Kaggle's sample, read from `form.path`.
        form: the id column, and the least value or the classes allowed.

    Raises:
        InputError: columns, length or ids differ, an id comes twice, or a value is no finite number
            >= the minimum, or none of the classes where there are some.
    """
    if list(frame.columns) != list(sample.columns):
        raise InputError(
            f"the submission must have columns {', '.join(sample.columns)}, "
            f"received {', '.join(map(str, frame.columns))}"
        )
    if len(frame) != len(sample):
        raise InputError(f"the submission must have {len(sample)} rows, received {len(frame)}")
    ids = frame[form.id_column].astype(str).to_numpy()
    wanted = sample[form.id_column].astype(str).to_numpy()
    if (twice := pd.Series(ids).duplicated()).any():
        raise InputError(f"the submission has {form.id_column} {ids[twice][0]} twice")
    if (other := np.flatnonzero(ids != wanted)).size:
        row = other[0]
        raise InputError(
            f"the submission must have the sample's {form.id_column} in its order: "
            f"row {row} must be {wanted[row]}, received {ids[row]}"
        )
    for column in (name for name in sample.columns if name != form.id_column):
        if form.classes:
            words = frame[column].astype(str)
            if not (is_known := words.isin(form.classes)).all():
                raise InputError(
                    f"the submission's column {column} must hold {', '.join(form.classes)}, "
                    f"received {words[~is_known].iloc[0]} for {ids[~is_known][0]}"
                )
            continue
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        low = -np.inf if form.minimum is None else form.minimum
        if (wrong := np.flatnonzero(~(np.isfinite(values) & (values >= low)))).size:
            bound = "" if form.minimum is None else f" >= {form.minimum:g}"
            raise InputError(
                f"the submission's column {column} must hold finite numbers{bound}, "
                f"received {frame[column].iloc[wrong[0]]} for {ids[wrong[0]]}"
            )


def pick_values(frame: pd.DataFrame, ids: pd.Series, form: SubmissionFile) -> np.ndarray:
    """Take a submission's or an answer file's values in the order of the given ids.

    Args:
        frame: id column and value columns; ids unique.
        ids: (n,) the wanted order.
        form: names the id column.

    Returns:
        (n,) float where there is one value column, else (n, C); the numbers of classes, from 0,
        where the form has some.

    Raises:
        InputError: an id is missing or comes twice, or a value is none of the classes.
    """
    keyed = frame.assign(**{form.id_column: frame[form.id_column].astype(str)}).set_index(
        form.id_column
    )
    if not keyed.index.is_unique:
        raise InputError(f"the answers have {keyed.index[keyed.index.duplicated()][0]} twice")
    wanted = ids.astype(str)
    if not (there := wanted.isin(keyed.index)).all():
        raise InputError(f"the answers lack {form.id_column} {wanted[~there].iloc[0]}")
    found = keyed.loc[wanted.to_list()]
    if form.classes:
        numbers = {name: number for number, name in enumerate(form.classes)}
        found = found.astype(str).map(numbers.get)
        if (is_other := found.isna().any(axis=1)).any():
            first = wanted.to_numpy()[is_other.to_numpy()][0]
            raise InputError(f"the answers have no class of the competition for {first}")
    values = found.to_numpy(dtype=float)
    return values[:, 0] if values.shape[1] == 1 else values
