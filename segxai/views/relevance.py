"""From attributions to relevance maps."""

import numpy as np
import torch
from skimage.transform import resize

from segxai.networks.inputs import join_windows


def relevance(attribution: torch.Tensor, grid: int, shape: tuple[int, int]) -> np.ndarray:
    """Relevance map of one image from the attributions of its windows.

    The magnitude |A| is summed over channels (both signs locate what the classifier looks at),
    windows are joined, and the map is resized to the analysis size.

    Parameters
    ----------
    attribution : Tensor of shape (grid², 3, h, w)
    grid
        Windows per side.
    shape
        (H, W) of the analysis size.

    Returns
    -------
    ndarray of shape (H, W), float32 in 0…1
        Scaled to maximum 1, so that float16 keeps its precision.
    """
    magnitude = join_windows(attribution.abs().sum(dim=1).double().cpu().numpy(), grid)
    full = resize(magnitude, shape, order=1, anti_aliasing=False, mode="edge")
    peak = full.max()
    return (full / peak if peak > 0 else full).astype(np.float32)
