"""The page in a real browser: it opens quietly, sorts, switches layers, and listens to keys."""

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from segxai.figures.examples import Examples
from segxai.page import page, summary
from segxai.page.gallery import EXPLAINSEG_SCORES, SEGX_SCORES, of_explainseg, of_segx

SIDE, N = 24, 15
METHODS = {"a": "Method A", "b": "Method B"}
ROWS = ["resnet50 shap", "densenet121 gradcam"]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom"]
# Before all other scripts: note errors. After them: do what a reader does and note what is seen.
LISTEN = """<script>const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(event.blockedURI));</script>"""
LOOK = """<script>
const seen = {};
const ids = () => [...gallery.querySelectorAll("figure")].map((figure) => figure.dataset.id);
const set = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("change", { bubbles: true }));
};
const key = (name) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const outlines = () => gallery.querySelectorAll("figure:first-child svg > path:not(.halo)").length;
const maps = () => gallery.querySelectorAll("figure:first-child svg > image").length;
const focused = () => document.activeElement.dataset.id;
addEventListener("load", () => {
  STEPS
  seen.errors = errors;
  seen.loaded = performance.getEntriesByType("resource").map(({ name }) => name)
    .filter((name) => !name.startsWith("data:"));
  const note = document.createElement("pre");
  note.id = "seen";
  note.textContent = JSON.stringify(seen);
  document.body.append(note);
});
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def cases(segx: bool) -> Examples:
    """Make the arrays and scores of a few images; every third prediction of SegX is wrong."""
    rng = np.random.default_rng(1)
    names = [f"{k:02d}" for k in rng.permutation(N)]
    table = pd.DataFrame({"image_id": names, "split": "test", "label": "x", "target": "y"})
    table["rank"] = ""
    scores, methods = (SEGX_SCORES, ROWS) if segx else (EXPLAINSEG_SCORES, METHODS)
    for score in scores:
        for method in methods:
            table[f"{score}:{method}"] = rng.random(N)
    if segx:
        table["present"] = [int(k % 3 > 0) for k in range(N)]
        wrong = table.present == 0
        table.loc[wrong, [f"iou_{kind}:{row}" for kind in ("segx", "original") for row in ROWS]] = (
            np.nan
        )
        # The other classifier did not predict the label of the first image.
        table.loc[0, [f"{score}:{ROWS[1]}" for score in SEGX_SCORES]] = np.nan
    else:
        table["completeness_error"] = 0.01
    square = np.zeros((N, SIDE, SIDE), np.uint8)
    square[:, 5:12, 5:12] = 1
    maps = rng.integers(1, 255, (N, SIDE, SIDE), np.uint8)
    images = rng.integers(0, 255, (N, SIDE, SIDE, 3), np.uint8)
    masks = dict.fromkeys(["segmentation"] if segx else METHODS, square)
    return Examples(
        table, images, square, dict.fromkeys(ROWS if segx else ["relevance"], maps), masks
    )


@pytest.fixture(scope="module")
def made(checkout):
    """Return the examples of both studies and the page that shows them."""
    examples = {"explainseg/toy": cases(segx=False), "segx/toy": cases(segx=True)}
    shades = dict.fromkeys(METHODS.values(), "#009E73")
    browser = {
        "explainseg/toy": of_explainseg(examples["explainseg/toy"], "Toy", METHODS, shades, "b"),
        "segx/toy": of_segx(examples["segx/toy"], "Toy", ROWS),
    }
    lines = [summary.line("Best", "B") | {"row": "Method B"}]
    told = {"name": "toy", "title": "Toy", "summary": lines}
    jobs = pd.DataFrame({"stage": ["explain"], "dataset": ["toy"], "s": [7200.0], "max_rss": [9.0]})
    empty = {name: {} for name in ("lines", "deviations", "versions", "colours")}
    empty |= {name: [] for name in ("claims", "figures", "segx_figures", "datasets", "objects")}
    facts = {
        **empty,
        "titles": {"toy": "Toy"},
        "settings": {"statistics": {"confidence": 0.95, "resamples": 10}, "seeds": [1]},
        "data": empty | {"titles": ["Toy"], "rejected": [], "classes": [{}], "terms": [{}]},
        "segx": None,
        "browser": browser,
        "glances": [summary.glance("explainseg", told, browser, jobs)],
        "costs": page.costs(jobs),
        "absent": 0,
        "commit": None,
        "devices": [],
        "hardware": "a machine",
        "marks": summary.MARKS,
    }
    files = (checkout / "segxai" / "page").glob("page.*[!y]")
    return examples, page.render({file.name: file.read_text() for file in files}, facts)


@pytest.fixture(scope="module")
def look(made, tmp_path_factory):
    """Return a function that opens the page at an address, takes some steps, and tells."""
    folder = tmp_path_factory.mktemp("browser")

    def told(steps: str, address: str = "") -> dict:
        html = made[1].replace("<body>", f"<body>{LISTEN}", 1)
        html = html.replace("</body>", LOOK.replace("STEPS", steps) + "</body>", 1)
        (folder / "page.html").write_text(html)
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}"]
        url = f"{(folder / 'page.html').as_uri()}{address}"
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=300)
        (text,) = re.findall(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
        for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(entity, character)
        console = [row for row in done.stderr.splitlines() if "CONSOLE" in row]
        return json.loads(text) | {"console": console}

    return told


@pytest.fixture(scope="module")
def seen(look) -> dict:
    """Return what a reader sees who opens the page and tries everything."""
    return look(
        """
  seen.first = ids();
  seen.place = form.elements.place.value;
  set("score", "iou"); set("order", "highest"); seen.iou = ids();
  set("by", "a"); seen.other = ids();
  seen.followed = shown();
  set("score", "dice"); set("order", "lowest"); set("by", "b");
  gallery.querySelector("figure").click();
  seen.outlines = [outlines()];
  key("t"); seen.outlines.push(outlines());
  key("1"); seen.outlines.push(outlines());
  seen.maps = [maps()];
  key("r"); seen.maps.push(maps());
  seen.focus = [focused()];
  key("ArrowRight"); seen.focus.push(focused());
  key("ArrowLeft"); seen.focus.push(focused());
  key("End"); seen.focus.push(focused()); seen.last = ids();
  key("Home"); seen.focus.push(focused());
  key("Enter"); seen.large = [gallery.querySelectorAll(".large").length, focused()];
  key("Escape"); seen.large.push(gallery.querySelectorAll(".large").length);
  form.elements.next.click(); seen.turned = ids();
  set("dataset", "segx/toy"); seen.predictions = ids();
  seen.methods = [...form.elements.by.options].map(({ value }) => value);
  seen.layers = boxes().map(({ value }) => value);
  seen.maps.push(maps()); key("x"); boxes().find(({ value }) => value === "segx").click();
  seen.maps.push(maps());
  seen.clips = gallery.querySelectorAll("clipPath path[d^=M]").length;
  set("by", ROW); seen.fewer = form.elements.place.value;
  set("cases", "wrong"); seen.wrong = ids();
  seen.wide = document.documentElement.scrollWidth - innerWidth;
""".replace("ROW", json.dumps(ROWS[1]))
    )


def ranked(examples: Examples, column: str, *, falling: bool = False, some=None) -> list[str]:
    """Names of the images in the order of a score."""
    table = examples.table if some is None else examples.table[some]
    return table.sort_values(column, ascending=not falling, kind="stable").image_id.tolist()


def test_page_opens_quietly(seen):
    """No error, no message on the console, nothing loaded from anywhere, nothing too wide."""
    assert seen["errors"] == []
    assert seen["console"] == []
    assert seen["loaded"] == []
    assert seen["wide"] <= 0


def test_failures_come_first(seen, made):
    """The lowest Dice of the first method leads, 12 images to a page."""
    assert seen["first"] == ranked(made[0]["explainseg/toy"], "dice:b")[:12]
    assert seen["place"] == f"1–12 of {N}"
    assert seen["turned"] == ranked(made[0]["explainseg/toy"], "dice:b")[12:]


def test_images_are_sorted_by_score_and_method(seen, made):
    """Another score, order and method is what the images are sorted by; its mask is shown."""
    assert seen["iou"] == ranked(made[0]["explainseg/toy"], "iou:b", falling=True)[:12]
    assert seen["other"] == ranked(made[0]["explainseg/toy"], "iou:a", falling=True)[:12]
    assert seen["followed"] == ["truth", "a"]


def test_keys_switch_layers(seen):
    """T hides the truth, 1 shows the first mask, r lays the relevance over the image."""
    assert seen["outlines"] == [2, 1, 2]
    assert seen["maps"][:2] == [1, 2]


def test_keys_move_through_the_images(seen, made):
    """Arrows, Home and End move the focus, over pages as well; Enter enlarges, Escape undoes it."""
    order = ranked(made[0]["explainseg/toy"], "dice:b")
    assert seen["focus"] == [order[0], order[1], order[0], order[-1], order[0]]
    assert seen["last"] == order[12:]
    assert seen["large"] == [1, order[0], 0]


def test_predictions_of_segx_share_the_browser(seen, made):
    """SegX has its own methods, scores and layers; labels that were not predicted are left out."""
    examples = made[0]["segx/toy"]
    assert seen["methods"] == ROWS
    assert seen["layers"] == ["truth", "relevance", "segx", "segmentation"]
    right = examples.table.present == 1
    expected = ranked(examples, f"iou_segx:{ROWS[0]}", some=right)
    assert [name.split(" · ")[0] for name in seen["predictions"]][: len(expected)] == expected
    # The image and its relevance, then also the part of it inside the segmentation.
    assert seen["maps"][2:] == [2, 3]
    assert seen["clips"] == 12
    assert seen["fewer"] == f"1–12 of {N - 1}"
    wrong = set(examples.table.image_id[~right].iloc[1:])
    assert {name.split(" · ")[0] for name in seen["wrong"]} == wrong


def test_address_leads_to_a_view(look, made):
    """A link names data set, method, score, order and predictions, as the summary's links do."""
    view = {"dataset": "segx/toy", "by": ROWS[0], "score": "c_iou", "order": "highest"}
    address = summary.link(view | {"cases": "wrong"})
    seen = look("seen.shown = ids(); seen.by = form.elements.by.value;", address)
    examples = made[0]["segx/toy"]
    wrong = examples.table.present == 0
    expected = ranked(examples, f"c_iou:{ROWS[0]}", falling=True, some=wrong)
    assert [name.split(" · ")[0] for name in seen["shown"]] == expected
    assert seen["by"] == ROWS[0]
    assert seen["errors"] == []


def test_link_of_the_summary_leads_to_the_worst_image(look, made):
    """The first failure that the summary names has the focusable place in the browser."""
    links = re.findall(r'href="(#images\?[^"]+)">([^ ]+) \(', made[1])
    worst = ranked(made[0]["explainseg/toy"], "dice:b")[:3]
    assert [name for _, name in links] == worst
    address = links[2][0].replace("&amp;", "&")
    seen = look("seen.at = gallery.querySelector('[tabindex=\"0\"]').dataset.id;", address)
    assert seen["at"] == worst[2]
