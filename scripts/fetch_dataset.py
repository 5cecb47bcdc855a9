"""Get the originals of a data set: from a folder on disk, official files or a generator."""

import datetime
import json
import shutil
import zipfile
from pathlib import Path

from segxai.data.download import download, extract, fresh_folder
from segxai.data.registry import generate, read_records
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
            extract(download_file(source, Path(downloads) / folder.name), folder)
        elif "files" in source:
            with fresh_folder(folder) as fresh:
                for file in source["files"]:
                    unpack(download_file(file, Path(downloads) / folder.name), fresh)
        else:
            with fresh_folder(folder) as fresh:
                generate(reader, fresh, source)
    n_images = sum(record.image.exists() for record in read_records(reader, folder))
    log.info("%s: %d images", folder, n_images)
    facts |= {
        "folder": folder.as_posix(),
        "n_files": sum(file.is_file() for file in folder.rglob("*")),
        "n_images": n_images,
        "date": datetime.date.today().isoformat(),
    }
    with atomic_path(receipt) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def download_file(file, folder):
    """Download a file, which stays in `folder`: a rerun of the rule needs no network."""
    checksum = file.get("sha256") or f"md5:{file['md5']}"
    return download(file["url"], checksum, file.get("bytes"), folder, name=file.get("name"))


def unpack(file, folder):
    """Unpack an archive into a folder of its name, and copy any other file."""
    if zipfile.is_zipfile(file):
        extract(file, folder / file.stem)
    else:
        shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    with job(snakemake):
        main(
            reader=snakemake.params.reader,
            path=snakemake.params.path,
            source=snakemake.params.source,
            downloads="results/raw/downloads",
            receipt=snakemake.output.receipt,
        )
