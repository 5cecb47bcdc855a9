"""The command itself, with configurations that cannot be: one sentence and a non-zero exit."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.refusal import files_below

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("shards: 2\nseeds: [1]\nshards: 3\n", "Config key shards is given twice, again in line 3"),
        ("shards: .nan\n", "Config key shards got NaN but must be a whole number, at least 1"),
    ],
)
def test_configuration_stops_the_command(tmp_path, text, sentence):
    """Snakemake shows the sentence once, without a traceback, and nothing is written."""
    overlay = tmp_path / "my overlay.yaml"
    overlay.write_text(text)
    program = [sys.executable, "-m", "snakemake", "-n", "--directory", str(tmp_path / "out")]
    program += ["--configfile", str(overlay)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert said.count(sentence) == 1, said
    assert "Traceback" not in said
    assert not [name for name in files_below(tmp_path) if name.startswith("out/results")]
