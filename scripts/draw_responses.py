"""Figure: scores by the dose of damage to the segmentation."""

from segxai.figures.responses import responses
from segxai.figures.style import save
from segxai.job.files import read_rows
from segxai.job.log import run
from segxai.workflow.shown import CELL, value_titles

DOSE = ["dataset", "network", "explainer", "kind", "radius"]


def main(table, mark, declared, titles, rows, names, png, pdf):
    doses, own = read_rows(table), read_rows(mark)
    columns = value_titles(declared)
    cells = doses[CELL].astype(object).fillna("").itertuples(index=False, name=None)
    doses = doses.assign(column=[columns.get(cell, "") for cell in cells])
    # The place of a dose on the axis is its Dice with the true mask.
    left = doses[doses.metric == "dice"].rename(columns={"value": "dice"})
    doses = doses[(doses.metric != "dice") & (doses.column != "")]
    own = own[own.metric == "dice"]
    segmenter = " and ".join(names["network"][name] for name in own.network.unique())
    doses = doses.merge(left[[*DOSE, "dice"]], on=DOSE)
    save(responses(doses, own, titles, rows, segmenter), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
