"""True masks that are eroded, dilated or shifted by a known dose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.morphology import disk

from segxai.segmenters.degraded_truth import segment

masks = arrays(bool, (7, 9))


@pytest.mark.parametrize("side", [224, 448])
def test_degraded_masks_are_scipys_with_a_disc(side):
    """Erosion and dilation by 4 px at 224 px equal SciPy's with a disc of that share of the image.

    The border cuts the mask but is not its edge; masks of 0 and 1 and of booleans are equal.
    """
    mask = np.zeros((side, side), bool)
    mask[: side // 3, side // 4 : side // 2] = True
    footprint = disk(4 * side // 224)
    eroded = binary_erosion(mask, footprint, border_value=True)
    assert (segment(mask, 0, "erode", 4) == eroded).all()
    assert (segment(mask.astype(np.uint8), 0, "erode", 4) == eroded).all()
    assert (segment(mask, 0, "dilate", 4) == binary_dilation(mask, footprint)).all()


@pytest.mark.parametrize("seed", range(6))
def test_shift_moves_by_the_radius_in_a_seeded_direction(seed):
    """The centre moves by the radius, the shape stays, and twice the radius is the same way."""
    mask = np.zeros((224, 224), bool)
    mask[90:130, 100:120] = True
    centre = np.argwhere(mask).mean(axis=0)
    step, double = (
        np.argwhere(segment(mask, seed, "shift", radius)).mean(axis=0) - centre
        for radius in (20, 40)
    )
    assert segment(mask, seed, "shift", 20).sum() == mask.sum()
    assert np.linalg.norm(step) == pytest.approx(20, abs=0.71)
    np.testing.assert_allclose(double, 2 * step, atol=1.5)
    moved = np.roll(mask, step.astype(int), axis=(0, 1))
    assert (segment(mask, seed, "shift", 20) == moved).all()


def test_shift_directions_differ_and_leave_the_image():
    """Seeds give different directions; what leaves the image does not return on the other side."""
    mask = np.zeros((64, 64), bool)
    mask[:, :4] = True
    shifted = [segment(mask, seed, "shift", 112) for seed in range(20)]
    assert len({mask.tobytes() for mask in shifted}) > 5
    assert min(mask.sum() for mask in shifted) == 0
    assert not any(mask[:, -4:].any() for mask in shifted)


@given(masks, st.floats(0, 200), st.sampled_from(["erode", "dilate", "shift"]))
def test_doses_are_ordered_and_extremes_defined(mask, radius, kind):
    """No dose changes nothing, eroded ⊂ mask ⊂ dilated, empty stays empty and full full."""
    assert (segment(mask, 1, kind, 0) == mask).all()
    degraded = segment(mask, 1, kind, radius)
    assert kind != "erode" or (degraded <= mask).all()
    assert kind != "dilate" or (degraded >= mask).all()
    assert kind != "shift" or degraded.sum() <= mask.sum()
    assert not segment(np.zeros_like(mask), 1, kind, radius).any()
    assert kind == "shift" or segment(np.ones_like(mask), 1, kind, radius).all()


@pytest.mark.parametrize(("kind", "radius", "words"), [("blur", 1, "'blur'"), ("erode", -1, "-1")])
def test_unknown_degradations_are_refused(kind, radius, words):
    """Another kind, or a negative radius, is refused."""
    with pytest.raises(ValueError, match=words):
        segment(np.ones((4, 4), bool), 0, kind, radius)
