"""Explainers that the scores of a study recommend, by goal and budget; what that rule loses."""

from segxai.datasets.selection import chosen_images
from segxai.job.files import read_rows, read_scores, write_table
from segxai.job.log import log, run
from segxai.stats.guidelines import judge, printed, regrets
from segxai.stats.layout import latex, markdown, write_printed
from segxai.stats.tables import table_rows


def main(scores, samples, spec, titles, names, statistics, selections, csv, regret, md, tex):
    samples = dict(zip(spec["datasets"], map(read_rows, samples), strict=True))
    images = chosen_images(samples, selections)
    judged = judge(table_rows(read_scores(scores), images, spec), spec, statistics)
    directions = {goal: spec["directions"][v["metric"]] for goal, v in spec["goals"].items()}
    write_table(csv, judged)
    write_table(regret, regrets(judged, spec["usual"], directions))
    layout = printed(judged, titles, names).set_index("Data set")
    write_printed({md: markdown(layout), tex: latex(layout)})
    log.info("%d of %d judgements recommend an explainer", judged.recommended.sum(), len(judged))


if __name__ == "__main__":
    run(main, snakemake)
