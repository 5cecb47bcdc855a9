"""The script that chooses examples: each has its own image, truth, maps, masks and scores."""

import runpy

import numpy as np
import pandas as pd
import pytest

from segxai.explain.maps import pack
from segxai.figures.examples import SEGMENTATION_MASK, read_examples
from segxai.images.masks import mask_rows
from segxai.job.files import write_table

SIDE, CLASSES = 16, ["cyst", "nodule"]
NAMES = ["00", "NA", "02"]
# What each classifier predicts; the label cyst of image 00 is wrong.
PREDICTED = {
    "one": [("00", "cyst"), ("00", "nodule"), ("NA", "cyst")],
    "two": [("NA", "cyst"), ("02", "nodule")],
}
MEASURES = [
    *(("iou_at", "segx", "truth"), ("iou_at", "relevance", "segmentation")),
    *(("reference_fraction", "", "truth"), ("maximum_probability", "", "")),
]


@pytest.fixture
def study(tmp_path):
    """Write what the rules before write of three images, two classifiers and a segmenter."""
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({"image_id": NAMES, "group": NAMES, "split": "test"})
    samples = samples.assign(label="nodule", label_cyst=[0, 1, 1], label_nodule=1)
    write_table(tmp_path / "samples.csv", samples)
    np.save(tmp_path / "images.npy", rng.integers(0, 255, (3, SIDE, SIDE, 3), np.uint8))
    truth = rng.integers(0, 2, (3, 2, SIDE, SIDE), np.uint8)
    with mask_rows(tmp_path / "truth.npy", tmp_path / "truth.csv", SIDE) as append:
        for row, masks in enumerate(truth):
            append(row, dict(enumerate(masks)))
    np.save(tmp_path / "unet.npy", rng.integers(0, 2, (3, 2, SIDE, SIDE), np.uint8))
    write_table(tmp_path / "unet.csv", pd.DataFrame({"image_id": NAMES}))
    for network, labels in PREDICTED.items():
        targets = pd.DataFrame(labels, columns=["image_id", "label"])
        targets["target_id"] = targets.image_id + ":" + targets.label
        targets["channel"] = [CLASSES.index(label) for label in targets.label]
        targets["correct"] = (targets.target_id != "00:cyst").astype(int)
        write_table(tmp_path / f"{network}_targets.csv", targets)
        magnitude = rng.random((len(targets), SIDE, SIDE))
        packed = [pack(-values, values) for values in magnitude]
        np.save(tmp_path / f"{network}_maps.npy", np.stack([array for array, _ in packed]))
        facts = targets[["target_id", "image_id"]].assign(completeness_error=0.1)
        scales = [scale for _, scale in packed]
        write_table(tmp_path / f"{network}_maps.csv", facts.assign(scale=scales))
        write_scores(tmp_path / f"{network}_scores.csv", network, targets)
    return tmp_path, truth


def write_scores(path, network, targets) -> None:
    """Write tidy scores: the k-th target of a classifier has the score k / 10."""
    rows = []
    for k, target in enumerate(targets.itertuples()):
        for metric, view, reference in MEASURES:
            rows.append(
                {"dataset": "toy", "network": network, "explainer": "shap", "segmenter": "unet"}
                | {"seed": 1, "view": view, "reference": reference, "metric": metric}
                | {"target_id": target.target_id, "image_id": target.image_id, "split": "test"}
                | {
                    "group": target.image_id,
                    "correct": target.correct,
                    "constant": 0,
                    "value": (k + 1) / 10,
                }
            )
    write_table(path, pd.DataFrame(rows))


def choose(checkout, folder, **changes):
    """Run the script for the maps of both classifiers, and read what it writes."""
    outputs = folder / "examples.npz", folder / "examples.csv"
    given = {
        "samples": folder / "samples.csv",
        "images": folder / "images.npy",
        "truth": folder / "truth.npy",
        "outlines": folder / "truth.csv",
        "targets": [folder / f"{network}_targets.csv" for network in PREDICTED],
        "maps": [folder / f"{network}_maps.npy" for network in PREDICTED],
        "map_rows": [folder / f"{network}_maps.csv" for network in PREDICTED],
        "map_paths": [f"{network}/shap" for network in PREDICTED],
        "masks": [folder / "unet.npy"],
        "mask_rows": [folder / "unet.csv"],
        "mask_paths": ["unet/unet"],
        "scores": [folder / f"{network}_scores.csv" for network in PREDICTED],
        "study": "segx",
        "dataset": "toy",
        "of": "maps",
        "spec": {
            "count": 12,
            "rank": {"metric": "iou_at", "view": "segx", "reference": "truth"},
            "confidence": {"metric": "maximum_probability"},
        },
        "headline": "",
        "view": {"method": "relevance"},
        "display": [0, 1, 2],
    }
    main = runpy.run_path(str(checkout / "scripts" / "choose_examples.py"))["main"]
    main(**given | changes, arrays=outputs[0], table=outputs[1])
    return read_examples(*outputs)


def test_predictions_of_two_classifiers_are_matched(checkout, study):
    """Each case has the maps and scores of those that predicted it, its own truth and mask."""
    folder, truth = study
    chosen = choose(checkout, folder)
    table = chosen.table
    assert table.target_id.tolist() == ["00:cyst", "00:nodule", "NA:cyst", "02:nodule"]
    assert table["rank"].tolist() == ["error", "median", "best", ""]
    assert table.correct.tolist() == [0, 1, 1, 1]
    images, masks = np.load(folder / "images.npy"), np.load(folder / "unet.npy")
    for place, (image, label) in enumerate([(0, 0), (0, 1), (1, 0), (2, 1)]):
        np.testing.assert_array_equal(chosen.images[place], images[image])
        np.testing.assert_array_equal(chosen.truth[place], truth[image, label])
        np.testing.assert_array_equal(chosen.masks[SEGMENTATION_MASK][place], masks[image, label])
    np.testing.assert_allclose(table["iou_at segx truth:one/shap"], [0.1, 0.2, 0.3, np.nan])
    np.testing.assert_allclose(table["iou_at segx truth:two/shap"], [np.nan, np.nan, 0.1, 0.2])
    for network, places in {"one": [0, 1, 2], "two": [2, 3]}.items():
        maps = chosen.maps[f"{network}/shap"]
        magnitude = np.load(folder / f"{network}_maps.npy")[:, 1].astype(float)
        np.testing.assert_allclose(maps[places], 255 * magnitude, atol=0.6)
        others = [place for place in range(4) if place not in places]
        assert not maps[others].any()


def test_a_study_without_segmentation_has_the_same_choice(checkout, study):
    """Predictions, maps and scores are those with a segmentation; masks there are none."""
    folder, _ = study
    with_mask = choose(checkout, folder)
    without = choose(checkout, folder, masks=[], mask_rows=[], mask_paths=[])
    pd.testing.assert_frame_equal(without.table, with_mask.table)
    assert list(without.maps) == list(with_mask.maps)
    assert (without.masks, without.predicted) == ({}, True)


def test_masks_of_images_are_ranked_by_the_headline_method(checkout, study):
    """Images are chosen by their own score; those without truth are left out, missing maps zero."""
    folder, truth = study
    rows = []
    for k, name in enumerate(NAMES):
        for segmenter, value in (("cut", k / 10), ("disc", 0.5)):
            rows.append(
                {"dataset": "toy", "network": "", "explainer": "", "segmenter": segmenter}
                | {"seed": 1, "view": "", "reference": "truth", "metric": "dice"}
                | {"target_id": "", "image_id": name, "group": name, "split": "test"}
                | {"correct": np.nan, "constant": np.nan, "value": value if k else np.nan}
            )
    write_table(folder / "overlap.csv", pd.DataFrame(rows))
    chosen = choose(
        checkout,
        folder,
        of="masks",
        scores=[folder / "overlap.csv"],
        masks=[folder / "unet.npy"] * 2,
        mask_rows=[folder / "unet.csv"] * 2,
        mask_paths=["cut", "disc"],
        spec={"count": 6, "rank": {"metric": "dice", "reference": "truth"}},
        headline="cut",
    )
    table = chosen.table
    assert table.image_id.tolist() == ["NA", "02"]
    assert table["rank"].tolist() == ["median", "best"]
    np.testing.assert_allclose(table["dice truth:cut"], [0.1, 0.2])
    np.testing.assert_array_equal(chosen.truth[0], truth[1, 0])
    assert list(chosen.masks) == ["cut", "disc"]


def test_no_predictions_at_all(checkout, study):
    """Where no label was predicted the files have no rows, and so have the examples."""
    folder, _ = study
    for network in PREDICTED:
        for name in ("targets", "maps", "scores"):
            path = folder / f"{network}_{name}.csv"
            write_table(path, pd.read_csv(path, keep_default_na=False).iloc[:0])
        np.save(folder / f"{network}_maps.npy", np.zeros((0, 2, SIDE, SIDE), np.float16))
    chosen = choose(checkout, folder)
    assert len(chosen.table) == 0
    assert chosen.images.shape == (0, SIDE, SIDE, 3)
