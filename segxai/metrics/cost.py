"""Cost of an explanation: passes of the network, seconds, memory and energy."""

import numpy as np

ABOUT = {
    "title": "cost", "cites": "", "family": "cost", "direction": "lower", "range": [0, None],
    "reads": ["facts"], "undefined": "The target was not explained.",
    "names": ["gradients", "forwards", "seconds", "peak_mib", "joules"],
    "settings": {
        "watts": {"type": "number", "exclusiveMinimum": 0, "default": 100,
                  "description": "Power in W that the machine is taken to draw while it explains"},
    },
}  # fmt: skip


def measure(case, watts):
    """Passes forward-backward and forward, seconds, peak memory in MiB, and energy in J, per image.

    Passes are exact. Seconds are an image's share of its batch on the machine of the run. Memory is
    the most that the job had held by then: of tensors on a GPU, else of its process. Energy is an
    estimate on every machine, seconds × `watts`: counters of processors can seldom be read within
    containers.
    """
    if case.facts is None:
        return dict.fromkeys(ABOUT["names"], np.nan)
    values = {name: float(case.facts[name]) for name in ("gradients", "forwards", "seconds")}
    energy = watts * values["seconds"]
    return values | {"peak_mib": float(case.facts["peak_bytes"]) / 2**20, "joules": energy}
