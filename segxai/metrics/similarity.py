"""How alike two attributions are."""

import numpy as np
from scipy.stats import spearmanr


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of the pixels of two attributions (h, w), in −1…1.

    NaN where one is constant or not finite.
    """
    defined = all(np.isfinite(x).all() and np.ptp(x) > 0 for x in (a, b))
    return float(spearmanr(a.ravel(), b.ravel()).statistic) if defined else np.nan
