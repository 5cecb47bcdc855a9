"""Cost of an explanation: passes of the network, seconds and memory."""

import numpy as np

ABOUT = {
    "title": "cost", "cites": "", "family": "cost", "direction": "lower", "range": [0, None],
    "reads": ["facts"], "undefined": "The target was not explained.",
    "names": ["gradients", "forwards", "seconds", "peak_mib"], "settings": {},
}  # fmt: skip


def measure(case):
    """Passes forward-backward and forward, seconds, and peak memory in MiB, of one image.

    Passes are exact. Seconds are an image's share of its batch on the machine of the run. Memory is
    the most that the job had held by then: of tensors on a GPU, else of its process.
    """
    if case.facts is None:
        return dict.fromkeys(ABOUT["names"], np.nan)
    values = {name: float(case.facts[name]) for name in ("gradients", "forwards", "seconds")}
    return values | {"peak_mib": float(case.facts["peak_bytes"]) / 2**20}
