"""NuInsSeg and CBIS-DDSM, from imitations of their official servers to arrays."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.unit import test_data_cbis_ddsm as cases
from tests.unit import test_data_nuinsseg as tissues
from tests.unit.file_server import Server, serve

pytestmark = pytest.mark.study

TARGETS = [
    "results/data/cbis-ddsm/rejected.csv",
    "results/data/nuinsseg/rejected.csv",
    "results/data/nuinsseg/instances.npy",
]


def mammograms(folder: Path, home: Server) -> dict:
    """Put tables and series into the bucket and return the data set's `source`."""
    cases.write_tables(folder)
    cases.as_idc(folder)
    files = []
    for table in sorted(folder.glob("*.csv")):
        home.files[f"tables/{table.name}"] = table.read_bytes()
        digest = hashlib.sha256(table.read_bytes()).hexdigest()
        url = f"{home.address}/tables/{table.name}?version=1"
        size = table.stat().st_size
        files.append({"name": table.name, "url": url, "bytes": size, "sha256": digest})
    rows = []
    for count, series in enumerate(sorted(folder.glob("*/"))):
        contents = {file.name: file.read_bytes() for file in series.iterdir()}
        home.files |= {f"uuid-{count}/{name}": content for name, content in contents.items()}
        rows.append((series.name, f"uuid-{count}", sum(map(len, contents.values()))))
    lists = folder / "series.csv"
    columns = ["SeriesInstanceUID", "crdc_series_uuid", "bytes"]
    pd.DataFrame(rows, columns=columns).to_csv(lists, index=False)
    return {"files": files, "bucket": home.address, "series": [str(lists)]}


def nuclei(folder: Path, home: Server) -> dict:
    """Put the archive and the record that describes it onto the server, and return `source`."""
    for tissue in ("human brain", "mouse liver"):
        for number in range(3):
            masks = {"label_masks_modify": tissues.IDS}
            tissues.add_image(folder / tissue, f"{tissue.replace(' ', '_')}_{number}", **masks)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(folder.rglob("*.*")):
            opened.write(file, file.relative_to(folder))
    content, record = archive.getvalue(), "api/records/1"
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    described = {"key": "NuInsSeg.zip", "size": len(content), "checksum": checksum}
    home.files[record] = json.dumps({"files": [described]}).encode()
    home.files[f"{record}/files/NuInsSeg.zip/content"] = content
    url = f"{home.address}/{record}"
    return {
        "url": f"{url}/files/NuInsSeg.zip/content",
        "bytes": len(content),
        "checksum_from": url,
    }


def test_from_official_layouts_to_arrays(run_study, tmp_path):
    """Tables, series, record and archive are fetched, checked and read; masks are as drawn."""
    with serve(Server()) as home:
        overlay = {
            "run": ["explainseg"],
            "studies": {"explainseg": {"datasets": ["cbis-ddsm", "nuinsseg"]}},
            "datasets": {
                "cbis-ddsm": {
                    "source": mammograms(tmp_path / "mammograms", home),
                    "analysis_size": 64,
                    "split": {"validation": 1},
                },
                "nuinsseg": {
                    "source": nuclei(tmp_path / "nuclei", home),
                    "analysis_size": 32,
                    "split": {"validation": 2},
                },
            },
        }
        (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        run_study(tmp_path, tmp_path / "overlay.yaml", targets=TARGETS)
    data = tmp_path / "results/data"
    samples = pd.read_csv(data / "cbis-ddsm/samples.csv")
    masses = [case for case in cases.CASES if case[0].startswith("mass")]
    assert len(samples) == len(masses)
    assert sorted(samples[samples.split == "test"].group) == sorted(
        patient for table, patient, *_ in masses if table == "mass_test"
    )
    covered = [
        np.logical_or.reduce([cases.lesion_mask(number) > 0 for number, *_ in lesions]).mean()
        for *_, lesions in masses
    ]
    masks = np.load(data / "cbis-ddsm/masks.npy")
    np.testing.assert_allclose(masks.mean(axis=(1, 2)), covered, atol=0.02)
    assert len(pd.read_csv(data / "cbis-ddsm/rejected.csv")) == 0
    receipt = json.loads((tmp_path / "results/raw/nuinsseg.json").read_text())
    assert receipt["md5"] in home.files["api/records/1"].decode()
    instances = np.load(data / "nuinsseg/instances.npy")
    # Twice the size of the original: each pixel became four.
    assert instances.shape == (6, 32, 32)
    expected = np.kron(tissues.IDS, np.ones((2, 2), np.uint16))
    assert all((ids == expected).all() for ids in instances)
    assert sorted(pd.read_csv(data / "nuinsseg/samples.csv").split.value_counts()) == [2, 4]
