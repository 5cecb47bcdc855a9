"""Files of the user that change after a run: what depends on them is planned, and nothing else."""

import os
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from segxai.networks.network import build_network
from segxai.workflow.plugins import resolve
from tests.e2e.conftest import DEMO, jobs
from tests.planning import ROOT, snakemake
from tests.workflow.test_config import read_config

pytestmark = pytest.mark.study

NETWORK = "vit-tiny-phantom"
STUDY = {"datasets": ["kvasir-seg", "phantom-lesions"]}
CONFIG = {
    "run": ["explainseg"],
    "studies": {"explainseg": STUDY},
    "datasets": {"kvasir-seg": {"path": "clinic", "analysis_size": 64, "split": {"validation": 8}}},
    "networks": {NETWORK: {"weights": "body.safetensors", "training": {"epochs": 1}}},
}
TARGETS = [
    f"results/models/kvasir-seg/{NETWORK}/seed-1/card.json",
    "results/data/phantom-lesions/patches.csv",
]
READ = {"fetch_dataset": 1, "prepare_dataset": 1, "cut_patches": 1, "measure_statistics": 1}
TRAINED = {"train_network": 1}


def write_image(file, seed):
    """Write an image of noise, or a mask of half of the frame."""
    rng, grey = np.random.default_rng(seed), np.zeros((64, 64), np.uint8)
    grey[:32] = 255
    pixels = grey if file.parent.name == "masks" else rng.integers(0, 256, (64, 64, 3), np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


@pytest.fixture(scope="module")
def trained(run_study, tmp_path_factory):
    """Train a network on a folder of images, from a file of weights; return the run's folder."""
    folder = tmp_path_factory.mktemp("changed")
    for number in range(24):
        write_image(folder / f"clinic/images/{number:02d}.png", number)
        write_image(folder / f"clinic/masks/{number:02d}.png", number)
    definition = resolve(read_config(DEMO))["networks"][NETWORK]
    save_file(build_network(definition, 2, 3, 0).state_dict(), folder / "body.safetensors")
    (folder / "own.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    run_study(folder, DEMO, folder / "own.yaml", targets=TARGETS)
    return folder


def planned(folder) -> dict:
    """Jobs that the same command would run now, by rule."""
    files = [ROOT / DEMO, folder / "own.yaml"]
    plan = snakemake("-n", "--directory", folder, "--configfile", *files, "--", *TARGETS)
    assert plan.returncode == 0, plan.stdout
    assert "Traceback" not in plan.stdout
    return jobs(plan.stdout)


def touch(file):
    os.utime(file, (2_000_000_000, 2_000_000_000))


def touch_all(folder):
    for file in [*(folder / "clinic").rglob("*.png"), folder / "body.safetensors"]:
        touch(file)


def leave_junk(folder):
    for name in ("images/Thumbs.db", "masks/.DS_Store"):
        (folder / "clinic" / name).write_bytes(b"1")


def change_weights(folder):
    file = folder / "body.safetensors"
    save_file({name: values + 0.01 for name, values in load_file(file).items()}, file)


def take_away(folder):
    for name in ("clinic", "body.safetensors"):
        (folder / name).rename(folder / f"{name}.elsewhere")


def explain_fewer(folder):
    (folder / "own.yaml").write_text(
        yaml.safe_dump(CONFIG | {"studies": {"explainseg": {**STUDY, "images": 20}}}),
        encoding="utf-8",
    )


CHANGES = {
    "nothing": (lambda folder: None, {}),
    "touched": (touch_all, {}),
    "files of systems": (leave_junk, {}),
    "gone": (take_away, {}),
    "an image": (lambda folder: write_image(folder / "clinic/images/03.png", 99), READ | TRAINED),
    "a mask": (
        lambda folder: Image.new("L", (64, 64), 255).save(folder / "clinic/masks/03.png"),
        READ | TRAINED,
    ),
    "one more": (lambda folder: write_image(folder / "clinic/images/99.png", 99), READ | TRAINED),
    "one less": (lambda folder: (folder / "clinic/masks/03.png").unlink(), READ | TRAINED),
    "weights": (change_weights, TRAINED),
    # Training does not depend on which images are explained.
    "images of the study": (explain_fewer, {}),
}


@pytest.mark.parametrize(("change", "wanted"), CHANGES.values(), ids=CHANGES)
def test_a_change_reruns_what_depends_on_it_and_nothing_else(trained, change, wanted, tmp_path):
    """After a change on disk the plan holds the jobs behind the changed file, no other's."""
    # With the times of the files, which a plan compares.
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    change(tmp_path)
    assert planned(tmp_path) == wanted
