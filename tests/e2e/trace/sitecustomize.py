"""Loaded by every Python of a traced run: which functions of segxai each job calls.

With `SEGXAI_TRACE` naming a folder and `SEGXAI_ROOT` the checkout, each process of a job leaves one
JSON file there: the job that it belongs to (a worker of a pool to that of the process that started
it), of a job's first process its rule, script and params, and the file and name of each top-level
definition of segxai that ran in it.
"""

import atexit
import builtins
import inspect
import json
import os
import sys
import threading
import uuid
from pathlib import Path

# Events that show the definitions that a job reaches.
PARAMS = ("code", "network", "explainer", "segmenter", "view", "reader", "requests", "needs")
FOLDER, ROOT = os.environ.get("SEGXAI_TRACE"), os.environ.get("SEGXAI_ROOT", "")


def start() -> None:
    """Note every code object that runs from now on, by its file and definition."""
    seen = {}
    inside = f"{ROOT}/segxai/"

    def note(frame, event, argument):
        code = frame.f_code
        if not code.co_filename.startswith(inside) or id(code) in seen:
            return
        # Bodies of classes and modules are not functions.
        if code.co_flags & inspect.CO_OPTIMIZED and not importing(frame):
            seen[id(code)] = code

    def importing(frame):
        # What only makes the constants of an imported module counts where these are used.
        while frame := frame.f_back:
            code = frame.f_code
            if code.co_name == "<module>" and code.co_filename.startswith(inside):
                return True
        return False

    def write() -> None:
        sys.settrace(None)
        names = {(code.co_filename[len(ROOT) + 1 :], code.co_qualname) for code in seen.values()}
        # Of a method or an inner function, the class or function at the top level.
        functions = {(file, name.split(".")[0]) for file, name in names if name[0] != "<"}
        job = getattr(sys.modules["__main__"], "snakemake", None)
        facts = {"functions": sorted(functions), "job": os.environ["SEGXAI_TRACED_JOB"]}
        if job is not None:
            params = {name: value for name, value in job.params.items() if name in PARAMS}
            facts |= {"rule": job.rule, "script": sys.argv[0], "params": params}
        Path(FOLDER, f"{uuid.uuid4()}.json").write_text(
            json.dumps(facts, default=str), encoding="utf-8"
        )

    def imported(name, *arguments, load=builtins.__import__, **named):
        # Other packages run no function of segxai when imported, and would take half again as long.
        if name.startswith("segxai") or sys.gettrace() is None:
            return load(name, *arguments, **named)
        sys.settrace(None)
        try:
            return load(name, *arguments, **named)
        finally:
            sys.settrace(note)

    builtins.__import__ = imported
    sys.settrace(note)
    threading.settrace(note)
    atexit.register(write)


# Snakemake itself is not traced: it is not a job, and would take twice its time.
if FOLDER and "snakemake" not in sys.orig_argv[:4]:
    # The numbers of processes are reused within one run; workers inherit the environment.
    os.environ.setdefault("SEGXAI_TRACED_JOB", str(uuid.uuid4()))
    start()
