"""No stale result: whatever ran in a job of the demo lies in that job's digest."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from segxai.workflow.digest import digest, reached
from segxai.workflow.plugins import about

pytestmark = pytest.mark.study

# Params that hold the definition of a method, by kind.
DEFINED = {
    "network": "networks",
    "explainer": "explainers",
    "segmenter": "segmenters",
    "view": "views",
}


@dataclass(frozen=True)
class Job:
    """One job of the traced run: its script and params, and (module, name) of what ran in it."""

    rule: str
    script: str
    params: dict
    ran: set[tuple[str, str]]

    def plugins(self) -> dict[str, set[str]]:
        """Methods that the job's params name, by kind."""
        chosen = defaultdict(set)
        for param, kind in DEFINED.items():
            if self.params.get(param):
                chosen[kind].add(self.params[param]["method"])
        if "reader" in self.params:
            chosen["datasets"].add(self.params["reader"])
        if self.rule == "check_network":
            known = self.params["needs"]["explainers"]
            chosen["explainers"] |= {explainer["method"] for explainer in known}
        for request in self.params.get("requests", []):
            chosen["metrics"].add(request["metric"]["method"])
            if request["view"]:
                chosen["views"].add(request["view"]["method"])
            made = (request["segmenter_definition"] or {}).get("method")
            # Only damaged true masks are made by the job itself; others it reads.
            if made and about("segmenters", made)["reads"] == ["truth"]:
                chosen["segmenters"].add(made)
        return chosen


@pytest.fixture(scope="module")
def traced_jobs(demo, traced) -> list[Job]:
    """Return every job of the demo, with what ran in it and in the workers of its pools."""
    traces = [json.loads(path.read_text()) for path in traced.glob("*.json")]
    ran = defaultdict(set)
    for trace in traces:
        ran[trace["job"]] |= {(module(file), name) for file, name in trace["functions"]}
    return [
        Job(
            trace["rule"],
            Path(trace["script"]).name.split(".")[-2],
            trace["params"],
            ran[trace["job"]],
        )
        for trace in traces
        if "rule" in trace
    ]


def module(file: str) -> str:
    """Name of the module in a file of the checkout."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_every_job_was_traced(traced_jobs, demo):
    """Each job left its trace, and every kind of plug-in ran in one of them."""
    # Another test goes on to the bundle, untraced.
    logs = {*(demo.parent / "logs").rglob("*.log")} - {demo.parent / "logs/bundle.log"}
    assert len(traced_jobs) == len(logs)
    ran = {name for job in traced_jobs for name, _ in job.ran}
    for kind in ("datasets", "networks", "explainers", "segmenters", "views", "metrics"):
        assert any(name.startswith(f"segxai.{kind}.") for name in ran), kind


def test_params_name_the_methods_that_the_digest_follows(traced_jobs, house):
    """A job's digest is that of its script and of the methods that its params name."""
    wrong = {
        job.rule
        for job in traced_jobs
        if digest(job.script, house, **job.plugins()) != job.params["code"]
    }
    assert wrong == set()


def test_what_ran_lies_in_the_digest(traced_jobs, house):
    """Every function of segxai that ran in a job is among the definitions that it reaches."""
    missed = defaultdict(set)
    for job in traced_jobs:
        missed[job.rule] |= job.ran - reached(job.script, house, **job.plugins())
    assert {rule: names for rule, names in missed.items() if names} == {}


def test_what_another_method_runs_does_not(traced_jobs, house):
    """Without the explainer, the digest of its job would miss what ran: the comparison can fail."""
    explained = [job for job in traced_jobs if job.rule == "explain"]
    for job in explained:
        fewer = job.plugins()
        (method,) = fewer.pop("explainers")
        missed = job.ran - reached(job.script, house, **fewer)
        assert (f"segxai.explainers.{method}", "explain") in missed
