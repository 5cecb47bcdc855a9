"""MICRA-Net's mask: the principal component of the class activation maps of all levels."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from segxai.views.components import first_component
from segxai.views.grey import pixels, unit_range

ABOUT = {
    "title": "MICRA-Net",
    "cites": "Bilodeau et al., Nature Machine Intelligence 4, 2022, doi:10.1038/s42256-022-00472-w",
    "reads": ["levels"], "facts": [],
    "settings": {
        "sigma": {"type": "number", "minimum": 0, "default": 1,
                  "description": "Gaussian smoothing of the component in px at 224"},
        "quantile": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.8,
                     "description": "Share of the image that is background"},
    },
}  # fmt: skip


def segment(maps: Sequence[np.ndarray], sigma: float, quantile: float) -> np.ndarray:
    """Cut a mask from the class activation maps of all levels (Bilodeau et al. 2022).

    The first principal component over the shallower maps, signed to agree with the deepest one,
    is smoothed and cut at a quantile.

    Differs from the official code in two ways without effect on the mask: its rescaling of the
    component over the foreground is a positive affine map, which smoothing and quantiles commute
    with, and is left out; the component is exact instead of the mean of five randomised ones.

    Parameters
    ----------
    maps : sequence of ndarray of shape (h, w)
        Shallow to deep, the first of the mask's size; the deepest ≥ 0.
    sigma, quantile
        See `ABOUT`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty if the deepest map is: there is then no evidence for the class.
    """
    shape = maps[0].shape
    *shallow, deepest = (_scaled(level, shape) for level in maps)
    if not deepest.any():
        return np.zeros(shape, bool)
    component = first_component(np.stack(shallow, axis=-1))
    if np.average(component, weights=deepest) < component.mean():
        component = -component
    component = gaussian_filter(component, pixels(sigma, shape), mode="nearest")
    return component > np.quantile(component, quantile)


def _scaled(level: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Scale a map to 0…1, all zero where it is constant, and repeat its pixels up to `shape`."""
    return resize(unit_range(level), shape, order=0, mode="edge", anti_aliasing=False)
