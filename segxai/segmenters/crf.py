"""Edge refinement by a fully connected CRF (ExplainSeg §3.6; Krähenbühl & Koltun, NIPS 2011)."""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax

from segxai.views.grey import pixels


def foreground_probability(
    mask: np.ndarray, grey: np.ndarray, mask_weight: float, floor: float = 0.05
) -> np.ndarray:
    """Probability of foreground from a coarse mask and the relevance it was cut from.

    ``p = mask_weight · mask + (1 − mask_weight) · relevance``, kept within floor…1 − floor.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
    grey : ndarray of shape (H, W), in 0…1
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
    iterations
        Mean-field steps.
    gaussian_sxy, bilateral_sxy
        Standard deviations in space, in pixels at 224 px.
    bilateral_srgb
        Standard deviation in colour, of 0…255.
    gaussian_compat, bilateral_compat
        Weights of the smoothness and the appearance kernel.

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
        # The library refuses arrays that cannot be written to, such as memory-mapped images.
        rgbim=np.require(image, requirements=["C", "W"]),
        compat=bilateral_compat,
    )
    marginals = np.array(crf.inference(iterations)).reshape(2, height, width)
    return marginals[1] > marginals[0]
