"""The documentation: links that resolve, names that exist, commands that run."""

import argparse
import ast
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.markdown import PAGES, ROOT, anchors, commands, files, links, prose, sections
from tests.planning import snakemake

DEVIATIONS = sorted((ROOT / "docs").glob("deviations*.md"))
REPRODUCE = ROOT / "docs/reproduce.md"
# Files of this page that its commands are configured by; None: config/config.yaml alone.
OVERLAYS = [None, *(name for name, _, _ in files(REPRODUCE.read_text()))]
RULES = re.findall(
    r"^(?:use )?rule (?:\w+ as )?(\w+)[: ]",
    "\n".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]),
    re.M,
)
# Files that a page asks its reader to write.
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
    folders = "benchmarks|config|docs|envs|profiles|rules|scripts|segxai|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]+\.(?:{suffixes}))`", page.read_text())
    assert [name for name in named if not (ROOT / name).is_file() and name not in WRITTEN] == []


def named_tests(page: Path) -> list[str]:
    """Tests that a page names, as `file::test` below `tests/`."""
    return re.findall(r"`(\w+/test_\w+\.py::\w+)`", page.read_text(encoding="utf-8"))


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


def asked_of_snakemake(overlay: str | None) -> tuple[list[str], list[str], list[str]]:
    """Targets, forced rules and further flags of all commands that one overlay configures."""
    targets, forced, flags = [], [], []
    for line in commands(REPRODUCE.read_text()):
        words = shlex.split(line)
        if not words[0].endswith("bin/snakemake"):
            continue
        parser = argparse.ArgumentParser()
        for option in ("--cores", "--resources", "--directory", "--configfile"):
            parser.add_argument(option)
        parser.add_argument("--forcerun", nargs="*", default=[])
        parser.add_argument("targets", nargs="*")
        known, others = parser.parse_known_args(words[1:])
        # It plans nothing.
        if known.configfile == overlay and "--unlock" not in others:
            targets += known.targets or ["all"]
            forced += known.forcerun
            flags += others
    return targets, forced, flags


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_have_their_targets(overlay, tmp_path):
    """All commands of docs/reproduce.md with one configuration are planned for their targets."""
    targets, forced, flags = asked_of_snakemake(overlay)
    assert targets
    assert set(forced) <= set(RULES)
    arguments = ["--dry-run", "--quiet", "rules", "--directory", tmp_path / "study", *set(flags)]
    if overlay:
        texts = {name: text for name, _, text in files(REPRODUCE.read_text())}
        (tmp_path / overlay).write_text(texts[overlay])
        arguments += ["--configfile", tmp_path / overlay]
    planned = snakemake(*arguments, "--", *dict.fromkeys(targets))
    assert planned.returncode == 0, planned.stdout


def test_make_targets_exist():
    """Every `make …` of the documentation is a target of the Makefile."""
    known = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^ *|`)make ([a-z]+)(?=[ `\n])", text, re.M))
    assert len(named) > 3
    assert named <= known
