"""Get the originals of a data set: from a folder on disk, its official archive or a generator."""

import datetime
import json
from pathlib import Path

from segxai.data.download import download, extract, fresh_folder
from segxai.data.phantoms import write_phantom_lesions
from segxai.data.registry import read_records
from segxai.runtime import atomic_path, job, log


def main(reader, path, source, downloads, receipt):
    if path is not None:
        folder = Path(path).expanduser()
        facts = {"path": path}
    else:
        # Named after the receipt: results/raw/{dataset}.json describes results/raw/{dataset}/.
        folder = Path(receipt).with_suffix("")
        facts = dict(source)
        if "url" in source:
            extract(download_archive(source, Path(downloads) / folder.name), folder)
        else:
            with fresh_folder(folder) as fresh:
                write_phantom_lesions(fresh, source["images"], source["size"], source["seed"])
    n_images = len(read_records(reader, folder))
    log.info("%s: %d images", folder, n_images)
    facts |= {
        "folder": folder.as_posix(),
        "n_files": sum(file.is_file() for file in folder.rglob("*")),
        "n_images": n_images,
        "date": datetime.date.today().isoformat(),
    }
    with atomic_path(receipt) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def download_archive(source, folder):
    """Download the archive, which stays in `folder`: a rerun of the rule needs no network."""
    return download(source["url"], source["sha256"], source["bytes"], folder)


if __name__ == "__main__":
    with job(snakemake):
        main(
            reader=snakemake.params.reader,
            path=snakemake.params.path,
            source=snakemake.params.source,
            downloads="results/raw/downloads",
            receipt=snakemake.output.receipt,
        )
