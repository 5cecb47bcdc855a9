"""Running the study as a user does: the demo once, for all tests."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DEMO = "config/overlays/demo.yaml"


@pytest.fixture(scope="session")
def run_study(checkout: Path) -> Callable[..., str]:
    """Return a function that runs a study in a folder, checks its exit status and gives its log."""

    def run(
        folder, *overlays, cores=2, targets=(), options=(), fails=False, root=checkout, **variables
    ):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
        command += ["--resources", "gpu=4", *options]
        command += ["--snakefile", str(root / "Snakefile"), "--directory", str(folder)]
        command += ["--configfile", *(str(root / overlay) for overlay in overlays)]
        done = subprocess.run(
            [*command, "--", *targets],
            cwd=variables.pop("cwd", root),
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout[-8000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def house(checkout, tmp_path_factory) -> Path:
    """Return a copy of all files of the repository, from which `demo` is run."""
    folder = tmp_path_factory.mktemp("house")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def traced(tmp_path_factory) -> Path:
    """Return the folder of the traces of `demo`."""
    return tmp_path_factory.mktemp("trace")


@pytest.fixture(scope="session")
def demo(run_study, house, traced, tmp_path_factory) -> Path:
    """Run the demo once, every job traced, and return its results."""
    folder = tmp_path_factory.mktemp("demo")
    variables = {
        "PYTHONPATH": str(house / "tests/e2e/trace"),
        "SEGXAI_TRACE": str(traced),
        "SEGXAI_ROOT": str(house),
    }
    run_study(folder, DEMO, root=house, **variables)
    return folder / "results"


@contextlib.contextmanager
def changed(root: Path, texts: dict[str, str]) -> Iterator[None]:
    """Write files of a copy of the repository, and put back what was there."""
    before = {
        root / name: (path.read_bytes(), path.stat())
        for name in texts
        if (path := root / name).is_file()
    }
    try:
        for name, text in texts.items():
            (root / name).write_text(text)
        yield
    finally:
        for name in texts:
            (root / name).unlink()
        for path, (content, state) in before.items():
            path.write_bytes(content)
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def jobs(said: str) -> Counter:
    """Count the jobs of each rule that a run has done, or that `-n` plans."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", said, re.M | re.S)
    rows = (line.split() for line in table[1].splitlines()) if table else ()
    counts = Counter({rule: int(count) for rule, count in rows})
    return counts - Counter({name: counts[name] for name in ("total", "all")})
