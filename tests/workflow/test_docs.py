"""The documentation: links that resolve, names that exist, commands that run."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.markdown import PAGES, ROOT, anchors, commands, files, links, prose, sections

DEVIATIONS = sorted((ROOT / "docs").glob("deviations*.md"))
REPRODUCE = ROOT / "docs/reproduce.md"
PLANNED = [line for line in commands(REPRODUCE.read_text()) if "bin/snakemake" in line]
RULES = re.findall(
    r"^(?:use )?rule (?:\w+ as )?(\w+)[: ]",
    "\n".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]),
    re.M,
)
# Files that a page tells its reader to write.
WRITTEN = {name for page in PAGES for name, _, _ in files(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    """Every link leads to a file that is there, and to a heading that it has."""
    for target in links(page):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_addresses_are_well_formed(page):
    """Every web address has a host with a dot, and no character that ends it too early."""
    for address in re.findall(r"\w+://[^\s)`>\]|\"]*", page.read_text()):
        parts = urlsplit(address.rstrip(".,;:"))
        if parts.scheme == "s3":
            continue
        assert parts.scheme in ("http", "https"), address
        assert re.fullmatch(r"([\w-]+\.)+[a-z]{2,}(:\d+)?", parts.netloc), address
        assert not re.search(r"[{}<>\\^…]", parts.path.removesuffix("…")), address


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    """A path in backticks, from the checkout's root, is that of a file."""
    suffixes = "csv|json|md|py|smk|yaml"
    folders = "config|docs|envs|profiles|rules|scripts|segxai|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]+\.(?:{suffixes}))`", page.read_text())
    assert [name for name in named if not (ROOT / name).is_file() and name not in WRITTEN] == []


def named_tests(page: Path) -> list[str]:
    """Tests that a page names, as `file::test` below `tests/`."""
    return re.findall(r"`(\w+/test_\w+\.py::\w+)`", page.read_text())


@pytest.mark.parametrize("page", DEVIATIONS, ids=lambda page: page.name)
def test_every_deviation_names_what_shows_it(page):
    """Each entry names a test, and each test that is named exists."""
    entries = sections(page)
    assert len(entries) > 10
    shown = r"`\w+/test_\w+\.py::test_\w+`"
    assert [title for title, text in entries.items() if not re.search(shown, text)] == []
    for name in named_tests(page):
        file, _, test = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert test in functions, name
    # A name without its file would go unchecked.
    assert re.findall(r"`test_\w+", prose(page)) == []


@pytest.mark.parametrize("command", PLANNED)
def test_commands_have_their_targets(command, tmp_path):
    """A command of docs/reproduce.md plans jobs for its targets, by the files printed there."""
    for name, _, text in files(REPRODUCE.read_text()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    words = shlex.split(command)
    program = next(place for place, word in enumerate(words) if word.endswith("bin/snakemake"))
    words = [str(tmp_path / word) if (tmp_path / word).is_file() else word for word in words]
    if "--directory" in words:
        place = words.index("--directory") + 1
        words[place] = str(tmp_path / words[place])
    else:
        words[program + 1 : program + 1] = ["--directory", str(tmp_path / "study")]
    planned = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", *words[program + 1 :]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr


def test_make_targets_exist():
    """Every `make …` of the documentation is a target of the Makefile."""
    known = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^ *|`)make ([a-z]+)(?=[ `\n])", text, re.M))
    assert len(named) > 3
    assert named <= known


def reachable(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Pairs of which the second can be reached from the first."""
    pairs = set(edges)
    while more := {(a, d) for a, b in pairs for c, d in edges if b == c} - pairs:
        pairs |= more
    return pairs


def test_picture_of_the_rules_is_the_studys(tmp_path):
    """docs/images/rules.svg holds the rules that `--rulegraph` gives, in the same order."""
    (command,) = commands((ROOT / "docs/ARCHITECTURE.md").read_text())
    words = shlex.split(command.partition(" | ")[0])[1:]
    words[words.index("--directory") + 1] = str(tmp_path)
    graph = subprocess.run(
        [sys.executable, "-m", "snakemake", *words], cwd=ROOT, capture_output=True, text=True
    ).stdout
    rules = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    planned = {(rules[a], rules[b]) for a, b in re.findall(r"(\d+) -> (\d+)", graph)}
    svg = (ROOT / "docs/images/rules.svg").read_text()
    names = dict(re.findall(r"<title>(\d+)</title>.*?<text[^>]*>(\w+)</text>", svg, re.S))
    drawn = {(names[a], names[b]) for a, b in re.findall(r"<title>(\d+)&#45;&gt;(\d+)<", svg)}
    assert set(rules.values()) >= set(RULES)
    assert sorted(names.values()) == sorted(rules.values())
    assert reachable(drawn) == reachable(planned)
