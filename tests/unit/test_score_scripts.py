"""The scripts that score maps and masks, on tiny data by hand."""

import runpy

import numpy as np
import pandas as pd
import pytest

from segxai.explain.maps import COLUMNS as MAP_COLUMNS
from segxai.explain.maps import is_constant, pack
from segxai.images.masks import mask_rows
from segxai.job.files import read_rows
from segxai.job.log import InputError
from segxai.job.parallel import BLAS_THREADS
from segxai.metrics.disturbance import Disturbance
from segxai.metrics.scoring import COLUMNS, KNOWN
from segxai.workflow.plugins import about

CLASSES = ["a", "b"]
MAP_KEYS = {"dataset": "d", "network": "n", "explainer": "e"}
MASK_KEYS = {**MAP_KEYS, "segmenter": "s"}
TARGETS = [("i2", "a", 1), ("i2", "b", 1), ("i3", "a", 0), ("i5", "a", 1)]


def request(metric, view="", reference="", segmenter="unet", **changes) -> dict:
    """One request as `segxai.workflow.studies.requests` makes it, with default settings."""
    settings = about("metrics", metric)["settings"]
    defaults = {name: key["default"] for name, key in settings.items()}
    return {
        "segmenter": segmenter,
        "segmenter_definition": {"method": "predicted_mask"} if segmenter == "unet" else None,
        "view": {"name": view, "method": view} if view else None,
        "reference": reference,
        "metric": {"name": metric, "method": metric, **defaults},
    } | changes


def dose(name, kind, radius, *measured) -> list[dict]:
    """Requests with a degraded truth in the segmentation's place."""
    definition = {"method": "degraded_truth", "kind": kind, "radius": radius}
    return [request(*parts, segmenter=name, segmenter_definition=definition) for parts in measured]


@pytest.fixture
def script(checkout, monkeypatch):
    """Return a function that gives the `main` of a script, which does its work in this process."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, "1")
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


@pytest.fixture
def data(tmp_path):
    """Write six images of 20 × 20 pixels with findings a and b, their truth, and predictions."""
    masks = np.zeros((6, 2, 20, 20), np.uint8)
    masks[:, 0, 2:6, 2:7] = [[[1]], [[0]], [[1]], [[0]], [[1]], [[1]]]
    masks[:, 1, 10:15, 10:14] = [[[0]], [[1]], [[1]], [[0]], [[0]], [[1]]]
    shown = masks.any(axis=(2, 3)).astype(int)
    samples = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(6)],
            "group": list("uvwxyz"),
            "split": ["train", "validation", "test", "test", "validation", "test"],
            "label": "any",
            "label_a": shown[:, 0],
            "label_b": shown[:, 1],
            "mask_pixels": masks.any(axis=1).sum(axis=(1, 2)),
        }
    )
    samples.to_csv(tmp_path / "samples.csv", index=False)
    with mask_rows(tmp_path / "truth.npy", tmp_path / "outlines.csv", 20) as append:
        for row, by_class in enumerate(masks):
            append(row, dict(enumerate(by_class)))
    predictions = {
        "image_id": np.repeat(samples.image_id, 2),
        "class": CLASSES * 6,
        "probability": [0.6, 0.7] * 6,
        "threshold": [0.5, 0.2] * 6,
    }
    pd.DataFrame(predictions).to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path


def write_targets(folder, targets, kind="label") -> None:
    """Write targets and maps of them that are 1 on the true mask of class a and ½ elsewhere."""
    samples = read_rows(folder / "samples.csv").set_index("image_id")
    table = pd.DataFrame(targets, columns=["image_id", "label", "correct"])
    table = table.assign(
        target_id=table.image_id + ":" + table.label,
        row=[samples.index.get_loc(name) for name in table.image_id],
        group=samples.group[table.image_id].to_numpy(),
        split="test",
        kind=kind,
        channel=[CLASSES.index(label) for label in table.label],
    )
    table.to_csv(folder / "targets.csv", index=False)
    on_a = np.zeros((6, 20, 20))
    on_a[[0, 2, 4, 5], 2:6, 2:7] = 0.5
    magnitudes = [3 * (0.5 + on_a[row]) for row in table.row]
    packed = [pack(-magnitude, magnitude) for magnitude in magnitudes]
    maps = np.stack([array for array, _ in packed]) if packed else np.empty((0, 2, 20, 20))
    np.save(folder / "maps.npy", maps.astype(np.float16))
    facts = table[["target_id", "image_id"]].assign(scale=[scale for _, scale in packed])
    facts["constant"] = [int(is_constant(array)) for array, _ in packed]
    facts.reindex(columns=MAP_COLUMNS).to_csv(folder / "maps.csv", index=False)


def write_segmentations(folder, masks) -> None:
    """Write a mask of i2, i3 and i5, or one for each class, and the segmenter's confidence."""
    np.save(folder / "masks.npy", masks.astype(np.uint8))
    confidence = [0.9, 0.1, 0.5]
    names = ["confidence"] if masks.ndim == 3 else ["confidence_0", "confidence_1"]
    facts = pd.DataFrame({"image_id": ["i2", "i3", "i5"]})
    facts = facts.assign(**{name: np.divide(confidence, n) for n, name in enumerate(names, 1)})
    facts.to_csv(folder / "masks.csv", index=False)


def score_maps(script, folder, requests, threads=1, **files) -> pd.DataFrame:
    """Run score_maps and read what it wrote."""
    script("score_maps")(
        targets=folder / "targets.csv",
        samples=folder / "samples.csv",
        maps=folder / "maps.npy",
        rows=folder / "maps.csv",
        truth=folder / "truth.npy",
        outlines=folder / "outlines.csv",
        predictions=folder / "predictions.csv",
        requests=requests,
        cell=MAP_KEYS,
        seed=1,
        classes=CLASSES,
        threads=threads,
        scores=folder / "scores.csv",
        **files,
    )
    return read_rows(folder / "scores.csv")


def segmentation(folder) -> dict:
    return {"segmentation": folder / "masks.npy", "segmentation_rows": folder / "masks.csv"}


def score_masks(script, folder, requests, **files) -> pd.DataFrame:
    """Run score_masks and read what it wrote."""
    script("score_masks")(
        masks=folder / "masks.npy",
        facts=folder / "masks.csv",
        samples=folder / "samples.csv",
        truth=folder / "truth.npy",
        outlines=folder / "outlines.csv",
        requests=requests,
        cell=MASK_KEYS,
        seed=1,
        scores=folder / "scores.csv",
        **files,
    )
    return read_rows(folder / "scores.csv")


def wide(scores, *names) -> pd.DataFrame:
    """Values by target, in their order, and by the given names."""
    values = scores.set_index(["target_id", *names]).value.unstack(names, sort=False)
    return values.loc[scores.target_id.unique()]


def test_scores_of_correct_and_incorrect_labels(script, data):
    """Each label is held against its own mask; an incorrect one has none, no segmentation is 0."""
    union = np.zeros((3, 20, 20))
    union[0, 2:6, 2:7] = union[0, 10:15, 10:14] = 1
    write_targets(data, TARGETS)
    write_segmentations(data, union)
    requests = [
        request("iou_at", "relevance", "truth"),
        request("iou_at", "segx", "truth"),
        request("iou_at", "segx_mask_first", "truth"),
        request("iou_at", "relevance", "segmentation"),
        request("iou", reference="truth"),
        request("mask_fraction"),
        request("reference_fraction", reference="truth"),
        request("probability"),
        request("maximum_probability"),
        request("segmentation_confidence"),
    ]
    scores = score_maps(script, data, requests, **segmentation(data))
    assert list(scores) == COLUMNS
    # In the order of targets × requests, with all keys.
    assert scores.metric.tolist() == [asked["metric"]["name"] for asked in requests] * len(TARGETS)
    assert scores.loc[0, KNOWN].tolist() == ["i2:a", "i2", "w", "test", 1, 0]
    assert scores.constant.isna().equals(scores["view"].isna())
    keys = ["dataset", "network", "explainer", "segmenter", "seed"]
    assert scores[keys].drop_duplicates().to_numpy().tolist() == [["d", "n", "e", "unet", 1]]
    values = wide(scores.fillna({"view": "", "reference": ""}), "metric", "view", "reference")
    # The finding of a is 5 % of the image, and alone at the top of its map.
    assert values["iou_at", "relevance", "truth"].tolist()[:2] == [1, 0]
    assert values["iou_at", "segx", "truth"].tolist()[:2] == [1, 0]
    # Image i3 shows nothing: nothing can be overlapped, and SegU is 0 as nothing is segmented.
    undefined = pytest.approx([np.nan, np.nan, np.nan, 0], nan_ok=True)
    assert values["iou_at"].loc["i3:a"].tolist() == undefined
    # In i5 nothing is segmented, though a finding is there.
    assert values["iou_at"].loc["i5:a"].tolist() == [1, 0, 0, 0]
    # Nothing is to be segmented in i3; of both findings of i2 one is that of the label.
    assert values["iou", "", "truth"].tolist() == pytest.approx([0.5, 0.5, np.nan, 0], nan_ok=True)
    assert values["reference_fraction", "", "truth"].tolist() == [0.05, 0.05, 0, 0.05]
    assert values["mask_fraction", "", ""].tolist() == [0.1, 0.1, 0, 0]
    assert values["segmentation_confidence", "", ""].tolist() == [0.9, 0.9, 0.1, 0.5]
    assert values["probability", "", ""].tolist() == [0.6, 0.7, 0.6, 0.6]
    odds = 0.7 / 0.3 / (0.2 / 0.8)
    expected = [0.6, odds / (1 + odds)]
    assert values["maximum_probability", "", ""].tolist()[:2] == pytest.approx(expected)


def test_a_segmentation_of_each_class(script, data):
    """Of a mask for each class a label takes its own, and the confidence in it."""
    masks = np.zeros((3, 2, 20, 20))
    masks[0, 1, 10:15, 10:14] = 1
    write_targets(data, TARGETS[:2])
    write_segmentations(data, masks)
    requests = [request("iou", reference="truth"), request("segmentation_confidence")]
    scores = score_maps(script, data, requests, scope="per_class", **segmentation(data))
    assert scores.value.tolist() == [0, 0.9, 1, 0.45]


def test_doses_of_the_true_mask(script, data):
    """The undamaged union gives SegX all of the lesion; a shift out of the image leaves nothing."""
    write_targets(data, [("i2", "a", 1), ("i3", "b", 0)])
    measured = [
        ("iou_at", "relevance", "truth"),
        ("iou_at", "segx", "truth"),
        ("iou_at", "relevance", "segmentation"),
        ("dice", "", "findings"),
    ]
    doses = [("none", "erode", 0), ("eroded", "erode", 12), ("gone", "shift", 400)]
    requests = [parts for name, *damage in doses for parts in dose(name, *damage, *measured)]
    scores = score_maps(script, data, requests)
    scores = scores.fillna({"view": ""})
    of_lesion = scores[scores.image_id == "i2"]
    values = of_lesion.set_index(["segmenter", "metric", "view", "reference"]).value
    assert values["none"].tolist() == [1, 1, 0.5, 1]
    assert 0 < values["eroded", "iou_at", "segx", "truth"] < 1
    assert values["gone"].tolist() == [1, 0, 0, 0]
    # Image i3 shows nothing, which no dose can change: only SegU is defined, and 0.
    of_nothing = scores[scores.image_id == "i3"]
    certainty = of_nothing.reference == "segmentation"
    assert of_nothing.value[~certainty].isna().all()
    assert of_nothing.value[certainty].tolist() == [0, 0, 0]


def test_an_unknown_outline_is_not_an_empty_mask(script, data):
    """What is compared with an outline that nobody drew is undefined, false positives too."""
    outlines = pd.DataFrame({"row": [2, 2, 5], "class": [0, 1, 0], "place": [-1, 0, 1]})
    outlines.to_csv(data / "outlines.csv", index=False)
    np.save(data / "truth.npy", np.load(data / "truth.npy")[:2])
    write_targets(data, TARGETS[:2])
    write_segmentations(data, np.ones((3, 20, 20)))
    requests = [
        request("iou_at", "relevance", "truth"),
        request("reference_fraction", reference="truth"),
        *dose("none", "erode", 0, ("dice", "", "findings"), ("iou_at", "segx", "truth")),
        request("iou_at", "relevance", "segmentation"),
    ]
    values = score_maps(script, data, requests, **segmentation(data)).value.to_numpy()
    assert np.isnan(values[:4]).all()
    # The other label's outline is known; the union of both is not.
    assert np.isfinite(values[5:7]).all() and np.isnan(values[7:9]).all()
    assert np.isfinite(values[[4, 9]]).all()
    measured = ("iou", "false_positive", "false_positive_area")
    requests = [request(metric, reference="truth", segmenter="") for metric in measured]
    masks = score_masks(script, data, requests)
    # Unknown, empty, and 20 of 400 pixels, each below a mask that marks all.
    undefined = [np.nan] * 3
    expected = [undefined, [np.nan, 1, 1], [0.05, np.nan, np.nan]]
    np.testing.assert_array_equal(masks.value.to_numpy().reshape(3, 3), expected)


def test_relevance_on_a_marker(script, data):
    """Of the chosen label only; without a marker shares are undefined, and its size is 0."""
    write_targets(data, TARGETS)
    markers = np.zeros((6, 20, 20), np.uint8)
    markers[2, 2:6, 2:7] = 1
    np.save(data / "markers.npy", markers)
    requests = [
        request("relevance_mass", "relevance", "marker", ""),
        request("top_mass", "relevance", "marker", ""),
        request("reference_fraction", reference="marker", segmenter=""),
    ]
    scores = score_maps(script, data, requests, markers=data / "markers.npy", labels=["a"])
    assert scores.target_id.unique().tolist() == ["i2:a", "i3:a", "i5:a"]
    # 20 of 400 pixels count twice as much as the others.
    assert scores.value.tolist()[:3] == pytest.approx([40 / 420, 1, 0.05])
    assert scores.value.tolist()[3:6] == pytest.approx([np.nan, np.nan, 0], nan_ok=True)


def test_few_maps_are_explained_again(script, data):
    """Scores of a second run are those of its row, and undefined for targets without one."""
    write_targets(data, TARGETS)
    known = Disturbance(np.arange(5.0), np.nan, 0.75, np.linspace(0.5, -0.5, 5), 0.25)
    np.save(data / "disturbed.npy", known.row()[None])
    pd.DataFrame({"target_id": ["i2:b"]}).to_csv(data / "disturbed.csv", index=False)
    names = ["max_sensitivity", "class_sensitivity", "draw_agreement", "randomisation"]
    files = {"disturbed": data / "disturbed.npy", "disturbed_rows": data / "disturbed.csv"}
    scores = score_maps(script, data, [request(name, segmenter="") for name in names], **files)
    values = scores.pivot(index="target_id", columns="metric", values="value")
    made = values.loc["i2:b", [*names, "randomisation_1", "randomisation_null"]]
    assert made.tolist() == pytest.approx([4, np.nan, 0.75, -0.5, 0.5, 0.25], nan_ok=True)
    assert values.drop("i2:b").isna().all(axis=None)


def test_the_size_is_that_of_validation_images(script, data):
    """Their findings have 20 of 400 pixels; others, of 40, do not count."""
    write_targets(data, [("i5", "a", 1)])
    scores = score_maps(script, data, [request("iou_validation", "relevance", "truth", "")])
    assert scores.value.tolist() == [1]


def test_maps_of_other_seeds_are_found_by_image_and_label(script, data):
    """Whatever the order of the other seeds' lists; targets that they lack are counted."""
    drawn = np.random.default_rng(0).normal(size=(4, 20, 20))
    names = [f"{image}:{label}" for image, label, _ in TARGETS]

    def write_maps(seed, numbers) -> dict:
        write_targets(data, [TARGETS[number] for number in numbers])
        own = [pack(drawn[number], abs(drawn[number]))[0] for number in numbers]
        np.save(data / "maps.npy", own)
        moved = {key: data / f"seed-{seed}.{key}" for key in ("npy", "csv")}
        return {key: (data / f"maps.{key}").rename(file) for key, file in moved.items()}

    others = [write_maps(2, [2, 1, 0]), write_maps(3, [1, 2])]
    own = write_maps(1, range(4))
    for key, file in own.items():
        file.rename(data / f"maps.{key}")
    files = {"other_maps": [f["npy"] for f in others], "other_rows": [f["csv"] for f in others]}
    scores = score_maps(script, data, [request("seed_agreement", segmenter="")], **files)
    values = scores.pivot(index="target_id", columns="metric", values="value").loc[names]
    alike = pytest.approx([1, 1, 1, np.nan], nan_ok=True, abs=1e-3)
    assert values.seed_agreement.tolist() == alike
    assert values.prediction_agreement.tolist() == [0.5, 1, 1, 0]


def test_regions_are_compared_with_all_findings(script, data):
    """A region of a segmenter of all findings is compared with their union."""
    write_targets(data, [("i2", "a", 1)], kind="region")
    predictions = {"image_id": ["i2"], "class": ["region-0"], "predicted": [1]}
    pd.DataFrame(predictions).to_csv(data / "predictions.csv", index=False)
    requests = [request("iou_at", "relevance", "truth"), request("probability")]
    iou, probability = score_maps(script, data, requests).value
    assert iou == 0.5
    assert np.isnan(probability)


def test_no_target_at_all(script, data):
    """Without predictions there are no maps, and each request has an undefined value."""
    write_targets(data, [])
    scores = score_maps(script, data, [request("iou_at", "relevance", "truth")])
    assert len(scores) == 1
    assert scores[["target_id", "image_id", "value"]].isna().all(axis=None)
    assert scores["metric"].item() == "iou_at"
    assert list(scores) == COLUMNS


def test_processes_change_nothing(script, data):
    """Two processes write the bytes that one writes."""
    write_targets(data, TARGETS)
    requests = [
        request("auitc", "relevance", "truth", ""),
        request("probability", segmenter=""),
        *dose("eroded", "erode", 12, ("auitc", "segx", "truth")),
    ]
    files = []
    for threads in (1, 2):
        score_maps(script, data, requests, threads)
        files.append((data / "scores.csv").read_bytes())
    assert files[0] == files[1]


def test_a_map_of_another_run_is_refused(script, data):
    """A target without a map is named with the file that lacks it, and the remedy."""
    write_targets(data, TARGETS)
    maps = read_rows(data / "maps.csv")
    maps.assign(target_id=maps.target_id.replace("i3:a", "i4:a")).to_csv(
        data / "maps.csv", index=False
    )
    with pytest.raises(InputError, match=r"maps\.csv: does not fit .* 'i4:a'; delete it"):
        score_maps(script, data, [request("probability")])


def test_masks_of_images_and_of_targets(script, data):
    """A mask of an image is held against all findings, one of a label against the label's own."""
    masks = np.zeros((3, 20, 20))
    masks[0, 2:6, 2:7] = 1
    write_targets(data, TARGETS)
    write_segmentations(data, masks)
    requests = [
        request("dice", reference="truth", segmenter=""),
        request("mask_fraction", segmenter=""),
        request("reference_fraction", reference="truth", segmenter=""),
    ]
    scores = score_masks(script, data, requests)
    assert list(scores) == COLUMNS
    assert scores.segmenter.unique().tolist() == ["s"]
    assert scores.target_id.isna().all() and scores.correct.isna().all()
    # An empty mask scores 0 on a finding; without a finding, overlap is undefined.
    expected = [[2 / 3, 0.05, 0.1], [np.nan, 0, 0], [0, 0, 0.1]]
    np.testing.assert_allclose(scores.value.to_numpy().reshape(3, 3), expected)
    pd.DataFrame({"target_id": ["i2:a", "i2:b", "i5:a"]}).to_csv(data / "masks.csv", index=False)
    scores = score_masks(script, data, requests[:1], targets=data / "targets.csv")
    assert scores.value.tolist() == [1, 0, 0]
    assert scores.target_id.tolist() == ["i2:a", "i2:b", "i5:a"]


def test_objects_of_a_mask_are_scored(script, data, caplog):
    """A perfect mask merges touching objects; where no object is, no score is defined."""
    objects = np.zeros((6, 20, 20), np.uint16)
    objects[2, 0:4, 0:2], objects[2, 0:4, 2:4], objects[3, 0:4, 0:4] = 7, 40_000, 1
    np.save(data / "instances.npy", objects)
    pd.DataFrame({"image_id": [f"i{k}" for k in range(6)], "annotated": [0, 0, 1, 0, 0, 0]}).to_csv(
        data / "instances.csv", index=False
    )
    write_segmentations(data, objects[[2, 3, 5]] > 0)
    requests = [
        request(metric, reference="instances", segmenter="")
        for metric in ("aji", "panoptic_quality")
    ]
    files = {"instances": data / "instances.npy", "instance_facts": data / "instances.csv"}
    scores = score_masks(script, data, requests, **files)
    values = scores.pivot(index="image_id", columns="metric", values="value")
    # One component of 16 pixels over two objects of 8: chosen twice, and an IoU of 0.5 does not
    # match.
    assert values.aji.tolist()[:2] == [0.5, 1]
    assert values.pq.tolist()[:2] == values.sq.tolist()[:2] == [0, 1]
    assert values.loc["i5"].isna().all()
    assert "2 of 3 images have no numbers of objects" in caplog.text
