"""Explaining a segmenter, and a data set that serves all studies of one run."""

import shutil

import numpy as np
import pandas as pd
import pytest

from tests.e2e.conftest import DEMO, jobs

pytestmark = pytest.mark.study

DATA = "phantom-findings"
EXPLAINERS = ["integrated-gradients", "shap", "gradcam"]
# All three studies of one data set; ExplainSeg as far as a network without tokens goes.
ALL_STUDIES = """\
run: [explainseg, segx, regions]
studies:
  explainseg:
    datasets: [phantom-findings]
    networks: [resnet-tiny-phantom]
    segmenters: [xai-ncut, xai-ncut-crf, centred-disc]
    images: 12
    split: validation
  regions: {images: 20}
"""
TARGETS = ["results/tables/regions_localisation.csv", "results/tables/explainseg_ablation.csv"]


@pytest.fixture(scope="module")
def results(run_study, house, demo, tmp_path_factory):
    """Go on from the finished demo with all studies on one data set."""
    folder = shutil.copytree(demo.parent, tmp_path_factory.mktemp("regions") / "study")
    overlay = folder / "all-studies.yaml"
    overlay.write_text(ALL_STUDIES)
    output = run_study(folder, DEMO, overlay, root=house, targets=TARGETS)
    # The networks that the demo has trained are explained as they are.
    assert jobs(output)["train_network"] == 0
    return folder / "results"


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_regions_have_maps(results, explainer):
    """Each predicted region of the U-Net has a finite map that is not zero everywhere."""
    targets = pd.read_csv(results / f"targets/{DATA}/unet/seed-1.csv")
    assert (targets.kind == "region").all()
    assert (targets.region == "predicted").all()
    stem = results / f"maps/{DATA}/unet/{explainer}/seed-1"
    maps, facts = np.load(f"{stem}.npy"), pd.read_csv(f"{stem}.csv")
    assert facts.target_id.tolist() == targets.target_id.tolist()
    assert maps.shape == (len(targets), 2, 48, 48)
    assert len(targets) > 10
    assert np.isfinite(maps).all()
    assert (maps[:, 1].max(axis=(1, 2)) == 1).mean() > 0.9
    if explainer == "integrated-gradients":
        assert facts.completeness_error.median() < 0.1


@pytest.mark.parametrize("explainer", EXPLAINERS)
def test_relevance_lies_on_what_is_explained(results, explainer):
    """The share of relevance on the segmenter's own mask exceeds the area of the mask."""
    table = pd.read_csv(results / "tables/regions_localisation.csv")
    rows = table[(table.explainer == explainer) & (table.reference == "segmentation")]
    mass = rows[rows.metric == "relevance_mass"]
    assert len(rows) == 2
    targets = pd.read_csv(results / f"targets/{DATA}/unet/seed-1.csv")
    chosen = pd.read_csv(results / f"masks/{DATA}/unet/unet/seed-1.csv")
    masks = np.load(results / f"masks/{DATA}/unet/unet/seed-1.npy")
    explained = masks[chosen.image_id.isin(targets.image_id).to_numpy()] > 0
    assert mass.value.item() > explained.mean()
    assert mass.ci_low.item() < mass.value.item() < mass.ci_high.item()


def test_one_data_set_serves_all_studies(results):
    """Masks from maps of the classifier, one per explained label, have their row in a table.

    ExplainSeg explains twelve images, SegX more by other explainers: each explains its own.
    """
    table = pd.read_csv(results / "tables/explainseg_ablation.csv")
    assert set(table.dataset) == {DATA}
    assert {"xai-ncut-crf", "centred-disc"} <= set(table.segmenter)
    cell = f"{DATA}/resnet-tiny-phantom/integrated-gradients"
    labels = pd.read_csv(results / f"maps/{cell}/seed-1.csv")
    assert labels.image_id.nunique() <= 12
    assert len(np.load(results / f"masks/{cell}/xai-ncut-crf/seed-1.npy")) == len(labels)
    others = pd.read_csv(results / f"maps/{DATA}/resnet-tiny-phantom/shap/seed-1.csv")
    assert others.image_id.nunique() > 12
