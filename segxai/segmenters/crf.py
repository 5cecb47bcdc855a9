"""Edge refinement by a fully connected CRF (ExplainSeg §3.6; Krähenbühl & Koltun, NIPS 2011)."""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax

from segxai.views.grey import pixels

ABOUT = {
    "title": "Dense CRF",
    "cites": "Krähenbühl & Koltun, NIPS 2011, arXiv:1210.5644; ExplainSeg §3.6, eq. 5",
    "reads": ["view", "mask", "image"], "facts": [],
    "settings": {
        "mask_weight": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.7,
            "description": "Share of the coarse mask in the unary; the rest is relevance",
        },
        "iterations": {"type": "integer", "minimum": 0, "default": 10,
                       "description": "Mean-field steps"},
        "gaussian_sxy": {"type": "number", "exclusiveMinimum": 0, "default": 3,
                         "description": "Spatial deviation of the smoothness kernel in px at 224"},
        "gaussian_compat": {"type": "number", "minimum": 0, "default": 7,
                            "description": "Weight of the smoothness kernel"},
        "bilateral_sxy": {"type": "number", "exclusiveMinimum": 0, "default": 50,
                          "description": "Spatial deviation of the appearance kernel in px at 224"},
        "bilateral_srgb": {"type": "number", "exclusiveMinimum": 0, "default": 5,
                           "description": "Colour deviation of the appearance kernel on 0–255"},
        "bilateral_compat": {"type": "number", "minimum": 0, "default": 10,
                             "description": "Weight of the appearance kernel"},
    },
}  # fmt: skip


def segment(
    grey: np.ndarray, mask: np.ndarray, image: np.ndarray, mask_weight: float, **crf: float
) -> np.ndarray:
    """Refine a coarse mask (H, W) by its image and by `grey`, the view that it was cut from.

    Settings: see `ABOUT`, :func:`foreground_probability` and :func:`dense_crf`.
    """
    return dense_crf(image, foreground_probability(mask, grey, mask_weight), **crf)


def foreground_probability(
    mask: np.ndarray, grey: np.ndarray, mask_weight: float, floor: float = 0.05
) -> np.ndarray:
    """Probability of foreground from a coarse mask and the relevance it was cut from.

    ``p = mask_weight · mask + (1 − mask_weight) · relevance``, kept within floor…1 − floor.
    """
    return np.clip(mask_weight * mask + (1 - mask_weight) * grey, floor, 1 - floor)


def dense_crf(
    image: np.ndarray,
    probability: np.ndarray,
    iterations: int,
    gaussian_sxy: float,
    gaussian_compat: float,
    bilateral_sxy: float,
    bilateral_srgb: float,
    bilateral_compat: float,
) -> np.ndarray:
    r"""Refine a mask by mean-field inference in a dense CRF (ExplainSeg eq. 5).

    .. math:: E(x) = \sum_i \phi_u(x_i) + \sum_{i<j} \phi_p(x_i, x_j)

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
    probability : ndarray of shape (H, W), in 0…1 exclusive
        Of the foreground; its negative logarithm is the unary potential.
    iterations, …
        Settings: see `ABOUT`.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    height, width = probability.shape
    crf = DenseCRF2D(width, height, 2)
    classes = np.stack([1 - probability, probability]).astype(np.float32)
    crf.setUnaryEnergy(unary_from_softmax(classes))
    crf.addPairwiseGaussian(sxy=pixels(gaussian_sxy, probability.shape), compat=gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=pixels(bilateral_sxy, probability.shape),
        srgb=bilateral_srgb,
        # The library refuses read-only arrays, such as memory-mapped images.
        rgbim=np.require(image, requirements=["C", "W"]),
        compat=bilateral_compat,
    )
    marginals = np.array(crf.inference(iterations)).reshape(2, height, width)
    return marginals[1] > marginals[0]
