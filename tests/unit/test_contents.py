"""The state of what the configuration names by a path: what changes it, and what does not."""

import json
import os
from pathlib import Path

import pytest

from segxai.workflow import contents
from segxai.workflow.contents import expanded, file_key, folder_key, list_files, sha256

RECEIPT = "results/raw/originals.json"
LATER = (2_000_000_000, 2_000_000_000)


@pytest.fixture(autouse=True)
def _run_folder(tmp_path, monkeypatch):
    """Plan in a folder of its own."""
    (tmp_path / "run/results/raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")


@pytest.fixture
def folder(tmp_path):
    """Write two images and their masks."""
    folder = tmp_path / "originals"
    for name in ("images/a.png", "images/ä.png", "masks/a.png", "masks/ä.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def plan(path) -> str:
    """Name the state of a folder as the next plan would."""
    folder_key.cache_clear()
    return folder_key(str(path), RECEIPT)


def fetch(path) -> str:
    """Write the receipt of a job that has read a folder, and give the key that it ran with."""
    key, files = plan(path), list_files(path)
    texts = {name: f"{f.size} {f.changed} {sha256(f.path)}" for name, f in files.items()}
    facts = {"contents": key, "files": texts}
    Path(RECEIPT).write_text(json.dumps(facts), encoding="utf-8")
    return key


def rewrite(folder):
    (folder / "masks/a.png").write_bytes(b"MASKS/a.png")
    os.utime(folder / "masks/a.png", LATER)


def swap(folder):
    (folder / "images/a.png").rename(folder / "c")
    (folder / "images/ä.png").rename(folder / "images/a.png")
    (folder / "c").rename(folder / "images/ä.png")


CHANGES = {
    "a mask of the same size": rewrite,
    "an image of another size": lambda folder: (folder / "images/a.png").write_bytes(b"longer" * 9),
    "one more": lambda folder: (folder / "images/b.png").write_bytes(b""),
    "one less": lambda folder: (folder / "masks/ä.png").unlink(),
    "another name": lambda folder: (folder / "masks/ä.png").rename(folder / "masks/b.png"),
    "two names swapped": swap,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_another_key_until_the_job_has_run(folder, change):
    """A change of a file gives another key, and the job that ran with it makes that the key."""
    before = fetch(folder)
    change(folder)
    after = plan(folder)
    assert before != after == plan(folder)
    assert fetch(folder) == after == plan(folder)


def added(name):
    def add(folder):
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"1")

    return add


def touch_all(folder):
    for file in list_files(folder).values():
        os.utime(file.path, LATER)


def loop(folder):
    (folder / "images/round").symlink_to(folder / "images")
    (folder / "up").symlink_to(folder.parent)
    (folder / "root").symlink_to("/")
    (folder / "nowhere").symlink_to(folder / "no such file")


UNCHANGED = {name: added(name) for name in ("images/Thumbs.db", "masks/.DS_Store", "Desktop.ini")}
UNCHANGED |= {"of macOS": added("__MACOSX/a.png"), "hidden": added(".git/index")}
UNCHANGED |= {"touched": touch_all, "links in circles": loop}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_what_changes_no_image_keeps_the_key(folder, change):
    """Other times alone, files that systems add, and links that lead round give the same key."""
    before = fetch(folder)
    change(folder)
    assert before == plan(folder) == plan(folder)


def test_only_files_of_another_time_are_read_and_once(folder, monkeypatch):
    """A plan reads what was touched since the job, and the next one nothing."""
    fetch(folder)
    read = []
    monkeypatch.setattr(contents, "sha256", lambda path: read.append(path) or sha256(path))
    os.utime(folder / "images/a.png", LATER)
    plan(folder)
    plan(folder)
    assert read == [str(folder / "images/a.png")]


def test_images_behind_links_count(folder, tmp_path):
    """A folder of links to images, and a link to a folder of them, are read as what they are."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/images").symlink_to(folder / "images")
    (tmp_path / "linked/a.png").symlink_to(folder / "masks/a.png")
    assert list(list_files(tmp_path / "linked")) == ["a.png", "images/a.png", "images/ä.png"]
    before = fetch(tmp_path / "linked")
    (folder / "images/a.png").write_bytes(b"another image")
    assert plan(tmp_path / "linked") != before


def test_results_of_the_run_are_not_originals(tmp_path):
    """A `path` that holds the run's own folder does not change by what the run writes."""
    added("originals.png")(tmp_path)
    before = fetch(tmp_path)
    for name in ("results/images.npy", "logs/x.log", "benchmarks/x.tsv", ".snakemake/x"):
        added(name)(tmp_path / "run")
    assert list(list_files(tmp_path)) == ["originals.png"]
    assert plan(tmp_path) == before


def test_what_is_gone_is_used_as_it_was_with_a_word(folder, caplog):
    """A folder that is missing, or is now a file, keeps its key; the plan reports it once."""
    before = fetch(folder)
    folder.rename(folder.with_name("elsewhere"))
    assert plan(folder) == before
    (message,) = caplog.messages
    assert str(folder) in message and "cannot be read" in message
    folder.write_bytes(b"an archive")
    assert plan(folder) == before
    Path(RECEIPT).unlink()
    caplog.clear()
    # Its job will report the problem.
    assert (plan(folder), caplog.messages) == ("", [])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"contents": "x"}', '{"contents": 1, "files": [1]}']
)
def test_a_damaged_receipt_is_ignored(folder, text):
    """A file that is not a receipt counts as none."""
    without = plan(folder)
    Path(RECEIPT).write_text(text, encoding="utf-8")
    assert plan(folder) == without


def weights(path) -> str:
    file_key.cache_clear()
    return file_key(str(path))


def test_another_file_of_weights_is_another_key(tmp_path, monkeypatch, caplog):
    """The key of a file follows what it holds, not its time; one that went away keeps it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "weights.pth"
    assert weights("~/weights.pth") == ""
    file.write_bytes(b"1")
    before = weights("~/weights.pth")
    os.utime(file, LATER)
    assert weights("~/weights.pth") == before
    file.write_bytes(b"2")
    after = weights("~/weights.pth")
    assert after != before
    file.unlink()
    assert weights("~/weights.pth") == after
    assert "cannot be read" in caplog.text


def test_without_a_home_a_tilde_is_a_name(monkeypatch):
    """Without a known home folder, `~` is unchanged, and no traceback follows."""
    monkeypatch.delenv("HOME")
    assert str(expanded("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"
