"""Kvasir-SEG: 1,000 colonoscopy images with polyps outlined by experts [1]_.

References
----------
.. [1] Jha et al., "Kvasir-SEG: a segmented polyp dataset", MMM 2020,
   doi:10.1007/978-3-030-37734-2_37.
"""

from pathlib import Path

from segxai.datasets.record import Record, find_root, pair_by_name

ABOUT = {"title": "Kvasir-SEG", "cites": "doi:10.1007/978-3-030-37734-2_37", "settings": {}}


def read(folder: Path) -> list[Record]:
    """List the images below `folder` (``Kvasir-SEG/{images,masks}/<id>.jpg``).

    Every image shows a polyp. There are no patient identifiers, so each image is its own group.
    """
    return [
        Record(image_id, image, mask, label="polyp", group=image_id)
        for image_id, image, mask in pair_by_name(find_root(folder, "Kvasir-SEG"))
    ]
