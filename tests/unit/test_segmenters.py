"""Contract of segmenters, for all kinds of inputs."""

import importlib

import numpy as np
import pytest

from segxai.workflow.plugins import methods

SHAPE = (64, 48)
rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (*SHAPE, 3), np.uint8)
# By what a segmenter reads: an object that stands out, and the same without it.
rows, columns = np.indices(SHAPE)
GREY = np.exp(-((rows - 25) ** 2 + (columns - 20) ** 2) / 200) * rng.uniform(0.9, 1, SHAPE)
KEYS = np.eye(8)[np.pad(np.ones((3, 2), int), ((2, 3), (1, 3)))] + 0.01 * rng.random((8, 6, 8))
LEVELS = [GREY + depth / 10 for depth in range(7)] + [GREY[::8, ::8]]
TRUTH = GREY > 0.5
ARGUMENTS = {
    "view": (GREY,),
    "keys": (KEYS, IMAGE),
    "levels": (LEVELS,),
    "network": (GREY[None],),
    "training": (IMAGE,),
    "truth": (TRUTH, 1),
}
EMPTY = {
    "view": (np.zeros(SHAPE),),
    "keys": (np.ones((8, 6, 8)), IMAGE),
    "levels": ([np.zeros(SHAPE)] * 7 + [np.zeros((8, 6))],),
    "network": (np.zeros((1, *SHAPE)),),
    "truth": (np.zeros(SHAPE, bool), 1),
}
# Beside a view.
OTHERS = {"mask": TRUTH, "image": IMAGE, "keys": KEYS, "truth": TRUTH}
NOTHING = {name: np.zeros_like(value) for name, value in OTHERS.items()}
REQUIRED = {"kind": "dilate", "radius": 8}


def segment(method: str, given: dict, others: dict) -> tuple[np.ndarray, dict]:
    """Give a segmenter's mask and facts with its default settings."""
    module = importlib.import_module(f"segxai.segmenters.{method}")
    source, *more = module.ABOUT["reads"]
    read = {name: others[name] for name in more} if source == "view" else {}
    known = module.ABOUT["settings"].items()
    settings = {name: setting.get("default", REQUIRED.get(name)) for name, setting in known}
    if source == "training":
        settings["prepared"] = module.prepare([(IMAGE, TRUTH), (255 - IMAGE, TRUTH)])
    result = module.segment(*given[source], **read, **settings)
    mask, facts = result if isinstance(result, tuple) else (result, {})
    assert list(facts) == module.ABOUT["facts"]
    return mask, facts


@pytest.mark.parametrize("method", methods("segmenters"))
def test_a_mask_is_boolean_of_the_images_shape_and_always_the_same(method):
    """Every segmenter marks some pixels of the image, the same ones when it is called again."""
    mask, facts = segment(method, ARGUMENTS, OTHERS)
    assert mask.shape == SHAPE
    assert mask.dtype == bool
    assert 0 < mask.sum() < mask.size
    again, facts_again = segment(method, ARGUMENTS, OTHERS)
    np.testing.assert_array_equal(mask, again)
    assert facts == facts_again


def reads(method: str) -> str:
    """First thing that a segmenter reads."""
    return importlib.import_module(f"segxai.segmenters.{method}").ABOUT["reads"][0]


@pytest.mark.parametrize("method", [m for m in methods("segmenters") if reads(m) != "training"])
def test_where_nothing_stands_out_nothing_is_marked(method):
    """Constant maps and equal keys give an empty mask instead of an error."""
    mask, _ = segment(method, EMPTY, NOTHING)
    assert mask.shape == SHAPE
    assert not mask.any()


def test_more_masks_of_a_network_have_facts_each():
    """The masks of two channels are kept apart, with the fraction and confidence of each."""
    from segxai.segmenters import predicted_mask

    probability = np.stack([np.full(SHAPE, 0.25), np.full(SHAPE, 0.75)])
    mask, facts = predicted_mask.segment(probability)
    assert mask.shape == (2, *SHAPE)
    assert (facts["mask_fraction_0"], facts["mask_fraction_1"]) == (0, 1)
    assert facts["confidence_0"] == 0
    assert facts["confidence_1"] == pytest.approx(1 + 0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
