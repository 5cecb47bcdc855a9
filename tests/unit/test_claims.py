"""Verdicts on published numbers, and why a number cannot be compared."""

import runpy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from segxai.job.files import read_rows
from segxai.stats.claims import claims
from segxai.stats.tables import COLUMNS, OPEN
from segxai.workflow.shown import CELL, describe
from segxai.workflow.studies import values

KEYS = {"table": "alignment", "dataset": "toy", "network": "net", "explainer": "shap"}
KEYS |= {"split": "test", "metric": "iou_at", "view": "segx", "reference": "truth"}
KEYS |= {"statistic": "mean", "where": "all", "unit": "fraction"}
PUBLISHED = pd.DataFrame(
    [
        KEYS | {"value": 0.25},
        KEYS | {"where": "correct", "value": 0.5},
        KEYS | {"dataset": "absent"},
    ]
).assign(paper="paper")
NUMBERS = {"value": 0.3, "ci_low": 0.28, "ci_high": 0.32, "n": 7}
OURS = pd.DataFrame(
    [KEYS | NUMBERS, KEYS | {"where": "correct", "value": np.nan, "n": 0}], columns=COLUMNS
).assign(study="study")
OURS[[*OPEN, *CELL]] = OURS[[*OPEN, *CELL]].astype(object).fillna("")


def judge(published=PUBLISHED, obstacle="", note="") -> pd.DataFrame:
    """Judge the toy table."""
    return claims(published, OURS, lambda claim: obstacle, {("study", "toy"): note})


def test_verdicts():
    """A number is reproduced, differs in its own unit, is undefined, or was not run."""
    verdicts = judge(note="a note")
    assert list(verdicts.verdict) == ["differs", "not comparable", "not comparable"]
    assert verdicts.reason[0] == "ours is 0.050 higher, and theirs outside our interval; a note"
    assert list(verdicts.reason[1:]) == ["undefined in this run; a note", "not part of this run"]
    percent = judge(PUBLISHED.assign(unit="percent", value=31.0))
    assert percent.reason[0].startswith("ours is 30.7 points lower")
    same = judge(PUBLISHED.assign(value=0.32)).iloc[0]
    assert (same.verdict, same.reason) == ("reproduced", "inside our interval")
    other = judge(PUBLISHED.assign(value=0.3), obstacle="another network").iloc[0]
    assert (other.verdict, other.reason) == ("not comparable", "another network")
    assert list(verdicts.published) == pytest.approx([0.25, 0.5, np.nan], nan_ok=True)


@pytest.fixture(scope="module")
def script(checkout):
    """Return what the script check_claims defines."""
    return SimpleNamespace(**runpy.run_path(str(checkout / "scripts" / "check_claims.py")))


@pytest.mark.parametrize(
    ("paper", "network", "segmenter", "architecture", "pretrained", "expected"),
    [
        ("segx", "resnet50", "", "resnet50.tv_in1k", True, ""),
        ("segx", "densenet121", "", "densenet121.tv_in1k", True, ""),
        ("segx", "resnet50", "", "densenet121.tv_in1k", True, "not torchvision's ResNet-50"),
        ("segx", "densenet121", "", "resnet10t", False, "not torchvision's DenseNet-121"),
        ("segx", "resnet50", "", "resnet50.tv_in1k", False, "not from ImageNet's weights"),
        ("explainseg", "", "xai-ncut-crf", "vit_small_patch16_224.dino", True, ""),
        ("explainseg", "", "xai-ncut-crf", "resnet50.tv_in1k", True, "not DINO ViT-S/16"),
        ("explainseg", "", "tokencut", "vit_small_patch16_224.dino", False, "from DINO's weights"),
        ("explainseg", "", "maskcut", "vit_base_patch8_224.dino", True, ""),
        ("explainseg", "", "maskcut", "vit_small_patch16_224.dino", True, "DINO ViT-B/8 or"),
        ("explainseg", "", "micranet", "micranet", False, "F-actin"),
        ("another", "", "xai-ncut-crf", "resnet10t", False, ""),
    ],
)
def test_networks_that_differ(
    script, checkout, paper, network, segmenter, architecture, pretrained, expected
):
    """A network is the paper's if its architecture is, and it starts from pretrained weights."""
    known = read_rows(checkout / "config" / "published" / "networks.csv").fillna("")
    claim = {"paper": paper, "network": network, "segmenter": segmenter, "our_network": "ours"}
    ours = {"method": "timm_classifier", "architecture": architecture}
    ours |= {"pretrained": pretrained, "weights": None}
    reason = script.network_differs(pd.Series(claim), known, {"ours": ours})
    assert expected in reason if expected else reason == ""
    if "weights" in expected:
        loaded = {"ours": ours | {"weights": "a.safetensors"}}
        assert script.network_differs(pd.Series(claim), known, loaded) == ""


def test_parts_of_a_data_set(script):
    """The part of a data set that was used or explained is named, all of it is not."""
    rows = [("total", "images found", 384.0, np.nan), ("total", "images", 8.0, 1592.0)]
    rows += [("test", "images", 3.0, np.nan), ("total", "rejected files", 0.0, np.nan)]
    columns = ["row", "metric", "value", "official"]
    counts = pd.DataFrame(rows, columns=columns).set_index(columns[:2])

    def explained(split, count):
        return script.part_explained(counts, split, count, seed=1)

    def rejected(count):
        return counts.assign(value=[384.0, 8.0, 3.0, count])

    assert explained("test", None) == explained("test", 3) == explained(None, 8) == ""
    assert explained("test", 2) == "a seeded subset of 2 of 3 test images"
    assert explained(None, 4) == "a seeded subset of 4 of 8 images"
    expected = "the copy holds 384 of the 1,592 images of the data set"
    assert script.part_of(counts, None) == expected
    assert script.part_held(counts.assign(official=384.0)) == ""
    assert script.part_held(counts.assign(official=np.nan)) == ""
    assert script.part_of(rejected(1.0).assign(official=np.nan), None) == "1 file is rejected"
    cut = script.part_of(rejected(1200.0), 9)
    assert cut == "the data set is cut to 8 images; 1,200 files are rejected"


def test_script_judges_means_and_counts(script, checkout, tmp_path):
    """Every published number has a verdict, with the paper that it is from and our network."""
    table = {"table": "segx_alignment", "dataset": "ham10000", "network": "resnet50"}
    ours = OURS.assign(**table, study="segx")
    ours.assign(view="relevance").to_csv(tmp_path / "table.csv", index=False)
    row = {"paper": "segx", "table": "1", "dataset": "ham10000", "row": "akiec"}
    row |= {"metric": "images", "value": 327, "n": 500, "official": 327}
    used = [("total", "images found", 2), ("total", "images", 2), ("test", "images", 2)]
    used += [("total", "rejected files", 0)]
    known = [{"dataset": "ham10000", "row": r, "metric": m, "value": v} for r, m, v in used]
    pd.DataFrame([row, *known]).to_csv(tmp_path / "summary.csv", index=False)
    network = {"architecture": "resnet50.tv_in1k", "pretrained": True, "weights": None}
    published = checkout / "config" / "published"
    script.main(
        tables=[tmp_path / "table.csv"],
        summary=tmp_path / "summary.csv",
        published=[published / "explainseg.csv", published / "segx.csv"],
        counts=published / "counts.csv",
        known_networks=published / "networks.csv",
        max_images={"ham10000": None},
        selections={"segx": {"ham10000": [{"split": "test", "images": 1, "seed": 1}]}},
        networks={"resnet50": network | {"method": "timm_classifier"}},
        verdicts=tmp_path / "claims.csv",
    )
    verdicts = pd.read_csv(tmp_path / "claims.csv", dtype={"table": str})
    assert len(verdicts) == 137
    mean, count = verdicts[verdicts.n.notna()].to_dict("records")
    assert (mean["paper"], mean["published"], mean["ours"]) == ("segx", 0.125, 0.3)
    assert mean["verdict"] == "differs"
    assert mean["reason"].endswith("a seeded subset of 1 of 2 test images")
    assert (count["verdict"], count["reason"]) == ("reproduced", "the same count")


@pytest.mark.parametrize("paper", ["explainseg", "segx"])
def test_published_numbers_are_of_declared_tables(checkout, paper):
    """Each number of a paper has its own keys, and a value that its study declares."""
    published = read_rows(checkout / "config" / "published" / f"{paper}.csv").fillna("")
    assert not published.duplicated(["dataset", *OPEN, "table", *CELL[:5]]).any()
    file = checkout / "config" / "studies" / f"{paper}.yaml"
    study = yaml.safe_load(file.read_text(encoding="utf-8"))["studies"][paper]
    for name, numbers in published.groupby("table"):
        spec = study["tables"][name]
        declared = [describe(value) for value in values(spec)]
        cells = numbers.reindex(columns=CELL, fill_value="").to_dict("records")
        assert all(cell in declared for cell in cells)
        assert set(numbers.split) == {spec["splits"][0]}
        assert set(numbers.segmenter) <= {"", *study["segmenters"]}
        assert set(numbers.dataset) <= set(study["datasets"])
        assert set(numbers.unit) == {spec["unit"]}
