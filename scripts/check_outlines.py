"""Numbers of images with an outlined finding for training, tuning and scores."""

import pandas as pd

from segxai.datasets.selection import count_outlines
from segxai.job.files import read_rows, write_table
from segxai.job.log import InputError, log, run

COLUMNS = ["study", "use", "split", "images", "outlined", "empty", "unknown"]


def main(samples, needs, counts):
    table = read_rows(samples)
    rows = []
    for need in needs:
        row = need | count_outlines(table, need["split"], need["selections"])
        require_outlined(row, samples)
        rows.append(row)
        log.info(
            "%(study)s: %(outlined)d of %(images)d images %(use)s show an outlined finding", row
        )
    write_table(counts, pd.DataFrame(rows, columns=COLUMNS))


def require_outlined(row, samples):
    """Refuse a use without a suitable image."""
    if row["outlined"] == 0:
        subset = f"{row['split']} images" if row["split"] else "images"
        raise InputError(
            f"{samples}: none of the {row['images']} {subset} {row['use']} by study "
            f"{row['study']} shows an outlined finding ({row['empty']} masks are empty, "
            f"{row['unknown']} outlines unknown); check the masks of the data set, or choose other "
            "images by `split` of the data set and by `split` and `images` of the study."
        )


if __name__ == "__main__":
    run(main, snakemake)
