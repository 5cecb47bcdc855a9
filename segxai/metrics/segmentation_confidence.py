"""Confidence of a segmenter in its own mask."""

ABOUT = {
    "title": "segmentation confidence", "cites": "10.1109/TMI.2020.3006437", "family": "confidence",
    "direction": "higher", "range": [0, 1], "reads": ["segmentation"],
    "undefined": "The segmenter gives no probabilities.", "settings": {},
}  # fmt: skip


def measure(case):
    """The segmenter's confidence: :func:`segxai.stats.selective.segmentation_confidence`."""
    return float(case.segmentation_confidence)
