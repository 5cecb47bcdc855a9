"""Figure: error rate among the most confident predictions, by confidence."""

from segxai.figures.risk_coverage import risk_coverage
from segxai.figures.style import save
from segxai.job.files import read_scores
from segxai.job.log import run

PREDICTION = ["dataset", "network", "explainer", "seed", "target_id", "correct"]


def main(scores, spec, titles, rows, png, pdf):
    table = read_scores(scores)
    confidences = spec["confidences"] or {name: name for name in table["metric"].unique()}
    # Without predictions, a file has values without a target.
    table = table[table["metric"].isin(confidences) & (table.target_id != "")]
    values = table.pivot(index=PREDICTION, columns="metric", values="value").reset_index()
    save(risk_coverage(values, titles, rows, confidences), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
