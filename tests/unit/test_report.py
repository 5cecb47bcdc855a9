"""What people see: the choice of examples, the figures, and the page with its words."""

import json
import re
import runpy
from html.parser import HTMLParser
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.draw import polygon2mask

from segxai.figures import explainseg as figures
from segxai.figures import style
from segxai.figures.examples import Examples, choose, rank, read_examples, write_examples
from segxai.figures.outlines import outlines, svg_path
from segxai.job.files import read_rows
from segxai.metrics.overlap import dice, iou
from segxai.page import page, summary

VARIANTS = {"xai-morphology-crf": "C xai+morphology", "xai-ncut-crf": "XNCut xai+ncut"}
COARSE = {"xai-morphology": "C, before CRF", "xai-ncut": "XNCut, before CRF"}
CONTROLS = {"centred-disc": "Control centred disc"}
BASELINES = {"tokencut": "TokenCut", "micranet": "MICRA-Net"}
METHODS = VARIANTS | BASELINES | CONTROLS
ROLES = {
    "variants": list(VARIANTS.values()),
    "baselines": list(BASELINES.values()),
    "controls": list(CONTROLS.values()),
}
PICTURED = VARIANTS | BASELINES
HEADLINE, OURS = "xai-ncut-crf", "ExplainSeg (XNCut)"
ROWS = {
    "explainseg_ablation": VARIANTS | CONTROLS | COARSE,
    "explainseg_baselines": {HEADLINE: OURS} | BASELINES | CONTROLS,
}
TITLES = {"kvasir-seg": "Kvasir-SEG", "toy": "Toy"}
SUBSET = ("max_images", "explained_split", "explained_images")
SIDE, N = 24, 9
NETWORK = {"architecture": "vit_small_patch16_224.dino", "pretrained": True, "weights": None}
CUTTER = {"trained": False, "features": {"input_size": 448, "centre": True}, "cut": {"tau": 0.2}}
SETTINGS = {
    "smoothing": {"clip_percentile": 99, "sigma": 1},
    "ncut": {"sigma_distance": None},
}


def ellipses(radius: float) -> np.ndarray:
    """Masks (N, SIDE, SIDE) that shrink from image to image; the last truth is empty."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.stack([x**2 + y**2 < (radius - k / 2) ** 2 for k in range(N)]).astype(np.uint8)


@pytest.fixture(scope="module")
def study(tmp_path_factory, checkout):
    """Build what the rules before the report write for two small data sets, then the page."""
    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    names = [f"{k:04d}" for k in range(N - 1)] + ["NA"]
    splits = ["train", "validation"] * (N // 2) + ["train"]
    truth = ellipses(9)
    truth[-1] = 0
    drawn = {
        "xai-morphology-crf": ellipses(7),
        "xai-ncut-crf": ellipses(8.7),
        "xai-morphology": ellipses(6),
        "xai-ncut": ellipses(7.5),
        "centred-disc": np.broadcast_to(ellipses(5)[0], truth.shape),
        "tokencut": ellipses(4),
        "micranet": ellipses(6.5),
    }
    scores, parts = [], {}
    for dataset in TITLES:
        folder = root / dataset
        folder.mkdir()
        table = pd.DataFrame({"image_id": names, "group": names, "split": splits, "label": "polyp"})
        table = table.assign(mask_pixels=truth.sum(axis=(1, 2)), mask_resized=0)
        table.to_csv(folder / "samples.csv", index=False)
        (folder / "rejected.csv").write_text("file,reason\nbroken.jpg,truncated\n")
        np.save(folder / "images.npy", rng.integers(0, 255, (N, SIDE, SIDE, 3), np.uint8))
        np.save(folder / "masks.npy", truth)
        np.save(folder / "maps.npy", rng.random((N, SIDE, SIDE)).astype(np.float16))
        facts = {"image_id": names, "target": "polyp", "completeness_error": np.arange(N) / 100}
        pd.DataFrame(facts).assign(seconds=0.5).to_csv(folder / "facts.csv", index=False)
        for name, masks in drawn.items():
            np.save(folder / f"{name}.npy", masks)
            table.assign(
                iou=iou(masks, truth),
                dice=dice(masks, truth),
                truth_fraction=truth.mean(axis=(1, 2)),
            ).to_csv(folder / f"{name}.csv", index=False)
            scores.append((folder / f"{name}.csv", dataset, name))
        cuts(names).to_csv(folder / "cuts.csv", index=False)
        (folder / "settings.json").write_text(json.dumps(SETTINGS))
        (folder / "card.json").write_text(json.dumps(card()))
        trials().to_csv(folder / "trials.csv", index=False)
        chosen = folder / "examples.npz", folder / "examples.csv"
        script(checkout, "choose_examples")(
            samples=folder / "samples.csv",
            images=folder / "images.npy",
            truth=folder / "masks.npy",
            maps=[folder / "maps.npy"],
            facts=[folder / "facts.csv"],
            masks=[[folder / f"{name}.npy"] for name in PICTURED],
            scores=[folder / f"{name}.csv" for name in PICTURED],
            settings=folder / "settings.json",
            segmenters=list(PICTURED),
            headline=HEADLINE,
            arrays=chosen[0],
            table=chosen[1],
        )
        parts[dataset] = {
            "examples": chosen,
            "data": [folder / "samples.csv", folder / "rejected.csv"],
            "cards": [folder / "card.json"],
            "baseline_cards": [folder / "card.json"],
            "facts": [folder / "facts.csv"],
            "cuts": [folder / "cuts.csv"],
            "trials": [folder / "trials.csv"] * len(VARIANTS),
        }
    tables = write_tables(root, scores, checkout)
    built = SimpleNamespace(root=root, scores=scores, parts=parts, tables=tables)
    built.html = write_page(built, checkout, root / "report.html")
    return built


def script(checkout, name):
    """Return the main function of a script."""
    return runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


def card() -> dict:
    """Make the card of a classifier."""
    best = {"epoch": 3.0, "validation_accuracy": 0.971, "validation_auroc": 0.982}
    return {
        "architecture": "vit_small_patch16_224.dino",
        "pretrained": False,
        "weights": "/home/someone/dino.safetensors",
        "training": {"epochs": 5},
        "input_size": 224,
        "patches": {"train": 1234, "validation": 56},
        "best": best | {"validation_f1": 0.963},
        "seed": 1,
        "device": "cpu",
        "torch": "2.13.0",
        "seconds": 61.5,
    }


def trials() -> pd.DataFrame:
    """Make the trials of a search: a new σ for the cut, the default for the CRF."""
    settings = ['{"smoothing.sigma": 8}', '{"smoothing.sigma": 4}', '{"crf.srgb": 5}']
    return pd.DataFrame(
        {
            "stage": ["coarse", "coarse", "refined"],
            "settings": settings,
            "dice": [0.401, 0.452, 0.463],
            "default": [True, False, True],
            "chosen": [False, True, True],
            "n": 4,
        }
    )


def cuts(names: list[str]) -> pd.DataFrame:
    """Make the facts of the cuts of a baseline: one image had nothing to cut."""
    facts = {"image_id": names, "objects": 2, "eigengap": 0.25, "dense": 0, "problem": ""}
    table = pd.DataFrame(facts)
    table.loc[0, ["objects", "eigengap", "problem"]] = 0, np.nan, "all tokens are alike"
    return table


def write_tables(root, scores, checkout):
    """Write both tables, their tests and the claims as their rules do."""
    files = {"published": checkout / "config" / "published.csv", "tests": [], "tables": []}
    pairs = {
        "explainseg_ablation": list(combinations((VARIANTS | CONTROLS).values(), 2)),
        "explainseg_baselines": [(OURS, row) for row in (BASELINES | CONTROLS).values()],
    }
    for number, (name, rows) in enumerate(ROWS.items(), 1):
        outputs = {suffix: root / f"{name}.{suffix}" for suffix in ("csv", "md", "tex")}
        outputs["tests"] = root / f"{name}_tests.csv"
        chosen = [score for score in scores if score[2] in rows]
        script(checkout, "make_tables")(
            scores=[path for path, *_ in chosen],
            cells=[(dataset, rows[name]) for _, dataset, name in chosen],
            published=files["published"],
            number=str(number),
            pairs=pairs[name],
            titles=TITLES,
            statistics={"resamples": 200, "confidence": 0.95, "seed": 1},
            **outputs,
        )
        files["tables"].append(outputs["csv"])
        files["tests"].append(outputs["tests"])
    files["summary"] = write_summary(root, checkout)
    files["claims"] = root / "claims.csv"
    script(checkout, "check_claims")(
        tables=[*files["tables"], files["summary"]],
        networks={row: NETWORK for row in (VARIANTS | BASELINES).values()} | {OURS: NETWORK},
        samples={name: root / name / "samples.csv" for name in TITLES},
        rejected={name: root / name / "rejected.csv" for name in TITLES},
        subsets=dict.fromkeys(TITLES, dict.fromkeys(SUBSET)),
        published=files["published"],
        verdicts=files["claims"],
    )
    return SimpleNamespace(**files)


def write_summary(root, checkout):
    """Write what the data sets hold as its rule does."""
    (root / "receipt.json").write_text(json.dumps({"n_images": N}))
    (root / "patches.csv").write_text("label,split\npolyp,train\n")
    definition = {"analysis_size": SIDE, "classes": ["polyp"], "patches": {"grid": 2}}
    definition |= {"licence": "none <needed>", "citation": "Somebody, doi:10.1/2"}
    script(checkout, "make_dataset_summary")(
        receipts=[root / "receipt.json"] * len(TITLES),
        samples=[root / name / "samples.csv" for name in TITLES],
        rejected=[root / name / "rejected.csv" for name in TITLES],
        patches=[root / "patches.csv"] * len(TITLES),
        published=checkout / "config" / "published.csv",
        official=checkout / "config" / "official_counts.csv",
        definitions={name: definition | {"title": title} for name, title in TITLES.items()},
        **{kind: root / f"dataset_summary.{kind}" for kind in ("csv", "md", "tex")},
    )
    return root / "dataset_summary.csv"


def write_page(built, checkout, path, segx=(), **changes) -> str:
    """Write the page of a study, or of one with some changes or with SegX, and return its text."""
    drawing = built.root / "explainseg_training.png"
    history = pd.DataFrame({"epoch": [1], "train_loss": [1.0]})
    history = history.assign(validation_loss=1.0, validation_accuracy=0.5)
    style.save(figures.training({"Toy": [history]}, {"Toy": "cross_entropy"}), drawing)
    sources = checkout / "segxai" / "page"
    texts = sorted(sources.glob("page.*[!y]"))
    definition = {
        "analysis_size": SIDE,
        "classes": ["background", "polyp"],
        "explain_on": "image",
    }
    study = {
        "titles": TITLES,
        "methods": METHODS,
        "pictured": list(PICTURED),
        "headline": HEADLINE,
        "ours": OURS,
        "roles": ROLES,
        "rows": [],
        "pictures": {"explainseg": list(TITLES), "segx": []},
        "coarse": list(COARSE.values()),
        "cutters": {"TokenCut": CUTTER},
        "learners": ["MICRA-Net"],
        **changes,
        "networks": {"TokenCut": NETWORK["architecture"]},
        "datasets": dict.fromkeys(TITLES, definition),
        "explainer": {"steps": 16, "precision": "bfloat16"},
        "settings": {
            "seeds": [1],
            "segmentation": SETTINGS,
            "statistics": {"resamples": 200, "confidence": 0.95, "seed": 1},
        },
    }
    told = path.parent / "explainseg.json"
    script(checkout, "tell_explainseg")(
        tables=built.tables.tables,
        tests=built.tables.tests,
        claims=built.tables.claims,
        by_dataset=built.parts,
        study=study,
        told=told,
    )
    script(checkout, "write_report")(
        tables=[built.tables.summary],
        claims=built.tables.claims,
        told=[told, *segx],
        examples=[file for files in built.parts.values() for file in files["examples"]],
        figures=[drawing],
        segx_figures=[drawing] if segx else [],
        texts=[*texts, checkout / "report" / "explainseg_training.rst"],
        study=study,
        page=path,
    )
    return path.read_text()


class Reader(HTMLParser):
    """Reads a page: its elements, its visible text, and whether every element is closed."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "hr", "path"})

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        """Note an element."""
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """Note an element without content."""
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        """Close the innermost element, which must be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep text that a reader sees."""
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), max_size=40), st.integers(3, 12))
def test_choice_spans_the_scores(scores, count):
    """Of defined scores, at most `count` are chosen, in order, with the extremes and the median."""
    scores = np.array(scores)
    defined = np.sort(scores[np.isfinite(scores)])
    chosen = choose(scores, count)
    assert len(chosen) == min(count, len(defined))
    assert (np.diff(chosen) > 0).all()
    if len(defined):
        values = scores[chosen]
        assert values.min() == defined[0]
        assert values.max() == defined[-1]
        assert defined[(len(defined) - 1) // 2] in values
        named = {name: scores[k] for k, name in enumerate(rank(scores)) if name}
        assert named["best"] == defined[-1]
        assert set(rank(scores)[chosen]) >= set(named)


def test_rank_names_best_median_and_worst():
    """The middle of an even number is the lower one; ties go to the first; NaN has no rank."""
    scores = np.array([0.4, np.nan, 0.9, 0.1, 0.1, 0.5])
    assert list(rank(scores)) == ["median", "", "best", "worst", "", ""]
    assert list(rank(np.array([0.3]))) == ["best"]


def test_examples_survive_the_disk(study):
    """Examples are read as they were written, with names like '0003' and 'NA' as text."""
    found = read_examples(*study.parts["kvasir-seg"]["examples"])
    copy = study.root / "copy.npz", study.root / "copy.csv"
    write_examples(found, *copy)
    again = read_examples(*copy)
    assert again.table.equals(found.table)
    assert list(again.masks) == list(PICTURED)
    assert "0003" in set(found.table.image_id)


def test_examples_are_matched_and_have_a_true_mask(study):
    """Each example's Dice is that of its own mask and truth; an image without truth is left out."""
    found = read_examples(*study.parts["kvasir-seg"]["examples"])
    assert len(found.table) == N - 1
    assert "NA" not in set(found.table.image_id)
    for name, masks in found.masks.items():
        np.testing.assert_allclose(found.table[f"dice:{name}"], dice(masks, found.truth), rtol=1e-5)
    best = found.table[f"dice:{HEADLINE}"].idxmax()
    assert found.ranked()[0] == best


def test_colour_depends_on_role_and_place_only():
    """A method keeps its colour when methods come after it or in other roles; too many fail."""
    rows = [f"method {k}" for k in range(len(style.PALETTE["variants"]))]
    few = style.colours({"variants": rows[:3]})
    assert few.items() <= style.colours({"variants": rows, "controls": ["c"]}).items()
    assert len(set(style.colours({"variants": rows}).values())) == len(rows)
    with pytest.raises(ValueError, match="variants need colours"):
        style.colours({"variants": [*rows, "one more"]})


@pytest.mark.parametrize(
    "simulation",
    [
        np.eye(3),
        # Machado, Oliveira & Fernandes, IEEE TVCG 15:1291, 2009: severity 1.
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    ],
    ids=["normal", "protanopia", "deuteranopia"],
)
def test_colours_differ_for_every_eye(simulation):
    """The colours of all methods stay apart (ΔE2000 > 8) with colour-blind eyes."""
    rgb = np.array([to_rgb(colour) for colours in style.PALETTE.values() for colour in colours])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    seen = np.clip(linear @ np.array(simulation).T, 0, 1)
    lab = rgb2lab(np.where(seen > 0.0031308, 1.055 * seen ** (1 / 2.4) - 0.055, 12.92 * seen))
    apart = deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(rgb), 1)]
    assert apart.min() > 8


@pytest.mark.parametrize("corner", [(5, 7), (0, 0)])
def test_outline_encloses_the_mask(corner):
    """Filling the outline gives the mask back, also where it touches the edge of the image."""
    mask = np.zeros((20, 30), np.uint8)
    mask[corner[0] : corner[0] + 8, corner[1] : corner[1] + 12] = 1
    (polygon,) = outlines(mask)
    np.testing.assert_array_equal(polygon[0], polygon[-1])
    assert (polygon2mask(mask.shape, polygon[:, ::-1]) == mask).all()


def test_outline_has_holes_and_fits_the_view_box():
    """A hole is a path of its own; an SVG path counts pixels from their corner; none is empty."""
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 5:35] = 1
    mask[15:25, 15:25] = 0
    path = svg_path(mask)
    numbers = np.array(re.findall(r"[\d.]+", path), float)
    assert path.count("M") == path.count("Z") == 2
    assert (numbers.min(), numbers.max()) == (5, 35)
    assert svg_path(np.zeros((4, 4), np.uint8)) == ""


@pytest.fixture
def panel():
    """Return two examples with known scores."""
    table = pd.DataFrame({"rank": ["worst", "best"], "dice:x": [0.123, 0.987]})
    shape = (2, 8, 8)
    masks = np.tri(8, dtype=np.uint8)[None].repeat(2, axis=0)
    return Examples(
        table=table,
        images=np.zeros((*shape, 3), np.uint8),
        truth=masks,
        maps={"relevance": np.zeros(shape, np.uint8)},
        masks={"x": masks},
    )


def test_examples_figure_is_reproducible(panel, tmp_path):
    """The best comes first with its own Dice, and the same input gives the same bytes."""
    files = {}
    for turn in "ab":
        figure = figures.examples({"Toy": panel}, {"x": "A method"}, {"A method": "#E69F00"})
        labels = [(ax.get_ylabel(), ax.get_xlabel()) for ax in figure.axes]
        assert [y for y, _ in labels if y] == ["best", "worst"]
        assert [x for _, x in labels if re.match(r"\d", x)] == ["98.7", "12.3"]
        for suffix in ("png", "pdf"):
            path = tmp_path / f"{turn}.{suffix}"
            style.save(figure, path)
            files.setdefault(suffix, []).append(path.read_bytes())
    for first, second in files.values():
        assert first == second
    # Text is kept as TrueType outlines, not as drawings of letters (Type 3).
    assert b"/FontFile2" in files["pdf"][0]
    assert b"/Type3" not in files["pdf"][0]


def test_distributions_show_means_and_n(study):
    """Every method of every data set has its mean and its number of defined scores beside it."""
    table = pd.concat(map(pd.read_csv, study.tables.tables))
    table = table.drop_duplicates(["dataset", "split", "row", "metric"])
    rows = METHODS
    images = pd.concat(
        read_rows(path).assign(dataset=dataset, row=rows[name])
        for path, dataset, name in study.scores
        if name in rows
    )
    figure = figures.distributions(images, table, TITLES, style.colours(ROLES))
    for ax, dataset in zip(figure.axes, TITLES, strict=True):
        ours = table[(table.dataset == dataset) & (table.split == "all") & (table.metric == "dice")]
        ours = ours.set_index("row").loc[list(rows.values())]
        written = [text.get_text() for text in ax.texts]
        assert written == [f"{row.value:.1f}\nn = {row.n}" for row in ours.itertuples()]


def test_training_marks_the_kept_epoch():
    """The marker sits at the least validation loss, not at the best accuracy."""
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [0.9, 0.5, 0.2],
            "validation_loss": [0.8, 0.4, 0.6],
            "validation_accuracy": [0.6, 0.8, 0.9],
        }
    )
    figure = figures.training({"Toy": [history]}, {"Toy": "cross_entropy"})
    for ax, expected in zip(figure.axes, [(2, 0.4), (2, 80.0)], strict=True):
        (kept,) = (line for line in ax.lines if line.get_label() == "epoch kept")
        assert (np.ravel(kept.get_xdata())[0], np.ravel(kept.get_ydata())[0]) == expected


def facts(p: float, gap: float, verdict: str = "differs") -> list[str]:
    """Return the answer where a variant lies `gap` points above a control with p."""
    row = {"dataset": "d", "split": "all", "metric": "dice", "ci_low": 40.0, "ci_high": 44.0}
    table = pd.DataFrame(
        [
            row | {"row": "V", "value": 42.0, "n": 9, "published": 41.0},
            row | {"row": "Control X", "value": 42.0 - gap, "n": 9, "published": np.nan},
        ]
    )
    # The control comes first, as it may in a table of all pairs.
    tests = pd.DataFrame(
        [
            {
                "dataset": "d",
                "first": "Control X",
                "second": "V",
                "mean_difference": -gap,
                "p_holm": p,
                "n": 9,
            }
        ]
    )
    claim = {"paper": "explainseg", "table": "1", "dataset": "d", "verdict": verdict}
    claims = pd.DataFrame([claim | {"reason": "other weights"}])
    return page.answer("d", table, tests, claims, "Ours", ["V"], [], ["Control X"])


@pytest.mark.parametrize(
    ("p", "gap", "said"),
    [
        (0.0001, 5.0, "V beats the control “X” by 5.0 points (p < 0.001)."),
        (0.2, 1.0, "V cannot be told from the control “X”: 1.0 points above, p = 0.200."),
        (0.01, -3.0, "V falls 3.0 points short of the control “X” (p = 0.010)."),
    ],
)
def test_answer_weighs_controls(p, gap, said):
    """A control is beaten only by a significant gap of the right sign, in any order of a pair."""
    assert facts(p, gap)[1] == said


def test_answer_states_best_and_published():
    """The first sentence has the mean, its interval and n; the last ones the published number."""
    said = facts(0.2, 1.0, "reproduced")
    assert "V is the best variant, with a mean Dice of 42.0 %" in said[0]
    assert "40.0 to 44.0, n = 9" in said[0]
    assert said[2].startswith("The paper reports 41.0 % for V; here it reaches 42.0 %")
    assert (
        said[3]
        == "Of its 1 numbers in Tables 1 and 2, 1 are reproduced, 0 differ, 0 cannot be compared."
    )
    assert facts(0.2, 1.0, "not comparable")[-1] == "Not comparable: other weights."


def test_runner_up_is_compared_on_shared_images():
    """Where undefined scores make a pair disagree with the means, the sentence says so."""
    tests = pd.DataFrame(
        {"first": ["V"], "second": ["W"], "mean_difference": [-0.8], "p_holm": [0.25], "n": [225]}
    )
    second = pd.Series({"value": 76.5}, name="W")
    assert page._runner_up("V", second, tests) == (
        "W comes next with 76.5 %; on the 225 images that both have a score for, V lies 0.8 points "
        "below, too little to tell from chance (p = 0.250)."
    )


def test_tuning_tells_what_changed():
    """The search's change of σ is listed with Dice before and after; what stayed is not."""
    found = page.tuning(trials())
    assert found["changes"] == [("smoothing.sigma", 8, 4)]
    assert found["coarse"] == pytest.approx((40.1, 45.2))
    assert found["refined"] == pytest.approx((46.3, 46.3))


def test_costs_add_up():
    """Jobs of a stage are summed, a memory that was not measured is passed over."""
    jobs = pd.DataFrame({"stage": ["a", "b", "a"], "s": [1, 9, 2], "max_rss": [np.nan, 5, 7]})
    assert page.costs(jobs) == [
        {"stage": "b", "jobs": 1, "seconds": 9, "memory": 5},
        {"stage": "a", "jobs": 2, "seconds": 3, "memory": 7},
    ]
    assert page.costs(jobs.iloc[:0]) == []


def test_page_needs_nothing_else(study):
    """Every picture, style and script is inside the file; links stay in the page."""
    reader = Reader(study.html)
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "object")
        assert attributes.get("src", "data:").startswith("data:")
        link = attributes.get("href", "#answer").partition("?")[0]
        assert link[0] == "#" and link[1:] in ids
        assert tag != "img" or attributes["alt"]
    assert not re.search(r"url\((?!#)|@import|fetch\(|https?://", study.html)


def test_page_holds_every_number(study):
    """Each mean, bound and published value of both tables and each verdict is on the page."""
    text = " ".join(" ".join(Reader(study.html).text).split())
    table = pd.concat(map(pd.read_csv, study.tables.tables))
    for row in table.itertuples():
        assert f"{row.value:.1f}" in text
        assert f"{row.ci_low:.1f}–{row.ci_high:.1f}" in text
    kvasir = table[table.published.notna()]
    assert set(kvasir.row) == {*VARIANTS.values(), *BASELINES.values(), OURS}
    for row in kvasir.itertuples():
        assert f"{row.published:.1f} {page.signed(row.difference)}" in text
    assert "precision bfloat16 (asked)" in text
    found = claims_shown(study)
    for verdict in found.verdict.unique():
        assert f"{page.VERDICTS[verdict]} {verdict}" in text
    assert "local file dino.safetensors" in text
    assert "/home/someone" not in study.html
    assert "none <needed>" in text
    assert "1 file rejected" in text
    assert f"1 of {N} images have nothing to cut" in text
    assert f"{OURS} beats TokenCut" in text


def claims_shown(study) -> pd.DataFrame:
    """Return the claims that have a number of ours beside them."""
    table = pd.read_csv(study.tables.claims)
    return table[table.ours.notna()]


def test_page_data_feed_the_browser(study):
    """The browser's data hold each example with its scores in percent and its outlines."""
    raw = re.search(r'<script type="application/json" id="data">(.*?)</script>', study.html, re.S)
    data = json.loads(raw.group(1))
    assert list(data) == [f"explainseg/{name}" for name in TITLES]
    toy = data["explainseg/toy"]
    assert {name: one["name"] for name, one in toy["methods"].items()} == PICTURED
    assert toy["first"] == HEADLINE
    examples = read_examples(*study.parts["toy"]["examples"])
    for item, row in zip(toy["items"], examples.table.to_dict("records"), strict=True):
        assert item["id"] == row["image_id"]
        for place in (item["image"], item["maps"]["relevance"]):
            assert toy["pictures"][place].startswith("data:image/jpeg;base64,")
        for name in PICTURED:
            for score, value in item["scores"][name].items():
                assert value == pytest.approx(100 * row[f"{score}:{name}"], abs=0.05)
            assert item["masks"][name].startswith("M")


def test_page_without_baselines_that_tell_of_themselves(study, checkout):
    """Where no baseline cuts tokens or is trained, the page is made and says nothing of them."""
    silent = {"cuts": [], "baseline_cards": []}
    built = SimpleNamespace(
        root=study.root,
        tables=study.tables,
        parts={name: files | silent for name, files in study.parts.items()},
    )
    html = write_page(built, checkout, study.root / "few.html", cutters={}, learners=[])
    assert "nothing to cut" in study.html
    assert "nothing to cut" not in html


def segx_facts() -> dict:
    """Make the least that the page needs of SegX: one data set, and tables of one cell."""
    one = {"first": "Row", "head": [["Group", ["column"]]]}
    one["groups"] = [["Findings", [["net shap", [[["0.123", "0.1–0.2"]]]]]]]
    names = ["segx_alignment", "segx_readings", "segu_certainty", "segu_selective", "segx_networks"]
    told = {"title": "Findings", "headline": "SegX helps.", "parts": {"SegU": ["It does not."]}}
    told |= {"name": "findings", "summary": [summary.line("Best", "SegX of net shap")]}
    facts = {"subsets": {"test": 3}, "shared": 0.0, "rejected": 0, "networks": ["net"], "cost": []}
    definition = {"analysis_size": 9, "classes": ["a"], "licence": "-", "citation": "-"}
    return {
        "datasets": [told | facts | definition],
        "tables": dict.fromkeys([*names, "segx_doses", "segx_tests"], one),
        "study": {"explainers": {"shap": {"samples": 5}}, "mask_scope": "union", "seeds": [1]},
    }


def test_page_of_both_studies(study, checkout, tmp_path):
    """With SegX beside ExplainSeg the page has both answers, all four tables and no loose link."""
    (tmp_path / "segx.json").write_text(json.dumps(segx_facts()))
    html = write_page(study, checkout, tmp_path / "both.html", segx=[tmp_path / "segx.json"])
    reader = Reader(html)
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in reader.elements if tag == "a"]
    links = [link.partition("?")[0] for link in links]
    assert set(links) <= set(ids)
    assert {"explainseg_ablation", "explainseg_baselines", "segx_alignment"} <= set(links)
    text = " ".join(" ".join(reader.text).split())
    assert "from raw images to Tables 1 to 4, beside the numbers that the papers published" in text
    assert "SegX helps. SegU It does not." in text
    assert f"{OURS} beats TokenCut" in text
    assert "segx_shortcut" not in ids
    alone = " ".join(Reader(study.html).text)
    assert "SegX" not in alone and "Tables 1 and 2" in alone


def test_page_misses_no_name():
    """A name that the template uses and nobody gives stops the page."""
    with pytest.raises(UndefinedError, match="absent"):
        page.render({"page.html.j2": "{{ absent }}"}, {})


def test_files_are_parted_by_data_set():
    """Each data set gets its files in order; without files it gets none."""
    assert [page.part(list("abcdef"), place, 2) for place in range(2)] == [list("abc"), list("def")]
    assert page.part([], 1, 2) == []


def test_headings_of_deviations():
    """Only Markdown has headings, and only those of the second level are taken."""
    texts = {"deviations.md": "# Title\n## One\ntext\n## Two\n", "page.css": "## no"}
    assert page.headings(texts) == {"deviations.md": ["One", "Two"]}


def test_page_is_reproducible(study, checkout):
    """The same results give the same page, byte for byte."""
    assert write_page(study, checkout, study.root / "again.html") == study.html


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (page.p_value, 0.0004, "p < 0.001"),
        (page.p_value, 0.0404, "p = 0.040"),
        (page.signed, -1.26, "−1.3"),
        (page.signed, 2, "+2.0"),
        (page.duration, 12.34, "12.3 s"),
        (page.duration, 600, "10.0 min"),
        (page.duration, 7200, "2.0 h"),
    ],
)
def test_numbers_are_printed_plainly(function, value, text):
    """Numbers in words keep the decimals that mean something."""
    assert function(value) == text
