"""The command itself, with configurations that cannot be: one sentence and a non-zero exit."""

import pytest

from tests.hostile.refusal import files_below
from tests.planning import snakemake


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "shard_size: 2\nseeds: [1]\nshard_size: 3\n",
            "Config key shard_size is given twice, again in line 3",
        ),
        (
            "shard_size: .nan\n",
            "Config key shard_size got NaN but must be a whole number, at least 1",
        ),
        ("shards: 4\n", "Config key shards was renamed"),
    ],
)
def test_configuration_stops_the_command(tmp_path, text, sentence):
    """Snakemake shows the sentence once, without a traceback, and nothing is written."""
    overlay = tmp_path / "my overlay.yaml"
    overlay.write_text(text)
    stopped = snakemake("-n", "--directory", tmp_path / "out", "--configfile", overlay)
    assert stopped.returncode != 0
    assert stopped.stdout.count(sentence) == 1, stopped.stdout
    assert "Traceback" not in stopped.stdout
    assert not [name for name in files_below(tmp_path) if name.startswith("out/results")]
