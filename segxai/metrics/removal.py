"""Curves of a target's score while the pixels of an image are removed by rank, or restored."""

import numpy as np

from segxai.metrics.case import Case


def area(case: Case, stream: str, fill: str, steps: int, scale: str) -> float:
    r"""Area under a curve of scores, relative to the score of the image.

    .. math:: \frac{1}{K} \sum_{k=0}^{K-1} \frac{s_k + s_{k+1}}{2}, \quad
              s_k = \frac{p(k)}{p_0} \ \text{or}\ \frac{F(k) - F(K)}{|F_0 - F(K)|}

    with the probability p, or the logit F counted from the score of an image that is all fill.

    Parameters
    ----------
    case : Case
        Its curves.
    stream : str
        ``deletion``: the most relevant pixels go first (MoRF). ``insertion``: they come back first
        to an image that is all fill, which is LeRF read backwards.
    fill, steps, scale
        Of the metric.

    Returns
    -------
    float
        NaN where there are no such curves, or the score has no range.
    """
    curves = (case.curves or {}).get((fill, steps, scale))
    if curves is None:
        return np.nan
    deletion, insertion = curves.astype(np.float64)
    chosen = {"deletion": deletion, "insertion": insertion}[stream]
    low = deletion[-1] if scale == "logit" else 0.0
    span = abs(deletion[0] - low)
    return float(np.trapezoid((chosen - low) / span) / steps) if span > 0 else np.nan
