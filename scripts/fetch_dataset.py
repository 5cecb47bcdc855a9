"""Fetch the originals of a data set: from a folder on disk, official files or a generator."""

import datetime
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from segxai.datasets.reading import generate, read_records
from segxai.datasets.samples import select_records
from segxai.fetch.archives import extract, fresh_folder
from segxai.fetch.bucket import fetch_series, wanted_series
from segxai.fetch.http import download, published_file
from segxai.job.files import atomic_path, write_json
from segxai.job.log import InputError, log, progress, run
from segxai.workflow.contents import expanded, list_files, sha256


def main(
    reader, path, source, receipt, options=None, series=(), selection=None, contents=None
):  # fmt: skip
    if path is not None:
        folder = expanded(path)
        facts = {"path": path, "contents": contents}
    else:
        # Named after the receipt: results/raw/{dataset}.json describes results/raw/{dataset}/.
        folder = Path(receipt).with_suffix("")
        downloads = folder.parent / "downloads" / folder.name
        facts = source | get_files(reader, source, folder, downloads)
        if "bucket" in source:
            records = read_records(reader, folder, options)
            wanted, _ = select_records(records, **selection)
            facts |= get_series(wanted, source, folder, downloads, series)
    n_images = sum(record.image.exists() for record in read_records(reader, folder, options))
    log.info("%s: %d images", folder, n_images)
    facts |= {
        "folder": folder.as_posix(),
        "n_files": len(files := list_files(folder)),
        "n_images": n_images,
        "date": datetime.date.today().isoformat(),
    }
    if path is not None:
        # The next plan compares the folder with these.
        facts["files"] = read_files(files)
    write_json(receipt, facts)


def read_files(files):
    """Size, time and SHA-256 of each file, as one text by its name."""
    with ThreadPoolExecutor(4) as pool:
        digests = pool.map(sha256, [file.path for file in files.values()])
        digests = progress(digests, len(files), "files read")
        return {
            name: f"{file.size} {file.changed} {digest}"
            for (name, file), digest in zip(files.items(), digests, strict=True)
        }


def get_files(reader, source, folder, downloads):
    """Download and unpack the files of a source, or generate them; return facts about them."""
    if "url" in source:
        published = publish(source, downloads)
        extract(download_file(source | published, downloads), folder)
        return published
    files = [download_file(file, downloads) for file in source.get("files", [])]
    if "bucket" in source:
        # The folder may hold gigabytes of images, which are kept.
        for file in files:
            unpack(file, folder)
        return {}
    with fresh_folder(folder) as fresh:
        if not files:
            generate(reader, fresh, source)
        for file in files:
            unpack(file, fresh)
    return {}


def get_series(records, source, folder, downloads, tables):
    """Download the images and masks of the records that `prepare_dataset` will choose."""
    objects = fetch_series(
        source["bucket"],
        wanted_series(records, folder),
        tables,
        folder,
        parts=downloads,
        connections=source["connections"],
    )
    return {"n_objects": len(objects), "bytes": sum(stored.n_bytes for stored in objects)}


def publish(source, downloads):
    """Name, size and MD5 of the archive, if its publisher provides them."""
    if "checksum_from" not in source:
        return {}
    published = published_file(source["checksum_from"], source["url"], downloads)
    if published["bytes"] != source.get("bytes", published["bytes"]):
        raise InputError(
            f"{source['checksum_from']}: gives {published['bytes']:,} bytes for "
            f"{published['name']} instead of {source['bytes']:,}; correct `source: bytes` of the "
            "data set if this is the version that you want."
        )
    return published


def download_file(file, folder):
    """Download a file, which stays in `folder`: a rerun of the rule needs no network."""
    checksum = file.get("sha256") or f"md5:{file['md5']}"
    return download(file["url"], checksum, file.get("bytes"), folder, name=file.get("name"))


def unpack(file, folder):
    """Unpack an archive into a folder of its name, and copy any other file."""
    if zipfile.is_zipfile(file):
        extract(file, folder / file.stem)
    else:
        with atomic_path(folder / file.name) as temporary:
            shutil.copyfile(file, temporary)


if __name__ == "__main__":
    run(main, snakemake)
