"""TokenCut: planted objects, the official dense procedure, and the keys it is fed."""

import numpy as np
import pytest
import scipy.linalg
import timm
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from timm.layers import resample_abs_pos_embed

from segxai.job.log import InputError
from segxai.networks.keys import key_features
from segxai.segmenters.spectral import MIN_EIGENGAP, normalized_cut
from segxai.segmenters.tokens import NoPartition, cut_tokens, token_affinity


def object_mask(features: np.ndarray) -> np.ndarray:
    """TokenCut's mask of the grid at the published τ."""
    return cut_tokens(features, 0.2).mask


def planted(shape: tuple[int, int], *boxes: tuple[slice, slice], noise: float = 0.0, seed: int = 0):
    """Features (h, w, 16) of one direction per box and one for the ground, plus noise."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, int)
    for number, box in enumerate(boxes, start=1):
        labels[box] = number
    directions = np.eye(16)[labels]
    return directions + noise * rng.standard_normal(directions.shape)


def dense_vector(features: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """Second generalised eigenvector and all eigenvalues as the official codes take them."""
    tokens = features.reshape(-1, features.shape[-1])
    tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    affinity = np.where(tokens @ tokens.T > tau, 1.0, 1e-5)
    degree = np.diag(affinity.sum(axis=1))
    values, vectors = scipy.linalg.eigh(degree - affinity, degree)
    return vectors[:, 1], values


def official(features: np.ndarray, tau: float) -> np.ndarray:
    """TokenCut's mask, step by step as in its published code."""
    vector, _ = dense_vector(features, tau)
    bipartition = vector > vector.sum() / len(vector)
    seed = np.argmax(np.abs(vector))
    if not bipartition[seed]:
        bipartition = np.logical_not(bipartition)
    objects, _ = ndimage.label(bipartition.reshape(features.shape[:2]))
    return objects == objects[np.unravel_index(seed, features.shape[:2])]


@pytest.mark.parametrize("shape", [(14, 14), (9, 20), (30, 4)])
def test_planted_block_is_found(shape):
    """A block of its own direction on a grid of any shape is the mask, exactly."""
    box = (slice(2, 7), slice(1, 3))
    expected = np.zeros(shape, bool)
    expected[box] = True
    np.testing.assert_array_equal(object_mask(planted(shape, box, noise=0.02)), expected)


def test_only_the_component_of_the_seed_is_kept():
    """Two like blocks that touch at a corner only: the one less like the ground is the mask."""
    near, far, bridge = np.s_[2:6, 2:6], np.s_[6:8, 6:9], np.s_[0, 0:3]
    features = planted((12, 15), near, far)
    features[near] = np.eye(16)[1] + np.eye(16)[3]
    features[far] = np.eye(16)[1]
    features[bridge] = np.eye(16)[0] + np.eye(16)[3]
    expected = np.zeros((12, 15), bool)
    expected[far] = True
    np.testing.assert_array_equal(object_mask(features), expected)
    np.testing.assert_array_equal(official(features, 0.2), expected)
    vector, _ = dense_vector(features, 0.2)
    side = (vector > vector.mean()).reshape(12, 15)
    assert (side[near] == side[far][0, 0]).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(5, 14),
    width=st.integers(5, 14),
    noise=st.floats(0.05, 0.6),
)
def test_equals_the_official_procedure(seed, height, width, noise):
    """On features with a clear eigengap the mask is that of the official dense procedure."""
    features = planted(
        (height, width),
        (slice(1, 4), slice(1, 5)),
        (slice(3, 5), slice(0, 2)),
        noise=noise,
        seed=seed,
    )
    vector, values = dense_vector(features, 0.2)
    assume(values[2] - values[1] > 1e-3)
    # Rounding alone decides where an entry is the mean, or where two have the same magnitude.
    assume(np.abs(vector - vector.mean()).min() > 1e-9)
    magnitudes = np.sort(np.abs(vector))
    assume(magnitudes[-1] - magnitudes[-2] > 1e-9)
    np.testing.assert_array_equal(object_mask(features), official(features, 0.2))


def test_partition_agrees_with_the_dense_solver_on_random_graphs():
    """At least 99 % of 300 random graphs with a clear eigengap are cut as `eigh` cuts them."""
    rng = np.random.default_rng(0)
    same = []
    while len(same) < 300:
        n, objects = int(rng.integers(70, 200)), int(rng.integers(2, 6))
        centres = rng.standard_normal((objects, 12))
        features = centres[rng.integers(0, objects, n)][None]
        features = features + rng.uniform(0.1, 1.5) * rng.standard_normal(features.shape)
        expected, values = dense_vector(features, 0.2)
        if values[2] - values[1] < 1e-3:
            continue
        vector, _ = normalized_cut(token_affinity(features, 0.2))
        side, other = vector > vector.mean(), expected > expected.mean()
        same.append((side == other).all() or (side != other).all())
    assert np.mean(same) >= 0.99


@given(scale=st.floats(1e-6, 1e6))
def test_unit_of_features_does_not_matter(scale):
    """Features times a positive number give the same mask, in single precision too."""
    features = planted((8, 10), (slice(2, 5), slice(3, 8)), noise=0.1)
    expected = object_mask(features)
    np.testing.assert_array_equal(object_mask(scale * features), expected)
    np.testing.assert_array_equal(object_mask((scale * features).astype(np.float32)), expected)


def test_turning_the_grid_turns_the_mask():
    """The mask of transposed and mirrored features is transposed and mirrored."""
    features = planted((8, 13), (slice(1, 4), slice(3, 8)), noise=0.1)
    mask = object_mask(features)
    np.testing.assert_array_equal(object_mask(features.swapaxes(0, 1)), mask.T)
    np.testing.assert_array_equal(object_mask(features[::-1, ::-1]), mask[::-1, ::-1])


def test_three_corners_belong_to_the_ground():
    """Where the peak lies on the side of three corners, `avoid_corners` takes the other side."""
    box = (slice(1, 7), slice(1, 9))
    features = planted((8, 10), box)
    corners = [[0, 0, -1, -1], [0, -1, 0, -1]]
    assert object_mask(features)[*corners].all()
    mask = cut_tokens(features, 0.2, avoid_corners=True).mask
    assert mask[box].all()
    assert mask.sum() == 48


def test_equal_blocks_have_no_eigengap():
    """Three unlike blocks of one size: the dense solver cuts, and the eigengap shows it."""
    features = planted((9, 10), (slice(3, 6), slice(None)), (slice(6, 9), slice(None)))
    mask, eigengap = cut_tokens(features, 0.2)
    assert eigengap < MIN_EIGENGAP
    assert 0 < mask.sum() < mask.size
    assert cut_tokens(planted((9, 10), (slice(3, 5), slice(0, 4))), 0.2).eigengap > 0.01


@pytest.mark.parametrize("features", [np.ones((6, 7, 4)), np.zeros((6, 7, 4))])
def test_equal_tokens_have_no_partition(features):
    """Constant and zero features have no partition, and the sentence names a remedy."""
    with pytest.raises(NoPartition, match="centre the features"):
        object_mask(features)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.ones((1, 1, 8)), "at least 3 tokens"),
        (np.ones((7, 8)), r"\(h, w, d\)"),
        (np.full((4, 4, 8), np.nan), "NaN"),
        (np.full((4, 4, 8), np.inf), "infinite"),
    ],
)
def test_impossible_features_are_refused(features, words):
    """Arrays that are not a grid of features are refused with the reason."""
    with pytest.raises(ValueError, match=words):
        object_mask(features)


def test_tokens_unlike_all_others_are_cut_off_one_at_a_time():
    """A graph of single tokens and one block has a defined cut: it never loops or is empty."""
    features = planted((5, 6), (slice(0, 3), slice(0, 6)))
    features[4] = np.eye(16)[10:]
    mask = object_mask(features)
    np.testing.assert_array_equal(mask, official(features, 0.2))
    assert mask.any()


def vit(**arguments) -> torch.nn.Module:
    """Build a tiny ViT with random weights."""
    torch.manual_seed(0)
    size = {"patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 0}
    return timm.create_model("vit_tiny_patch16_224", **size, **arguments).eval()


def test_input_that_patches_do_not_tile_is_refused():
    """An input of 50 px for patches of 8 names the key and the nearest size that fits."""
    with pytest.raises(InputError, match=r"50 px.* 8 px; set `input_size` to 48\."):
        key_features(vit(dynamic_img_size=True), torch.zeros(1, 3, 50, 50))


def test_keys_of_other_input_sizes_have_interpolated_positions():
    """A 48 × 80 input gives the keys of a network built for it with resampled positions."""
    dynamic = vit(img_size=32, dynamic_img_size=True)
    fixed = vit(img_size=(48, 80))
    state = dynamic.state_dict()
    state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], (6, 10), num_prefix_tokens=1)
    fixed.load_state_dict(state)
    x = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(1))
    keys = key_features(dynamic, x)
    assert keys.shape == (2, 6, 10, 48)
    torch.testing.assert_close(keys, key_features(fixed, x))
    centred = key_features(dynamic, x, centre=True)
    torch.testing.assert_close(centred, keys - keys.mean(dim=(1, 2), keepdim=True))
