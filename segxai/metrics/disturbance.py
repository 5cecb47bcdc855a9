"""How an attribution changes when its explainer is run again under changed conditions."""

from typing import NamedTuple

import numpy as np

NOISY = 5  # noisy copies of the input
STAGES = 5  # of the network, from its output
WIDTH = NOISY + 2 + STAGES + 1
# Arrays on disk hold no NaN; neither a similarity nor a distance is this.
UNDEFINED = -2


class Disturbance(NamedTuple):
    """Comparisons of one stored attribution with those of other conditions; NaN: undefined.

    Attributes
    ----------
    noise : ndarray of shape (NOISY,), ≥ 0
        Relative distance of the attribution of each noisy copy of the input.
    other_class : float in −1…1
        Similarity to the attribution of the most probable other class.
    other_draws : float in −1…1
        Similarity to the attribution of the same network with other random draws.
    stages : ndarray of shape (STAGES,), in −1…1
        Similarity to the attribution of the network after each stage of randomisation.
    null : float in 0…1
        What 95 % of the absolute similarities to attributions of other images do not exceed.
    """

    noise: np.ndarray
    other_class: float
    other_draws: float
    stages: np.ndarray
    null: float

    @classmethod
    def of(cls, row: np.ndarray) -> "Disturbance":
        """Read a row as :meth:`row` gives it."""
        row = np.where(row == UNDEFINED, np.nan, row)
        noise, (label,), (draws,), stages, (null,) = np.split(row, np.cumsum([NOISY, 1, 1, STAGES]))
        return cls(noise, float(label), float(draws), stages, float(null))

    def row(self) -> np.ndarray:
        """Give all numbers in a row for the disk: (WIDTH,), float32, `UNDEFINED` for NaN."""
        return np.nan_to_num(np.hstack(self), nan=UNDEFINED).astype(np.float32)
