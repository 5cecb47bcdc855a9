"""Procedural images of tissue with lesions: exact masks, known labels, nothing to download.

A phantom has three parts, each drawn from its own random stream: tissue, lesions and distractors.
Hair, glare and the dark box therefore do not depend on the lesions and say nothing about the label.
Lengths are in units of the image's side: one index gives the same scene at every size, except for
the sensor noise.

Colour follows Beer and Lambert: light is dimmed by exp(-(blood · BLOOD + pigment · PIGMENT)), and
a lesion is a place where the two concentrations differ. Shade, folds and the dark box change the
grey value far more than a lesion does, so a grey threshold does not separate it, but its hue does.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import BSpline

from segxai.job.seeds import image_seed

BLOOD = np.array([0.10, 0.85, 0.80])  # relative absorption of haemoglobin in red, green, blue
PIGMENT = np.array([0.45, 0.70, 1.00])  # of melanin
SHARE_WITHOUT_LESION = 0.15
LESION_AREA = (0.05, 0.25)  # of the image, all lesions of one image together
BOX_SHARE, HAIR_SHARE, GLARE_SHARE = 0.4, 0.4, 0.7  # of the images that show the distractor


def image_name(index: int) -> str:
    """Identifier of phantom `index`, such as ``lesion-0007``."""
    return f"lesion-{index:04d}"


def phantom_lesion(index: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw phantom `index`, a pure function of its three arguments.

    Parameters
    ----------
    index : int
        Number of the image, from 0.
    size : int
        Side of the square image in pixels.
    seed : int
        Seed of the whole data set.

    Returns
    -------
    image : ndarray of uint8, shape (size, size, 3)
        The RGB image.
    mask : ndarray of bool, shape (size, size)
        Where a lesion is. Hair and glare over a lesion do not change the mask; the dark box, which
        hides the lesion, removes it from the mask.
    """
    rng = np.random.default_rng(image_seed(seed, image_name(index)))
    tissue_rng, lesion_rng, distractor_rng, sensor_rng = rng.spawn(4)
    blood, pigment, light = tissue(tissue_rng, size)
    depth, lesion_blood, lesion_pigment, lesion_light = lesions(lesion_rng, size)
    absorption = (blood + lesion_blood)[..., None] * BLOOD
    absorption += (pigment + lesion_pigment)[..., None] * PIGMENT
    image = (light * lesion_light)[..., None] * np.exp(-absorption)
    image, box = distractors(distractor_rng, image)
    image += sensor_rng.normal(0, 0.012, image.shape)
    image = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return image, (depth > 0) & ~box


def tissue(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw healthy tissue: concentrations of blood and pigment, and the light, each (size, size).

    Vessels are the zero lines of a noise field; folds are a relief lit from one side.
    """
    y, x = pixel_centres(size)
    vessels = np.exp(-((noise(rng, size, 5) / rng.uniform(0.05, 0.1)) ** 2))
    vessels *= np.clip(noise(rng, size, 3), 0, 1)
    blood = rng.uniform(0.35, 0.6) + 0.07 * fractal(rng, size) + rng.uniform(0.1, 0.5) * vessels
    pigment = rng.uniform(0.15, 0.45) + 0.05 * fractal(rng, size)
    slope_y, slope_x = np.gradient(noise(rng, size, 4) + 0.15 * noise(rng, size, 16), 1 / size)
    angle = rng.uniform(0, 2 * np.pi)
    folds = np.tanh(0.08 * (np.cos(angle) * slope_x + np.sin(angle) * slope_y))
    lamp_y, lamp_x = rng.uniform(0.25, 0.75, 2)
    vignette = 1 / (1 + rng.uniform(0.6, 2.2) * ((y - lamp_y) ** 2 + (x - lamp_x) ** 2))
    light = rng.uniform(0.95, 1.15) * vignette * (1 + rng.uniform(0.08, 0.25) * folds)
    return blood, pigment, light


def lesions(
    rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw 0–3 lesions as changes to the tissue, all (size, size).

    Returns the depth (side lengths from the border, > 0 inside a lesion, 0 outside), the added
    blood, the added pigment, and the factor on the light. Outside, nothing is changed at all.
    """
    depth, blood, pigment = np.zeros((3, size, size))
    light = np.ones((size, size))
    if rng.random() < SHARE_WITHOUT_LESION:
        return depth, blood, pigment, light
    shares = rng.dirichlet(np.full(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]), 8.0))
    area = np.exp(rng.uniform(*np.log(LESION_AREA)))
    texture = noise(rng, size, 40) + noise(rng, size, 20)
    for share in shares:
        inside, side = blob(rng, size, area * share)
        ramp = np.clip(inside / rng.uniform(0.01, 0.03), 0, 1)
        added = ramp * (1 + rng.uniform(0.05, 0.2) * texture)
        blood = np.maximum(blood, rng.uniform(0.6, 1.1) * added)
        pigment = np.maximum(pigment, rng.uniform(0.0, 0.3) * added)
        light *= 1 + ramp * (rng.uniform(0.0, 0.5) + rng.uniform(0.1, 0.3) * side)
        depth = np.maximum(depth, inside)
    return depth, blood, pigment, light


def blob(rng: np.random.Generator, size: int, area: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw one closed outline of a given area, r(θ) = R (1 + Σ aₖ cos(kθ + φₖ)), k = 2…6.

    Returns the depth inside it (0 outside) and the side of it that faces the light (-1…1).
    """
    order = np.arange(2, 7)
    amplitude = rng.uniform(0, 0.45, order.size) / order
    phase = rng.uniform(0, 2 * np.pi, order.size)
    # ½∫r² dθ = πR² (1 + ½Σaₖ²)
    radius = np.sqrt(area / (np.pi * (1 + 0.5 * (amplitude**2).sum())))
    centre = rng.uniform(radius, 1 - radius, 2)
    facing = rng.uniform(0, 2 * np.pi)
    y, x = (axis - origin for axis, origin in zip(pixel_centres(size), centre, strict=True))
    side = (np.cos(facing) * x + np.sin(facing) * y) / radius
    return wavy_disc(size, centre, radius, amplitude, phase), np.clip(side, -1, 1)


def wavy_disc(
    size: int, centre: np.ndarray, radius: float, amplitude: np.ndarray, phase: np.ndarray
) -> np.ndarray:
    """Depth (size, size) inside the closed outline r(θ) = R (1 + Σ aₖ cos(kθ + φₖ)), 0 outside.

    The first of the amplitudes is that of k = 2; `centre` is (y, x).
    """
    y, x = (axis - origin for axis, origin in zip(pixel_centres(size), centre, strict=True))
    distance = np.hypot(y, x)
    # cos(kθ + φ) is the real part of exp(iφ) zᵏ, which is faster than a cosine of each pixel.
    z = (x + 1j * y) / np.maximum(distance, 1e-12)
    waves = np.polynomial.polynomial.polyval(z, amplitude * np.exp(1j * phase)) * z**2
    return np.maximum(radius * (1 + waves.real) - distance, 0)


def distractors(rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay glare, hair and the dark box over an image (H, W, 3) in 0…1.

    Returns the image and where the box hides it (H, W). As in Kvasir-SEG, the box is at the lower
    left.
    """
    size = len(image)
    y, x = pixel_centres(size)
    has_glare, has_hair, has_box = rng.random(3) < (GLARE_SHARE, HAIR_SHARE, BOX_SHARE)
    spots = noise(rng, size, 24) + noise(rng, size, 4)
    glare = has_glare * np.clip((spots - rng.uniform(2.9, 3.6)) / 0.3, 0, 1)[..., None]
    image = image + glare * (0.97 - image)
    for _ in range(has_hair * rng.integers(2, 7)):
        image = image * (1 - hair(rng, size)[..., None])
    height, width = rng.uniform(0.2, 0.32, 2)
    box = has_box & (y > 1 - height) & (x < width)
    return np.where(box[..., None], 0.02, image), box


def hair(rng: np.random.Generator, size: int) -> np.ndarray:
    """Opacity (size, size) of one strand: a parabola in a turned frame, tapering off at its end."""
    y, x = pixel_centres(size)
    angle, offset, end = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4), rng.uniform(-0.1, 0.7)
    along = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    across = np.cos(angle) * (y - 0.5) - np.sin(angle) * (x - 0.5) - offset
    bend, tilt = rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 0.3)
    distance = np.abs(across - bend * along**2 - tilt * along)
    distance /= np.hypot(1, 2 * bend * along + tilt)
    thickness = rng.uniform(0.004, 0.008) * np.clip((end - along) / 0.3, 0, 1)
    return rng.uniform(0.6, 0.85) * np.clip((thickness - distance) * size + 0.5, 0, 1)


def pixel_centres(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (size, 1) and columns (1, size) of the pixel centres, in 0…1."""
    centres = (np.arange(size) + 0.5) / size
    return centres[:, None], centres[None, :]


def fractal(rng: np.random.Generator, size: int) -> np.ndarray:
    """Sum of noise fields, each half as coarse and 0.7 times as strong as the one before."""
    return sum(0.7**octave * noise(rng, size, 4 * 2**octave) for octave in range(4))


def noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth Gaussian noise (size, size) of about unit variance, `cells` grid cells to a side."""
    basis = spline_basis(size, cells)
    return basis @ rng.standard_normal((basis.shape[1],) * 2) @ basis.T


@lru_cache
def spline_basis(size: int, cells: int) -> np.ndarray:
    """Cubic B-splines on `cells` cells at the pixel centres (size, cells + 3), rows of norm 1."""
    knots = np.arange(-3, cells + 4) / cells
    basis = BSpline.design_matrix(pixel_centres(size)[0][:, 0], knots, 3).toarray()
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)
