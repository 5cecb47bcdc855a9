"""The page in a real browser: it opens quietly, sorts, filters, and listens to keys."""

import html as markup
import json
import re
import shutil
import subprocess
from urllib.parse import urlencode

import pytest

from segxai.figures.examples import Examples
from tests.unit.test_page import write_page
from tests.unit.toy_study import PATHS, SPEC, N, make_examples

IOU, DICE = "iou truth", "dice truth"
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


@pytest.fixture(scope="module")
def made(checkout, tmp_path_factory):
    """Return the examples of both studies and the page that shows them."""
    examples = {f"{study}/toy": make_examples(study) for study in SPEC["studies"]}
    return examples, write_page(tmp_path_factory.mktemp("page"), checkout)


@pytest.fixture(scope="module")
def look(made, tmp_path_factory):
    """Return a function that opens the page at an address, takes steps, and returns its state."""
    folder = tmp_path_factory.mktemp("browser")

    def state_after(steps: str, address: str = "") -> dict:
        html = made[1].replace("<body>", f"<body>{LISTEN}", 1)
        html = html.replace("</body>", LOOK.replace("STEPS", steps) + "</body>", 1)
        (folder / "page.html").write_text(html)
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}"]
        url = f"{(folder / 'page.html').as_uri()}{address}"
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=300)
        (text,) = re.findall(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
        text = markup.unescape(text)
        console = [row for row in done.stderr.splitlines() if "CONSOLE" in row]
        return json.loads(text) | {"console": console}

    return state_after


@pytest.fixture(scope="module")
def seen(look) -> dict:
    """Return the visible state of the page after each of its controls is used."""
    return look(
        """
  seen.first = ids();
  seen.place = form.elements.place.value;
  set("score", "iou truth"); set("order", "highest"); seen.iou = ids();
  set("by", "vit/ig/a"); seen.other = ids();
  seen.followed = shown();
  set("score", "dice truth"); set("order", "lowest"); set("by", "b");
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
  set("dataset", "maps/toy"); seen.predictions = ids();
  seen.methods = [...form.elements.by.options].map(({ value }) => value);
  seen.layers = boxes().map(({ value }) => value);
  seen.maps.push(maps()); key("x"); boxes().find(({ value }) => value === "inside").click();
  seen.maps.push(maps());
  seen.clips = gallery.querySelectorAll("clipPath path[d^=M]").length;
  set("by", ROW); seen.fewer = form.elements.place.value;
  set("cases", "incorrect"); seen.wrong = ids();
  const cells = (table, column) => [...table.tBodies[0].querySelectorAll("tr:not(.group)")]
    .map((row) => row.cells[column].innerText.split("\\n")[0]);
  const printed = document.querySelector("#variants table.sortable");
  const heads = printed.querySelectorAll(".sort");
  seen.sorted = [cells(printed, 1)];
  for (const turn of [1, 2]) { heads[1].click(); seen.sorted.push(cells(printed, 1)); }
  const every = document.querySelector("details[data-table=variants]");
  unfold(every);
  const search = every.querySelector("input");
  seen.rows = [every.querySelectorAll("tbody tr").length];
  search.value = "B test"; search.dispatchEvent(new Event("input"));
  seen.rows.push(every.querySelectorAll("tbody tr").length);
  seen.wide = document.documentElement.scrollWidth - innerWidth;
""".replace("ROW", json.dumps(PATHS[1]))
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
    """The lowest score of the first method leads, 12 images to a page."""
    assert seen["first"] == ranked(made[0]["masks/toy"], f"{DICE}:b")[:12]
    assert seen["place"] == f"1–12 of {N}"
    assert seen["turned"] == ranked(made[0]["masks/toy"], f"{DICE}:b")[12:]


def test_images_are_sorted_by_score_and_method(seen, made):
    """Another score, order and method is what the images are sorted by; its mask is shown."""
    assert seen["iou"] == ranked(made[0]["masks/toy"], f"{IOU}:b", falling=True)[:12]
    assert seen["other"] == ranked(made[0]["masks/toy"], f"{IOU}:vit/ig/a", falling=True)[:12]
    assert seen["followed"] == ["truth", "vit/ig/a"]


def test_tables_are_sorted_and_filtered(seen):
    """A heading sorts falling, then rising, gaps last; words keep the rows that hold them."""
    assert seen["sorted"] == [["40.0", "60.2", "–"], ["60.2", "40.0", "–"], ["40.0", "60.2", "–"]]
    assert seen["rows"] == [6, 1]


def test_keys_switch_layers(seen):
    """T hides the truth, 1 shows the first mask, r lays the relevance over the image."""
    assert seen["outlines"] == [2, 1, 2]
    assert seen["maps"][:2] == [1, 2]


def test_keys_move_through_the_images(seen, made):
    """Arrows, Home and End move the focus, over pages as well; Enter enlarges, Escape undoes it."""
    order = ranked(made[0]["masks/toy"], f"{DICE}:b")
    assert seen["focus"] == [order[0], order[1], order[0], order[-1], order[0]]
    assert seen["last"] == order[12:]
    assert seen["large"] == [1, order[0], 0]


def test_predictions_share_the_browser(seen, made):
    """Maps have their own methods, scores, layers; labels that were not predicted are left out."""
    examples = made[0]["maps/toy"]
    assert seen["methods"] == PATHS
    assert seen["layers"] == ["truth", "relevance", "inside", "segmentation"]
    correct = examples.table.correct == 1
    expected = ranked(examples, f"iou_at segx truth:{PATHS[0]}", some=correct)
    assert [name.split(" · ")[0] for name in seen["predictions"]][: len(expected)] == expected
    # The image and its relevance, then also the part of it inside the segmentation.
    assert seen["maps"][2:] == [2, 3]
    assert seen["clips"] == 12
    assert seen["fewer"] == f"1–12 of {N - 1}"
    incorrect = set(examples.table.image_id[~correct].iloc[1:])
    assert {name.split(" · ")[0] for name in seen["wrong"]} == incorrect


def test_address_leads_to_a_view(look, made):
    """A link names data set, method, score, order, predictions and the chosen image."""
    examples = made[0]["maps/toy"]
    incorrect = examples.table.correct == 0
    expected = ranked(examples, f"probability:{PATHS[0]}", falling=True, some=incorrect)
    view = {"dataset": "maps/toy", "by": PATHS[0], "score": "probability", "order": "highest"}
    view |= {"cases": "incorrect", "image": f"{expected[1]} · y"}
    steps = """seen.shown = ids(); seen.by = form.elements.by.value;
  seen.at = gallery.querySelector('[tabindex="0"]').dataset.id;"""
    seen = look(steps, f"#images?{urlencode(view)}")
    assert [name.split(" · ")[0] for name in seen["shown"]] == expected
    assert seen["by"] == PATHS[0]
    assert seen["at"] == view["image"]
    assert seen["errors"] == []
