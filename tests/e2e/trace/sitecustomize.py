"""Loaded by every Python of a traced run: which functions of the checkout each job calls.

With `SEGXAI_TRACE` naming a folder, each process leaves one JSON file there: its job and the
(file, first line) of all functions of scripts/ and segxai/ that ran in it.
"""

import atexit
import json
import os
import sys
import threading

FOLDER, ROOT = os.environ.get("SEGXAI_TRACE"), os.environ.get("SEGXAI_ROOT", "")


def start() -> None:
    """Note every code object that runs from now on, by the file that it is from."""
    seen = set()
    inside = os.path.join(ROOT, "segxai", "")

    def note(frame, event, argument):
        code = frame.f_code
        if code.co_filename.startswith(inside) and code.co_name[0] != "<":
            seen.add((code.co_filename[len(ROOT) + 1 :], code.co_firstlineno, code.co_name))

    def write() -> None:
        sys.settrace(None)
        job = getattr(sys.modules["__main__"], "snakemake", None)
        facts = {"functions": sorted(seen), "parent": os.getppid(), "process": os.getpid()}
        if job is not None:
            facts |= {"rule": job.rule, "script": sys.argv[0], "params": dict(job.params.items())}
        with open(os.path.join(FOLDER, f"{os.getpid()}.json"), "w") as file:
            json.dump(facts, file, default=str)

    sys.settrace(note)
    threading.settrace(note)
    atexit.register(write)


if FOLDER:
    start()
