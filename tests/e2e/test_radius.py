"""How far a change reaches: what `snakemake -n` plans on the finished demo."""

import ast
import re
from pathlib import Path

import pytest

from segxai.workflow.plugins import KINDS
from tests.e2e.conftest import DEMO, changed, jobs

pytestmark = pytest.mark.study

# ABOUT of each new file, by the keys that its kind requires.
ABOUT = {
    "title": "New",
    "cites": "",
    "settings": {},
    "task": "classify",
    "needs": ["gradients"],
    "suits": ["convolutional", "transformer"],
    "targets": ["label"],
    "signed": True,
    "complete": False,
    "reads": [],
    "facts": [],
    "family": "overlap",
    "direction": "higher",
    "range": [0, 1],
    "undefined": "never",
}
ENTRIES = """\
explainers: {brand-new: {}}
segmenters: {new-mask: {role: control, method: brand_new}}
views: {brand_new: {}}
metrics: {brand_new: {}}
networks: {brand-new: {input_size: 64, weights: none.pt, normalisation: pretraining}}
datasets:
  brand-new:
    {title: New, analysis_size: 64, classes: [a, b], licence: "", citation: "",
     split: {validation: 1, seed: 1}}
"""


@pytest.fixture
def plan(run_study, house, demo):
    """Return a function that plans the finished demo again and returns the plan."""
    options = ["-n", "--quiet", "host"]
    return lambda *overlays: run_study(demo.parent, DEMO, *overlays, root=house, options=options)


class Reworded(ast.NodeTransformer):
    """Adds a word to the texts of errors, warnings and log lines."""

    def __init__(self):
        self.count = 0

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            self.reword(node.exc)
        return self.generic_visit(node)

    def visit_Call(self, node):
        called = ast.unparse(node.func)
        if called == "InputError" or re.fullmatch(r"log\.(debug|info|warning|error)", called):
            self.reword(node)
        return self.generic_visit(node)

    def reword(self, call):
        for text in call.args[:1]:
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            last = parts[-1]
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                last.value += " (reworded)"
                self.count += 1


def reworded(path: Path) -> tuple[str, int]:
    """Write a module anew: other texts, no comments, another layout, another first docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = Reworded()
    words.visit(tree)
    if ast.get_docstring(tree):
        tree.body[0].value.value += " Said otherwise."
    return "# A comment.\n" + ast.unparse(tree) + "\n", words.count


def test_a_finished_study_plans_nothing(plan):
    """Nothing has changed, and nothing is planned."""
    assert "Nothing to be done" in plan()


def test_new_methods_and_a_new_study_plan_nothing(plan, house, tmp_path):
    """A new file in each plug-in folder, its entry, and a study that is not selected: no job."""
    entries = tmp_path / "new.yaml"
    entries.write_text(ENTRIES)
    facts = {
        kind: {name: ABOUT[name] for name in ("title", "cites", "settings", *named)}
        for kind, named in KINDS.items()
    }
    files = {
        f"segxai/{kind}/brand_new.py": f'"""New."""\n\nABOUT = {about!r}\n'
        for kind, about in facts.items()
    }
    study = (house / "config/studies/regions.yaml").read_text()
    files["config/studies/new.yaml"] = study.replace("regions", "new-regions").replace(
        "new-regions_localisation", "new_localisation"
    )
    with changed(house, files):
        assert "Nothing to be done" in plan(entries)


def test_other_words_plan_nothing(plan, house):
    """Every error, log line, comment, docstring and layout of every module changes: no job."""
    modules = [
        path.relative_to(house)
        for folder in ("segxai", "scripts")
        for path in (house / folder).rglob("*.py")
    ]
    texts = {str(name): reworded(house / name) for name in modules}
    assert sum(count for _, count in texts.values()) > 150
    with changed(house, {name: text for name, (text, _) in texts.items()}):
        assert "Nothing to be done" in plan()


def test_another_equation_plans_its_explainer_alone(plan, house):
    """Grad-CAM without its rectifier: its maps, and what is made of them; nothing else."""
    file = "segxai/explainers/grad_cam.py"
    before = (house / file).read_text()
    after = before.replace(".sum(dim=1).relu()", ".sum(dim=1)")
    assert after != before
    with changed(house, {file: after}):
        output = plan()
    assert set(re.findall(r"explainer=([\w-]+)", output)) == {"gradcam"}
    # Alignment, certainty, doses and shortcut, and what people read of them; and the check of the
    # network, which calls the explainer's own.
    own = {"check_network": 1, "explain": 1, "gather_maps": 1, "score_maps": 4, "make_table": 4}
    shown = ["choose_examples", "draw_map_examples", "draw_risk_coverage", "draw_responses"]
    rest = {"check_claims": 1, "write_report": 1, **dict.fromkeys(shown, 1)}
    assert jobs(output) == own | rest
