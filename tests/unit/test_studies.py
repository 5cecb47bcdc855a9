"""Files and contents that follow from declared studies."""

import copy
from itertools import product

import pytest

from segxai.workflow import shown, studies
from segxai.workflow.plugins import resolve

TABLE = {"title": "A table", "splits": ["all"], "values": [{"metric": ["iou", "dice"]}]}
MASKS = {
    "title": "Masks",
    "datasets": ["lesions", "findings"],
    "networks": ["vit"],
    "explainers": ["ig"],
    "segmenters": ["cut", "cut-crf", "disc", "tokens"],
    "scores": {
        "overlap": {"of": "masks", "measure": [{"metric": ["iou", "dice"], "reference": "truth"}]},
        "instances": {
            "of": "masks",
            "needs": "instances",
            "measure": [{"metric": "iou", "reference": "instances"}],
        },
    },
    "tables": {
        "overlap": TABLE
        | {
            "scores": ["overlap"],
            "rows": ["segmenter"],
            "segmenters": {"first": "cut-crf", "roles": ["variant", "control"]},
        },
        "instances": TABLE | {"scores": ["instances"], "rows": ["segmenter"]},
    },
    "figures": {
        "lines": {"kind": "training"},
        "dots": {"kind": "distributions", "tables": ["instances"]},
    },
}
MAPS = {
    "title": "Maps",
    "datasets": ["findings"],
    "networks": ["vit"],
    "explainers": ["ig", "cam"],
    "split": "test",
    "images": {"findings": 30},
    "segmenters": ["unet"],
    "segmentation": "unet",
    "scores": {
        "overlap": {
            "of": "masks",
            "measure": [{"metric": "mask_fraction"}, {"metric": "iou", "reference": "truth"}],
        },
        "alignment": {
            "of": "maps",
            "measure": [{"metric": "iou_at", "view": ["relevance", "segx"], "reference": "truth"}],
        },
        "doses": {
            "of": "maps",
            "segmenters": ["erode", "shift"],
            "measure": [{"metric": "iou_at", "view": "segx", "reference": "truth"}],
        },
        "shortcut": {
            "of": "maps",
            "needs": "shortcut",
            "measure": [{"metric": "relevance_mass", "view": "relevance", "reference": "marker"}],
        },
    },
    "tables": {
        "doses": TABLE | {"scores": ["doses"], "rows": ["explainer", "segmenter"]},
        "networks": TABLE
        | {"scores": ["overlap"], "rows": ["network"], "predictions": ["accuracy"]},
        "shortcut": TABLE | {"scores": ["shortcut"], "rows": ["explainer"]},
    },
}
DATASET = {
    "analysis_size": 64,
    "classes": ["a", "b"],
    "licence": "",
    "citation": "",
    "split": {"validation": 10, "test": 40, "seed": 3},
}
TRAINED = {"input_size": 32, "training": None, "pretrained": True}
CONFIG = {
    "run": ["masks", "maps"],
    "seeds": [1, 2],
    "shard_size": 16,
    "tuning": {"grid": {}},
    "studies": {"masks": MASKS, "maps": MAPS, "other": MAPS},
    "datasets": {
        "lesions": DATASET
        | {"title": "Lesions", "reader": "phantom_lesions", "source": {"images": 100, "size": 64}},
        "findings": DATASET
        | {
            "title": "Findings",
            "reader": "phantom_findings",
            "instances": True,
            "source": {
                "images": 200,
                "size": 64,
                "shortcut": {"class": "nodule", "share": 0.5},
            },
        },
    },
    "networks": {
        "vit": TRAINED | {"method": "timm_classifier", "architecture": "vit"},
        "body": TRAINED | {"method": "timm_classifier", "architecture": "vit"},
        "unet": TRAINED,
    },
    "explainers": {"ig": {"method": "integrated_gradients"}, "cam": {"method": "grad_cam"}},
    "views": {"smoothed": {}, "relevance": {}, "segx": {}},
    "segmenters": {
        "cut": {"role": "coarse", "method": "ncut", "view": "smoothed"},
        "cut-crf": {"role": "variant", "method": "crf", "of": "cut"},
        "disc": {"role": "control", "method": "centred_disc"},
        "tokens": {"role": "baseline", "method": "tokencut", "network": "body", "input_size": 64},
        "unet": {"role": "segmentation", "method": "predicted_mask", "network": "unet"},
        "erode": {"role": "dose", "method": "degraded_truth", "kind": "erode", "radius": 4},
        "shift": {"role": "dose", "method": "degraded_truth", "kind": "shift", "radius": 8},
    },
    "metrics": {"iou": {}, "dice": {}, "mask_fraction": {}, "iou_at": {}, "relevance_mass": {}},
}


@pytest.fixture
def config() -> dict:
    """Two studies that share a data set, resolved."""
    return resolve(copy.deepcopy(CONFIG))


def test_selected_studies_and_their_data_sets(config):
    """Only studies of `run` count; a data set of several counts once."""
    assert [*studies.selected(config)] == ["masks", "maps"]
    assert studies.datasets(config) == ["lesions", "findings"]


def test_needs_of_a_network(config):
    """What explainers, views and segmenters read of it, in all selected studies, by data set."""
    nothing = {"explainers": [], "keys": [], "levels": False, "fills": []}
    needs = {
        cell: studies.needs(config, *cell)
        for cell in product(["lesions", "findings"], ["vit", "body", "unet"])
    }
    explained = {"ig": ["lesions", "findings"], "cam": ["findings"]}
    for dataset in ("lesions", "findings"):
        names = [name for name in sorted(explained) if dataset in explained[name]]
        explainers = [{**config["explainers"][name]} for name in names]
        for definition in explainers:
            del definition["title"]
        assert needs[dataset, "vit"] == nothing | {"explainers": explainers}
    assert needs["findings", "unet"] == nothing
    assert needs["lesions", "body"] == nothing | {"keys": [64]}
    config["views"]["smoothed"] |= {"method": "fused", "network": None, "input_size": None}
    assert studies.needs(config, "lesions", "vit") == needs["lesions", "vit"] | {"keys": [32]}
    config["views"]["smoothed"] |= {"network": "body", "input_size": 48}
    assert studies.needs(config, "lesions", "vit") == needs["lesions", "vit"]
    assert studies.needs(config, "lesions", "body") == nothing | {"keys": [48, 64]}
    config["segmenters"]["tokens"] |= {"method": "micranet"}
    assert studies.needs(config, "lesions", "body") == nothing | {"keys": [48], "levels": True}
    config["metrics"]["gap"] = {"method": "removal_gap", "fill": "tokens", "steps": 2, "scale": ""}
    asked = {"of": "maps", "needs": None, "segmenters": None, "measure": [{"metric": "gap"}]}
    config["studies"]["maps"]["scores"]["removal"] = asked
    assert studies.needs(config, "findings", "vit")["fills"] == ["tokens"]
    assert studies.needs(config, "lesions", "vit")["fills"] == []


@pytest.mark.parametrize(
    ("segmenter", "path"),
    [
        ("cut", "vit/ig/cut"),
        ("cut-crf", "vit/ig/cut-crf"),
        ("disc", "disc"),
        ("tokens", "body/tokens"),
        ("unet", "unet/unet"),
    ],
)
def test_paths_of_masks_name_what_they_depend_on(config, segmenter, path):
    """Network and explainer stand in the path of a mask that depends on them, and are read back."""
    assert studies.mask_path(config, segmenter, "vit", "ig") == path
    keys = studies.keys(config, path)
    assert keys["segmenter"] == segmenter
    assert "/".join(filter(None, keys.values())) == path


def test_masks_that_are_not_stored_have_no_path(config):
    """A damaged truth is made where it is used, and a cut of maps needs an explainer."""
    with pytest.raises(ValueError, match="'erode' are made where"):
        studies.mask_path(config, "erode", "vit", "ig")
    with pytest.raises(ValueError, match="'cut' needs an explainer"):
        studies.mask_path(config, "cut")


def test_keys_of_maps(config):
    """The path of maps has a network and an explainer."""
    keys = {"network": "vit", "explainer": "cam", "segmenter": ""}
    assert studies.keys(config, "vit/cam") == keys


def test_files_of_both_studies_are_listed_once(config):
    """Maps and masks of a data set in two studies are made once for each seed."""
    maps = studies.map_files(config)
    assert len(maps) == len(set(maps)) == 2 * 3
    assert "results/maps/findings/vit/ig/seed-2.npy" in maps
    masks = studies.mask_files(config)
    assert len(masks) == len(set(masks)) == 2 * (2 * 4 + 1)
    assert "results/masks/findings/unet/unet/seed-1.npy" in masks


def test_refined_masks_bring_those_that_they_refine(config):
    """Masks before refinement are made even where no table has them."""
    config["studies"]["masks"]["segmenters"] = ["cut-crf"]
    cells = studies.mask_cells(config, config["studies"]["masks"])
    assert {cell["path"] for cell in cells} == {"vit/ig/cut", "vit/ig/cut-crf"}
    scored = studies.score_cells(config, "masks", "overlap")
    assert {cell["path"] for cell in scored} == {"vit/ig/cut-crf"}


def test_score_files_only_of_data_sets_that_have_what_is_scored(config):
    """Single objects are scored where a data set has them, markers where it has a shortcut."""
    for study, family in (("masks", "instances"), ("maps", "shortcut")):
        cells = studies.score_cells(config, study, family)
        assert {cell["dataset"] for cell in cells} == {"findings"}
    config["datasets"]["findings"]["source"]["shortcut"] = None
    assert studies.score_cells(config, "maps", "shortcut") == []
    assert "shortcut" not in studies.tables(config)


def test_requests_are_the_product_of_what_is_declared(config):
    """Lists of metrics, views and segmentations multiply; definitions come with them."""
    asked = studies.requests(config, "alignment", "findings", "vit/cam")
    assert [request["view"]["name"] for request in asked] == ["relevance", "segx"]
    assert {request["segmenter"] for request in asked} == {"unet"}
    assert asked[0]["metric"]["fraction"] == 0.05
    doses = studies.requests(config, "doses", "findings", "vit/ig")
    assert [request["segmenter"] for request in doses] == ["erode", "shift"]
    assert doses[1]["segmenter_definition"]["radius"] == 8
    assert studies.requests(config, "doses", "lesions", "vit/ig") == []


def test_requests_of_one_file_are_those_of_all_studies(config):
    """A score file of two studies holds the requests of both, each once."""
    config["studies"]["maps"]["segmenters"] = ["disc"]
    asked = studies.requests(config, "overlap", "findings", "disc")
    assert [request["metric"]["name"] for request in asked] == ["iou", "dice", "mask_fraction"]
    asked = studies.requests(config, "overlap", "lesions", "disc")
    assert [request["metric"]["name"] for request in asked] == ["iou", "dice"]


def test_scores_do_not_depend_on_titles(config):
    """Another title of a segmenter or metric gives the same requests."""
    before = studies.requests(config, "doses", "findings", "vit/ig")
    config["segmenters"]["erode"]["title"] = config["metrics"]["iou_at"]["title"] = "Other"
    assert studies.requests(config, "doses", "findings", "vit/ig") == before


def test_tables_name_their_segmenters_and_data_sets(config):
    """Roles become names in the study's order, with the first in front; doses are their own."""
    tables = studies.tables(config)
    assert tables["overlap"]["segmenters"] == ["cut-crf", "disc"]
    assert tables["overlap"]["datasets"] == ["lesions", "findings"]
    assert tables["doses"]["segmenters"] == ["erode", "shift"]
    assert tables["instances"]["datasets"] == ["findings"]
    assert tables["doses"]["study"] == "maps"


def test_files_of_a_table(config):
    """A table reads the scores of its segmenters and data sets, and predictions if declared."""
    files = studies.table_files(config, "overlap")
    assert len(files["scores"]) == 2 * 2 * 2
    assert all("cut-crf" in file or "/disc/" in file for file in files["scores"])
    assert files["predictions"] == []
    files = studies.table_files(config, "networks")
    assert files["scores"] == [
        f"results/scores/overlap/findings/unet/unet/seed-{seed}.csv" for seed in (1, 2)
    ]
    assert files["predictions"] == [
        f"results/predictions/findings/vit/seed-{n}.csv" for n in (1, 2)
    ]
    assert files["samples"] == ["results/data/findings/samples.csv"]
    assert files["patches"] == []


def test_predictions_of_patches_are_of_data_sets_that_have_them(config):
    """They are made where a table asks for them, and those of images where it asks for these."""
    config["studies"]["maps"]["datasets"] = ["lesions", "findings"]
    config["studies"]["maps"]["tables"]["networks"]["predictions"] = ["patch_accuracy"]
    config["datasets"]["lesions"]["patches"] = {"grid": 2, "negative_below": 0.001}
    files = studies.table_files(config, "networks")
    assert files["patches"] == [f"results/patches/lesions/vit/seed-{seed}.csv" for seed in (1, 2)]
    assert files["predictions"] == []


def test_another_caption_changes_the_page_alone(config):
    """No table is made anew, and no figure of a table, because its caption is reworded."""
    figure = {"kind": "responses", "table": "overlap", "mark": "overlap"}
    config["studies"]["masks"]["figures"]["doses"] = figure | dict.fromkeys(
        ("segmenters", "tables", "cost")
    )
    before = shown.table_facts(config, "overlap"), shown.figure_facts(config, "doses")
    config["studies"]["masks"]["tables"]["overlap"]["caption"] = "Reworded."
    assert (shown.table_facts(config, "overlap"), shown.figure_facts(config, "doses")) == before
    page = shown.page(config | {"statistics": {}})
    assert page["tables"]["overlap"]["caption"] == "Reworded."


def test_figures_follow_their_tables(config):
    """A figure of a table that no data set has is not drawn."""
    assert [*studies.figures(config)] == ["lines", "dots"]
    config["datasets"]["findings"]["instances"] = False
    assert [*studies.figures(config)] == ["lines"]


def test_selections_of_a_data_set_in_two_studies(config):
    """Each study keeps its own choice of images; a network has those of its studies."""
    whole = {"split": None, "images": None, "seed": 3}
    some = {"split": "test", "images": 30, "seed": 3}
    assert studies.selections(config, "findings") == [whole, some]
    assert studies.selections(config, "lesions", "vit") == [whole]
    assert studies.selections(config, "lesions", "unet") == []


def test_images_that_are_explained_again(config):
    """As many as the most demanding metric of selected studies asks for, of their images alone."""
    for name, images in (("few", 4), ("more", 9), ("most", 50)):
        config["metrics"][name] = {"method": "randomisation", "images": images}
    for study, names in (("maps", ["few", "more"]), ("other", ["most"])):
        again = {"of": "maps", "needs": None, "segmenters": None, "measure": [{"metric": names}]}
        config["studies"][study]["scores"] = {"again": again}
    assert studies.repeated_images(config, "findings", "vit", "ig") == 9
    chosen = studies.selections(studies.reading(config, "disturbed"), "findings", "vit", "ig")
    assert chosen == [{"split": "test", "images": 30, "seed": 3}]


def test_scores_of_several_seeds(config):
    """With a single seed their file and table are left out, with a sentence."""
    maps = config["studies"]["maps"]
    maps["scores"]["alignment"]["needs"] = "seeds"
    maps["tables"]["doses"]["scores"] = ["alignment"]
    assert len(studies.score_cells(config, "maps", "alignment")) == 2 * 2
    assert "doses" in studies.tables(config) and not studies.left_out(config)
    config["seeds"] = [1]
    assert studies.score_cells(config, "maps", "alignment") == []
    assert "doses" not in studies.tables(config)
    (sentence,) = studies.left_out(config)
    assert "alignment" in sentence and "two" in sentence


@pytest.mark.parametrize(
    ("run", "change", "shards"),
    [
        (["masks"], {}, 13),
        (["maps"], {}, 2),
        (["masks", "maps"], {}, 13),
        (["masks"], {"max_images": 17}, 2),
        (["masks"], {"n_images": 20}, 2),
        (["masks"], {"n_images": None, "source": {}}, 40),
    ],
)
def test_number_of_shards(config, run, change, shards):
    """Shards follow from the explained images as far as they are known before any is there."""
    config["run"] = run
    config["datasets"]["findings"] |= change
    assert studies.n_shards(config, "findings") == shards


def test_masks_are_needed_where_they_are_used(config):
    """Scores need the explained images, tuning those of validation, controls and U-Nets training.

    Nothing is tuned without values to choose between, and a network used as published learns from
    no mask.
    """

    def uses(dataset):
        needs = studies.needs_of_outlines(config, dataset)
        return [(need["study"], need["use"], need["split"]) for need in needs]

    config["tuning"] = {"grid": {"ncut": {"sigma_relevance": [0.1]}}}
    of_masks = [
        ("masks", "scored", None),
        ("masks", "tuned on", "validation"),
        ("masks", "learnt from", "train"),
    ]
    assert uses("lesions") == of_masks
    assert uses("findings") == [*of_masks, ("maps", "scored", None)]
    explained = studies.needs_of_outlines(config, "findings")[-1]["selections"]
    assert explained == [{"split": "test", "images": 30, "seed": 3}]
    config["networks"]["unet"]["training"] = {"loss": "segmentation"}
    assert uses("findings")[-2:] == [
        ("maps", "learnt from", "train"),
        ("maps", "validated on", "validation"),
    ]
    config["tuning"] = {"grid": {"crf": {}, "morphology": {"dilate": [3]}}}
    assert ("masks", "tuned on", "validation") not in uses("lesions")
    config["tuning"] = {"grid": {"smoothed": {"sigma": [4]}}}
    assert ("masks", "tuned on", "validation") in uses("lesions")


def test_a_new_segmenter_does_not_change_needs(config):
    """What is checked before training does not depend on which segmenters a study has."""
    before = studies.needs_of_outlines(config, "lesions")
    config["studies"]["masks"]["segmenters"].remove("tokens")
    assert studies.needs_of_outlines(config, "lesions") == before


def test_values_of_lists_are_multiplied():
    """A value with lists stands for each combination, in the order in which it is written."""
    spec = {"values": [{"metric": ["a", "b"], "view": ["v", "w"]}, {"metric": "c", "with": "d"}]}
    assert studies.values(spec) == [
        {"metric": "a", "view": "v"},
        {"metric": "a", "view": "w"},
        {"metric": "b", "view": "v"},
        {"metric": "b", "view": "w"},
        {"metric": "c", "with": "d"},
    ]


def test_an_explainer_is_run_on_networks_that_it_suits(config):
    """A plain ViT lacks feature maps: Grad-CAM is left out there, and run elsewhere."""
    config["networks"]["vit"]["architecture"] = "vit_tiny_patch16_224"
    study = config["studies"]["maps"] | {"networks": ["vit", "unet"], "explainers": ["ig", "cam"]}
    config["studies"]["maps"] = study
    assert studies.explained(config, study) == [("vit", "ig"), ("unet", "ig"), ("unet", "cam")]
    (sentence,) = [text for text in studies.left_out(config) if text.startswith("study maps")]
    assert "cam" in sentence and "vit" in sentence
