"""Figure: a score of each explainer against its passes."""

from segxai.figures.front import front
from segxai.figures.style import save
from segxai.job.files import read_rows
from segxai.job.log import run
from segxai.stats.guidelines import GRADIENT
from segxai.stats.layout import in_blocks

ROW = ["dataset", "network", "explainer"]


def main(table, cost, spec, declared, directions, controls, titles, names, png, pdf):
    shown, costs = in_blocks(read_rows(table), declared, titles, names), read_rows(cost)
    shown = shown[(shown.metric == spec["metric"]) & (shown.statistic == "mean")]
    # Of several views of a metric the first is drawn.
    label = next(iter(shown.column), spec["metric"])
    shown = shown[shown.column == label]
    costs = costs[(costs.statistic == "mean") & (costs.split == declared["splits"][0])]
    gradients, forwards = (
        costs[costs.metric == metric].set_index(ROW).value for metric in ("gradients", "forwards")
    )
    passes = (GRADIENT * gradients + forwards).rename("passes")
    shown = shown.merge(passes, left_on=ROW, right_index=True)
    save(front(shown, set(controls), label, directions[spec["metric"]]), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
