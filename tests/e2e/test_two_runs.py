"""Two runs in one folder."""

import subprocess
import sys
import time

from tests.e2e.conftest import DEMO

TARGET = "results/raw/phantom-lesions.json"


def test_a_second_run_in_the_same_folder_refuses(checkout, run_study, tmp_path):
    """While one run is active, another reports the locked folder, and the first finishes."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(tmp_path)]
    command += ["--configfile", str(checkout / DEMO), "--", TARGET]
    first = subprocess.Popen(command, cwd=checkout, stderr=subprocess.DEVNULL)
    while not (locks := [*tmp_path.glob(".snakemake/locks/*")]) and first.poll() is None:
        time.sleep(0.05)
    assert locks
    output = run_study(tmp_path, DEMO, targets=[TARGET], fails=True)
    assert "cannot be locked" in output
    assert "--unlock" in output
    assert first.wait() == 0
    assert (tmp_path / TARGET).is_file()
