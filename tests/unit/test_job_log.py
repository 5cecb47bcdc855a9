"""Logs, terminal lines and failures of jobs; names of a rule in its script."""

import errno
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from segxai.job.log import InputError, describe_os_error, job, log, progress, run


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "results/a.npy"), "free some disk space"),
        (OSError("131072 requested and 0 written"), "free some disk space"),
        (PermissionError(errno.EACCES, "Permission denied", "results"), "permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "data"), "check the path"),
    ],
)
def test_system_errors_become_one_sentence(error, words):
    """What the operating system refuses is named with its remedy, on one line."""
    sentence = describe_os_error(error)
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("error", "last", "traceback"),
    [
        (InputError("a.png: truncated; copy it again."), "a.png: truncated; copy it again.", False),
        (OSError(errno.ENOSPC, "No space left on device"), "free some disk space", False),
        (MemoryError("Unable to allocate 3. TiB"), "give the job more memory.", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "more memory.", False),
        (KeyError("mean"), "KeyError: 'mean'", True),
    ],
)
def test_a_failing_job_ends_with_its_sentence_and_a_non_zero_exit(tmp_path, error, last, traceback):
    """The log's last line is the sentence; a traceback stands above it only for surprises."""
    fake = SimpleNamespace(log=[tmp_path / "job.log"], rule="explain", wildcards=["kvasir-seg"])
    with pytest.raises(SystemExit) as exit_status, job(fake):
        raise error
    text = (tmp_path / "job.log").read_text()
    assert exit_status.value.code == 1
    assert ("Traceback" in text) == traceback
    assert last in text.splitlines()[-1]


def test_the_terminal_shows_progress_warnings_and_one_line_at_the_end(tmp_path, capsys):
    """The log has all; the terminal names the job, and ends with its last log line."""
    fake = SimpleNamespace(log=[tmp_path / "job.log"], rule="explain", wildcards=["kvasir-seg"])
    with job(fake):
        log.info("no GPU found")
        list(progress(range(3), 3, "images explained"))
        log.warning("one image has no map")
        log.info("median completeness error %.2f", 0.03)
        logging.getLogger("timm").info("chatter")
    shown = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert shown == [
        "explain kvasir-seg: images explained: 3 of 3",
        "explain kvasir-seg: one image has no map",
        "explain kvasir-seg: median completeness error 0.03 (0 s)",
    ]
    assert "no GPU found" in (tmp_path / "job.log").read_text()


def test_progress_passes_items_on_and_says_when_done(caplog):
    """Items come through unchanged and in order; the end is logged."""
    with caplog.at_level(logging.INFO, logger="segxai"):
        assert list(progress(range(5), 5, "images")) == [0, 1, 2, 3, 4]
    assert "images: 5 of 5" in caplog.text


class Named(dict):
    """What Snakemake gives to a script: names with their values; iterated, the values."""

    def __iter__(self):
        return iter(self.values())


def rule(tmp_path: Path, **changes) -> SimpleNamespace:
    """A job of a rule, as in a script."""
    named = {"input": Named(maps="a.npy"), "output": Named(table="a.csv"), "params": Named(steps=3)}
    named |= {"wildcards": Named(network="unet", seed="1", shard="07"), "threads": 2}
    return SimpleNamespace(log=[tmp_path / "job.log"], rule="explain", **named | changes)


def test_a_rules_names_reach_the_parameters_of_main(tmp_path):
    """Inputs, outputs, params, wildcards and threads by name; what `main` does not ask is left."""
    got = {}

    def main(maps, table, seed, shard, threads, extra=None):
        got.update(locals())

    run(main, rule(tmp_path))
    assert got.items() >= {"maps": "a.npy", "table": "a.csv", "seed": 1, "shard": 7}.items()
    assert (got["threads"], got["extra"]) == (2, None)
    run(main, rule(tmp_path, params=Named(threads=8, extra="x")))
    assert (got["threads"], got["extra"]) == (8, "x")


def test_a_name_that_a_rule_gives_twice_or_not_at_all_ends_the_job(tmp_path):
    """One name has one meaning, and a parameter without default must be given."""
    with pytest.raises(TypeError, match="rule explain gives 'maps' twice: rename one of them"):
        run(lambda maps: None, rule(tmp_path, params=Named(maps=1)))
    with pytest.raises(SystemExit):
        run(lambda absent: None, rule(tmp_path))
    assert "absent" in (tmp_path / "job.log").read_text().splitlines()[-1]
