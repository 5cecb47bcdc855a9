"""Procedural radiographs with findings of four classes, exact masks, and a planted shortcut.

A finding is a place where the density differs from the ribs, vessels and soft tissue around it.
Each lies in its own quarter of the image, so findings never overlap and the corners stay free.

The shortcut is a small lead letter in a corner, like the side markers ("L", "R") of real
radiographs. It is shown in a given share of the images of one class and never in other images, so a
classifier may learn the letter instead of the finding. Its mask serves to measure how much of an
explanation lies on it. The rest of an image is the same with and without it.
"""

import numpy as np

from segxai.datasets.phantoms.lesions import fractal, noise, pixel_centres, wavy_disc
from segxai.job.seeds import image_seed

CLASSES = ("nodule", "cyst", "opacity", "fibrosis")
NUMBER_OF_FINDINGS = (0.25, 0.35, 0.25, 0.15)  # shares of images with 0, 1, 2, 3 findings
RADIUS = {  # of the side
    "nodule": (0.05, 0.08),
    "cyst": (0.08, 0.12),
    "opacity": (0.12, 0.16),
    "fibrosis": (0.11, 0.16),
}
REACH = 0.22  # from the centre of its quarter, the farthest that a finding goes
MARKER = (0.015, 0.085)  # from the border to its near and its far edge, of the side
LETTER = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 1]], bool)  # an "R" of lead


def image_name(index: int) -> str:
    """Identifier of phantom `index`, such as ``finding-0007``."""
    return f"finding-{index:04d}"


def phantom_findings(
    index: int, size: int, seed: int = 0, shortcut: dict | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw phantom `index`, a pure function of its arguments.

    Parameters
    ----------
    index : int
        Number of the image, from 0.
    size : int
        Side of the square image in pixels.
    seed : int
        Seed of the whole data set.
    shortcut : dict, optional
        ``class`` that the marker predicts, and the ``share`` of its images that show it, 0…1.
        None plants no marker. A larger share only adds markers.

    Returns
    -------
    image : ndarray of uint8, shape (size, size)
        The grey image.
    masks : ndarray of bool, shape (4, size, size)
        Where a finding of each of `CLASSES` is.
    marker : ndarray of bool, shape (size, size)
        Where the marker is: never on a finding.
    """
    rng = np.random.default_rng(image_seed(seed, image_name(index)))
    anatomy_rng, finding_rng, marker_rng, sensor_rng = rng.spawn(4)
    added, masks = findings(finding_rng, size)
    density = anatomy(anatomy_rng, size) + added
    density += sensor_rng.normal(0, 0.02, density.shape)
    letter, marker = corner_marker(marker_rng, size)
    shown = shortcut and masks[CLASSES.index(shortcut["class"])].any()
    if not (shown and marker_rng.random() < shortcut["share"]):
        letter, marker = np.zeros((2, size, size), bool)
    # Film: brighter where denser, between black and white without a step.
    image = 1 / (1 + np.exp(-3 * density))
    image = np.where(letter, 0.98, image)
    return (image * 255).round().astype(np.uint8), masks, marker


def anatomy(rng: np.random.Generator, size: int) -> np.ndarray:
    """Density (size, size) of a healthy chest: soft tissue, ribs, vessels; about −0.6…0.6."""
    y, x = pixel_centres(size)
    tilt, curve = rng.uniform(-0.3, 0.3), rng.uniform(0.5, 0.9)
    height = y + curve * (x - 0.5) ** 2 + tilt * (x - 0.5) + 0.01 * noise(rng, size, 4)
    ribs = np.cos(2 * np.pi * (rng.uniform(4, 6) * height + rng.random()))
    vessels = np.exp(-((noise(rng, size, 7) / 0.08) ** 2)) * np.clip(noise(rng, size, 3), 0, 1)
    spine = np.exp(-(((x - rng.uniform(0.45, 0.55)) / 0.08) ** 2))
    soft = 0.12 * fractal(rng, size)
    return rng.uniform(-0.45, -0.25) + 0.12 * ribs + 0.15 * vessels + 0.25 * spine + soft


def findings(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw 0–3 findings: the density that they add (size, size) and their masks by class."""
    added, masks = np.zeros((size, size)), np.zeros((len(CLASSES), size, size), bool)
    quarters = rng.permutation([(y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)])
    number = rng.choice(len(NUMBER_OF_FINDINGS), p=NUMBER_OF_FINDINGS)
    for quarter in quarters[:number]:
        kind = rng.integers(len(CLASSES))
        depth = outline(rng, size, quarter, *RADIUS[CLASSES[kind]])
        added += LOOKS[CLASSES[kind]](rng, depth)
        masks[kind] |= depth > 0
    return added, masks


def outline(
    rng: np.random.Generator, size: int, quarter: np.ndarray, smallest: float, largest: float
) -> np.ndarray:
    """Depth (size, size) inside a nearly round outline that stays within `REACH` of `quarter`."""
    radius = rng.uniform(smallest, largest)
    amplitude = rng.uniform(0, 0.12, 5) / np.arange(2, 7)
    phase, direction = rng.uniform(0, 2 * np.pi, 5), rng.uniform(0, 2 * np.pi)
    room = REACH - radius * (1 + amplitude.sum())
    shift = room * np.sqrt(rng.random()) * np.array([np.sin(direction), np.cos(direction)])
    return wavy_disc(size, quarter + shift, radius, amplitude, phase)


def nodule(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Density of a small solid sphere."""
    return rng.uniform(0.45, 0.65) * np.clip(depth / 0.02, 0, 1)


def cyst(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Density of a thin wall around air."""
    wall = rng.uniform(0.35, 0.5) * np.clip(depth / 0.006, 0, 1)
    return wall - rng.uniform(0.75, 0.95) * np.clip((depth - 0.018) / 0.01, 0, 1)


def opacity(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Density of fluid or pus: a broad, cloudy haze that fades towards its border."""
    cloud = 1 + 0.3 * noise(rng, len(depth), 16)
    return rng.uniform(0.4, 0.6) * np.clip(depth / 0.07, 0, 1) * cloud


def fibrosis(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Density of scars: parallel strands with the mean density of their surroundings."""
    y, x = pixel_centres(len(depth))
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y + 0.004 * noise(rng, len(depth), 8)
    strands = np.sin(2 * np.pi * rng.uniform(18, 24) * across + phase)
    return rng.uniform(0.3, 0.45) * np.clip(depth / 0.02, 0, 1) * strands


LOOKS = {"nodule": nodule, "cyst": cyst, "opacity": opacity, "fibrosis": fibrosis}


def corner_marker(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the letter in one of the four corners, and the square that is its mask."""
    y, x = pixel_centres(size)
    near, far = MARKER
    flip_y, flip_x = rng.integers(2, size=2)
    y, x = (1 - y if flip_y else y), (1 - x if flip_x else x)
    inside = (near < y) & (y < far) & (near < x) & (x < far)
    # The letter itself stands upright and unmirrored in every corner.
    down, right = ((1 - axis if flip else axis) for axis, flip in ((y, flip_y), (x, flip_x)))
    low_y, low_x = (1 - far if flip else near for flip in (flip_y, flip_x))
    rows, columns = LETTER.shape
    row = np.clip((down - low_y) / (far - near) * rows, 0, rows - 1).astype(int)
    column = np.clip((right - low_x) / (far - near) * columns, 0, columns - 1).astype(int)
    return inside & LETTER[row, column], inside
