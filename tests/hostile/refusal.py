"""What a refusal looks like: one sentence that names the file or key, and nothing left behind."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segxai.job.log import InputError


def files_below(folder: Path) -> set[str]:
    """Names of all that lies in a folder, hidden files too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def require_sentence(text: str) -> None:
    """Check that a text is one printable sentence, with any text of a library in parentheses."""
    assert "\n" not in text and "\x1b" not in text, text
    assert text.endswith("."), text
    assert len(text) < 700, text
    own = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", text)
    assert not re.search(r"\. [A-Z]", own), text
    text.encode("utf-8")


def refused(call: Callable, names: str, remedy: str, folder: Path | None = None) -> str:
    """Check that `call` ends with one sentence that matches `names` and `remedy` (patterns).

    Below `folder` nothing is added or taken away by the attempt.
    """
    before = files_below(folder) if folder else set()
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    require_sentence(text)
    assert re.search(names, text), text
    assert re.search(remedy, text), text
    assert (files_below(folder) if folder else set()) == before
    return text


def script(name: str) -> Callable:
    """Give the `main` of a script."""
    root = Path(__file__).resolve().parents[2]
    return runpy.run_path(str(root / "scripts" / f"{name}.py"))["main"]


def write_lesions(folder: Path, n: int = 6) -> Path:
    """Write images with masks and labels in the layout of the phantoms, of 20 × 30 pixels."""
    rng = np.random.default_rng(0)
    rows = []
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(n):
        mask = np.zeros((20, 30), np.uint8)
        mask[: i % 3 * 10, :15] = 255
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
        rows.append((f"{i}", "lesion" if mask.any() else "background"))
    pd.DataFrame(rows, columns=["image_id", "label"]).to_csv(folder / "labels.csv", index=False)
    return folder


def prepare(folder: Path, out: Path, **changes) -> None:
    """Run prepare_dataset on a folder of lesions."""
    receipt = folder.parent / "receipt.json"
    receipt.write_text(f'{{"folder": "{folder.as_posix()}"}}')
    names = {"samples": "samples.csv", "images": "images.npy", "truth": "masks.npy"}
    names |= {"outlines": "masks.csv", "rejected": "rejected.csv"}
    settings = {
        "reader": "phantom_lesions",
        "classes": ["background", "lesion"],
        "analysis_size": 16,
        "max_images": None,
        "max_rejected": 0,
        "split": {"validation": 2, "seed": 1},
        "threads": 1,
    }
    script("prepare_dataset")(
        receipt=receipt,
        **settings | changes,
        **{name: out / file for name, file in names.items()},
    )
