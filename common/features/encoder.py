"""Tables as inputs of an entity-embedding net: codes of categories, and standardised numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from common.features.categories import learn_levels, make_codes

FAR = 4.0
"""Standard deviations at which a number is cut off."""


@dataclass(frozen=True)
class Encoder:
    """What codes and numbers a net is given, learnt from the fit rows.

    Attributes:
        levels: of each category, {column: sorted values}.
        numbers: the continuous columns that have values.
        scaler: standardises them and puts 0, and a flag where that is asked for, for a missing one.
    """

    levels: Mapping[str, np.ndarray]
    numbers: list[str]
    scaler: Pipeline

    def encode(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Make a net's inputs.

        Args:
            table: (n, …) with all columns that were learnt from.

        Returns:
            {"codes": (n, C) int32, "numbers": (n, D) float32 from -FAR to FAR}. They are cut off,
            since a net goes on in a straight line where it has seen nothing, and rows to come may
            lie further out than any that it was fitted on.
        """
        numbers = self.scaler.transform(table[self.numbers])
        return {
            "codes": make_codes(table, self.levels),
            "numbers": np.clip(numbers, -FAR, FAR).astype(np.float32),
        }


def learn_encoder(table: pd.DataFrame, categories: Sequence[str], *, flags: bool = True) -> Encoder:
    """Learn levels, means and scales of a table.

    Args:
        table: (n, …) fit rows; all its columns are taken, those without any value left out.
        categories: the columns that are embedded; all others are numbers.
        flags: whether a column that has missing numbers gets one more that flags them.
    """
    others = table.drop(columns=list(categories))
    numbers = list(others.columns[others.notna().any()])
    scaler = make_pipeline(
        StandardScaler(), SimpleImputer(strategy="constant", fill_value=0, add_indicator=flags)
    )
    return Encoder(learn_levels(table, list(categories)), numbers, scaler.fit(others[numbers]))
