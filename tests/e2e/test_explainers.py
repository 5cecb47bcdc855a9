"""The study of explainers, continued from the finished demo with some of them."""

import shutil

import pandas as pd
import pytest

from tests.e2e.conftest import DEMO, jobs

pytestmark = pytest.mark.study

OVERLAY = "config/overlays/explainers-demo.yaml"
FEW = """\
studies:
  explainers:
    images: 8
    explainers: [gradcam, occlusion, random-pixels]
    guidelines: {explainers_guidelines: {controls: [random-pixels], budgets: [2, 500]}}
"""


@pytest.fixture(scope="module")
def results(run_study, house, demo, tmp_path_factory):
    """Run three explainers to all tables of the study."""
    folder = shutil.copytree(demo.parent, tmp_path_factory.mktemp("explainers") / "study")
    (folder / "few.yaml").write_text(FEW)
    asked = {"root": house, "targets": ["tables"]}
    printed = run_study(folder, DEMO, OVERLAY, folder / "few.yaml", **asked)
    # The network of the demo is explained as it is, and Grad-CAM's maps are there.
    assert jobs(printed)["train_network"] == 0
    assert jobs(printed)["remove_pixels"] == jobs(printed)["disturb_explainer"] == 3
    again = run_study(folder, DEMO, OVERLAY, folder / "few.yaml", options=["-n"], **asked)
    assert "Nothing to be done" in again
    return folder / "results"


def values(results, table: str, metric: str) -> pd.Series:
    """Printed means of a table by explainer."""
    rows = pd.read_csv(results / f"tables/{table}.csv")
    rows = rows[(rows.metric == metric) & (rows.view != "smoothed")]
    return rows.set_index("explainer").value


def test_explainers_of_a_network_beat_noise(results):
    """Grad-CAM and occlusion are more faithful and nearer the lesion than random pixels."""
    for table, metric in (
        ("explainers_faithfulness", "gap_black"),
        ("explainers_localisation", "average_precision"),
    ):
        means = values(results, table, metric)
        assert means[["gradcam", "occlusion"]].min() > means["random-pixels"] + 0.05
    unexplained = values(results, "explainers_faithfulness", "infidelity")
    assert unexplained[["gradcam", "occlusion"]].max() < unexplained["random-pixels"]


def test_noise_depends_on_no_weights(results):
    """Random pixels are the same maps when the weights are drawn anew, and for another class."""
    for metric in ("randomisation", "class_sensitivity"):
        means = values(results, "explainers_sanity", metric)
        assert means["random-pixels"] == pytest.approx(1, abs=1e-3)
        assert means["gradcam"] < 0.9


def test_costs_are_counted(results):
    """One gradient, the windows and the image, and nothing."""
    gradients, forwards = (values(results, "explainers_cost", m) for m in ("gradients", "forwards"))
    assert gradients.to_dict() == {"gradcam": 1, "occlusion": 0, "random-pixels": 0}
    assert forwards["gradcam"] == forwards["random-pixels"] == 0
    assert forwards["occlusion"] > 40


def test_guidelines_keep_to_the_budget(results):
    """Two passes admit no occlusion; noise is judged by nobody."""
    judged = pd.read_csv(results / "tables/explainers_guidelines.csv")
    assert set(judged.explainer) == {"gradcam", "occlusion"}
    occlusion = judged[(judged.explainer == "occlusion") & (judged.budget == 2)]
    assert (occlusion.reason == "over the budget").all()
    assert (judged.recommended <= judged.admissible).all()
