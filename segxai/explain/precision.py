"""Check of reduced precision: used only where it preserves the maps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.stats import spearmanr

from segxai.explain.stream import Attribution

EXACT = "float32"
CHECKED = 4  # images of a data set
MIN_SPEARMAN = 0.99
MAX_COMPLETENESS_LOSS = 0.05


@dataclass(frozen=True)
class Agreement:
    """Agreement of maps in reduced precision with those in float32."""

    images: int
    spearman: float  # lowest rank correlation of an image's two maps, -1…1; NaN without images
    completeness_loss: float  # mean completeness error less that in float32; NaN without a sum

    @property
    def kept(self) -> bool:
        """Whether reduced precision may be used."""
        complete = np.isnan(self.completeness_loss)
        complete |= self.completeness_loss <= MAX_COMPLETENESS_LOSS
        return bool(self.spearman >= MIN_SPEARMAN and complete)

    def facts(self) -> dict:
        """Values for JSON, which lacks NaN: None instead."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def agreement(exact: Sequence[Attribution], reduced: Sequence[Attribution]) -> Agreement:
    """Compare attributions of the same images in float32 and in reduced precision.

    Pixels are ranked by the absolute attribution, summed over channels, from which masks are cut. A
    constant map never agrees.
    """
    pairs = list(zip(exact, reduced, strict=True))
    correlations = [spearmanr(_pixels(a.values), _pixels(b.values)).statistic for a, b in pairs]
    errors = np.array([(a.completeness_error, b.completeness_error) for a, b in pairs])
    loss = np.diff(errors).mean() if pairs else np.nan
    lowest = np.nan_to_num(correlations, nan=-1.0).min() if pairs else np.nan
    return Agreement(len(pairs), float(lowest), float(loss))


def _pixels(values: torch.Tensor) -> np.ndarray:
    return values.abs().sum(dim=0).flatten().cpu().numpy()
