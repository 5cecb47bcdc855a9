"""Two small studies for tests of the page: their declarations, tables, tests and examples."""

import numpy as np
import pandas as pd

from segxai.figures.examples import SEGMENTATION_MASK, Examples
from segxai.stats.tables import COLUMNS
from segxai.workflow.shown import CELL, describe

SIDE, N = 24, 15
SEGMENTERS = {"a": "Method A", "b": "Method B", "disc": "Control disc"}
PAIRS = [("resnet50", "shap"), ("densenet121", "gradcam")]
PATHS = ["/".join(pair) for pair in PAIRS]
DICE = {"metric": "dice", "reference": "truth", "title": "Dice %"}
SEGX = {"metric": "iou_at", "view": "segx", "reference": "truth", "title": "IoU@5 %, SegX"}
ORIGINAL = SEGX | {"view": "relevance", "title": "IoU@5 %, original"}
SPEC = {
    "titles": {"toy": "Toy"},
    "names": {
        "network": {"resnet50": "ResNet-50", "densenet121": "DenseNet-121"},
        "explainer": {"shap": "SHAP", "gradcam": "Grad-CAM"},
        "segmenter": SEGMENTERS,
    },
    "seeds": [1],
    "statistics": {"confidence": 0.95, "resamples": 1000, "seed": 1},
    "directions": {"dice": "higher", "iou_at": "higher", "aurc": "lower"},
    "studies": {
        "masks": {
            "title": "Masks",
            "methods": {
                "vit/ig/a": {"title": "Method A", "role": "variant"},
                "b": {"title": "Method B", "role": "baseline"},
            },
            "first": "b",
            "unit": "percent",
            "values": [DICE | {"short": "Dice"}, {"metric": "iou", "reference": "truth"}],
        },
        "maps": {
            "title": "Maps",
            "methods": {path: {"title": path, "role": "explainer"} for path in PATHS},
            "first": PATHS[0],
            "unit": "fraction",
            "values": [SEGX, ORIGINAL, {"metric": "probability"}],
        },
    },
    "tables": {
        "variants": {
            "study": "masks",
            "title": "Variants",
            "caption": "Empty masks score 0.",
            "number": "1",
            "unit": "percent",
            "predictions": [],
        }
        | {"rows": ["segmenter"], "splits": ["all", "test"], "values": [DICE]},
        "alignment": {
            "study": "maps",
            "title": "Alignment",
            "caption": "",
            "number": None,
            "unit": "fraction",
            "predictions": [],
        }
        | {"rows": ["network", "explainer"], "splits": ["test"], "values": [ORIGINAL, SEGX]},
    },
    "figures": {"curves": {"study": "masks", "kind": "training"}},
    "guidelines": {"which": {"study": "maps", "title": "Which to use", "caption": "No readers."}},
}


def tidy(table: str, keys: list[dict], splits: list[str], values: dict) -> pd.DataFrame:
    """Make a tidy table: the values of each row by declared number."""
    spec, rows = SPEC["tables"][table], []
    for split in splits:
        for row in keys:
            for declared in spec["values"]:
                number = values[next(iter(row.values())), declared["title"]]
                named = describe(declared) | row | {"split": split, "value": number}
                rows.append(named | {"ci_low": number - 1, "ci_high": number + 1, "n": N})
    made = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return made.assign(dataset="toy", table=table, study=spec["study"], unit=spec["unit"])


def make_tables() -> dict[str, pd.DataFrame]:
    """Make a table of each study; in the first, B leads A and has a published value."""
    masks = {("a", "Dice %"): 40.0, ("b", "Dice %"): 60.25, ("disc", "Dice %"): np.nan}
    variants = tidy(
        "variants", [{"segmenter": name} for name in SEGMENTERS], ["all", "test"], masks
    )
    variants.loc[variants.segmenter == "b", "published"] = 61.0
    maps = {(network, title): 0.25 for network, _ in PAIRS for title in (ORIGINAL["title"],)}
    maps |= {("resnet50", SEGX["title"]): 0.5, ("densenet121", SEGX["title"]): 0.75}
    keys = [{"network": network, "explainer": explainer} for network, explainer in PAIRS]
    return {"variants": variants, "alignment": tidy("alignment", keys, ["test"], maps)}


def make_tests() -> dict[str, pd.DataFrame]:
    """Make the paired test of A against B, and a table without tests."""
    sides = ["network", "explainer", "segmenter", "view", "where"]
    columns = [f"{side}_{key}" for side in ("first", "second") for key in sides]
    test = dict.fromkeys(columns, "") | {"first_segmenter": "a", "second_segmenter": "b"}
    test |= {"dataset": "toy", "metric": "dice", "reference": "truth", "n": 14, "p_holm": 0.004}
    test |= {
        "mean_difference": -20.0,
        "ci_low": -25.0,
        "ci_high": -15.0,
        "p": 0.002,
        "effect": np.nan,
    }
    made = pd.DataFrame([test])
    return {"variants": made, "alignment": made.iloc[:0]}


def make_claims() -> pd.DataFrame:
    """Make two verdicts: on the published value of B, and on one that is not part of the run."""
    claim = dict.fromkeys(CELL, "") | {"paper": "masks", "table": "variants", "dataset": "toy"}
    claim |= {"segmenter": "b", "metric": "dice", "published": 61.0, "unit": "percent"}
    claim |= {"ours": 60.25, "ci_low": 59.25, "ci_high": 61.25, "n": N}
    claim |= {"verdict": "reproduced", "reason": "inside our interval"}
    absent = claim | {"ours": np.nan, "n": np.nan, "verdict": "not comparable", "reason": "absent"}
    return pd.DataFrame([claim, absent])


def make_examples(study: str) -> Examples:
    """Make the arrays and scores of a few images; every third prediction is incorrect."""
    rng = np.random.default_rng(1)
    names = [f"{k:02d}" for k in rng.permutation(N)]
    table = pd.DataFrame({"image_id": names, "split": "test", "label": "x", "target": "y"})
    table = table.assign(study=study, dataset="toy", target_id=table.image_id, rank="")
    table["correct"] = [int(k % 3 > 0) for k in range(N)]
    table["completeness_error"] = 0.01
    described = SPEC["studies"][study]
    for value in described["values"]:
        for path in described["methods"]:
            key = " ".join(filter(None, map(value.get, ("metric", "view", "reference"))))
            table[f"{key}:{path}"] = rng.random(N)
    if study == "maps":
        truth = [name for name in table if " truth:" in name]
        table.loc[table.correct == 0, truth] = np.nan
        # The other classifier did not predict the label of the first image.
        table.loc[0, [name for name in table if name.endswith(f":{PATHS[1]}")]] = np.nan
    square = np.zeros((N, SIDE, SIDE), np.uint8)
    square[:, 5:12, 5:12] = 1
    masks = [SEGMENTATION_MASK] if study == "maps" else list(described["methods"])
    return Examples(
        table=table,
        images=rng.integers(0, 255, (N, SIDE, SIDE, 3), np.uint8),
        truth=square,
        maps=dict.fromkeys(
            PATHS if study == "maps" else ["vit/ig"],
            rng.integers(1, 255, (N, SIDE, SIDE), np.uint8),
        ),
        masks=dict.fromkeys(masks, square),
    )
