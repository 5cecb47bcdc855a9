"""What the page says of SegX and SegU: sentences computed from the tables, never typed."""

import numpy as np
import pandas as pd

from segxai.page.page import COUNTED, SIGNIFICANT, p_value

ALIGNMENT = {"iou@5%": "IoU@5 %", "auitc": "AUITC"}
CERTAINTY = {"c_iou": "c_IoU", "c_auitc": "c_AUITC"}
RIVALS = {
    "maximum_probability": "maximum probability",
    "entropy": "entropy",
    "segmentation_confidence": "segmentation confidence",
}
ALONE = "auroc c_iou - maximum_probability"
JOINED = "auroc c_iou+maximum_probability - maximum_probability"
SHORTCUT_SEEN = "auroc c_iou unmarked over marked"
DOSES = {"none": "true mask", "erode": "erosion", "dilate": "dilation", "shift": "shift"}
NOTHING = "No label was predicted for any test image, so that there was nothing to explain."

# One record of a tidy table by row and metric.
Cells = dict[tuple[str, str], dict]


def cells(table: pd.DataFrame, dataset: str) -> Cells:
    """Records of one data set's part of a tidy table by row and metric."""
    return {(r["row"], r["metric"]): r for r in table[table.dataset == dataset].to_dict("records")}


def rows(found: Cells) -> list[str]:
    """Rows of a table in its order."""
    return list(dict.fromkeys(row for row, _ in found))


def fraction(value: float) -> str:
    """Print a score in 0…1 with three decimals."""
    return "undefined" if np.isnan(value) else f"{value:.3f}".replace("-", "−")


def change(value: float) -> str:
    """Print a difference of scores with its sign, a true minus."""
    return "undefined" if np.isnan(value) else f"{value:+.3f}".replace("-", "−")


def percent(value: float) -> str:
    """Print a share in percent with one decimal."""
    return "undefined" if np.isnan(value) else f"{100 * value:.1f} %"


def interval(cell: dict, shown=fraction) -> str:
    """Print a value with its interval: ``0.136 (0.131 to 0.141)``."""
    return f"{shown(cell['value'])} ({shown(cell['ci_low'])} to {shown(cell['ci_high'])})"


def side(cell: dict, null: float = 0.0) -> str:
    """Say on which side of `null` an interval lies: above, below, either, or undefined."""
    if np.isnan(cell["value"]):
        return "undefined"
    if cell["ci_low"] > null:
        return "above"
    return "below" if cell["ci_high"] < null else "either"


def gain(test: dict) -> str:
    """Say what a paired test of SegX − original shows, in the words of :func:`side`."""
    if not test["n"]:
        return "undefined"
    if test["p_holm"] >= SIGNIFICANT:
        return "either"
    return "above" if test["mean_difference"] > 0 else "below"


def by_verdict(openings: dict[str, str], said: list[tuple[str, str]]) -> list[str]:
    """One sentence for each verdict that occurs, listing what it was reached for.

    Parameters
    ----------
    openings
        How the sentence of each verdict begins, in the order of the sentences.
    said
        Verdict and text of each thing that was judged.
    """
    listed = {v: [text for verdict, text in said if verdict == v] for v in openings}
    return [f"{openings[v]}: {'; '.join(texts)}." for v, texts in listed.items() if texts]


def together(said: dict[str, str]) -> list[str]:
    """Rows of which the same is said, named once: ``a, b: text``."""
    texts = dict.fromkeys(said.values())
    return [f"{', '.join(r for r in said if said[r] == text)}: {text}" for text in texts]


def answer(
    dataset: str,
    tables: dict[str, pd.DataFrame],
    tests: dict[str, pd.DataFrame],
    claims: pd.DataFrame,
) -> dict:
    """Say what came out for one data set.

    Parameters
    ----------
    tables
        Tidy tables by name: segx_alignment (Table 3), segu_certainty (Table 4), segx_networks,
        segx_doses, and segx_shortcut where a shortcut was planted.
    tests
        Tests of Tables 3 and 4 by the names of the tables.
    claims
        Verdicts on the published numbers.

    Returns
    -------
    dict
        headline, a sentence, and parts: sentences by their heading.
    """
    doses = tables["segx_doses"]
    found = {name: cells(table, dataset) for name, table in tables.items() if table is not doses}
    scored, sure = found["segx_alignment"], found["segu_certainty"]
    counted = {"Counts": counts(found["segx_networks"], scored, sure)}
    if not any(sure[row, "error rate"]["n"] for row in rows(sure)):
        return {"headline": NOTHING, "parts": counted}
    aligned, told = (
        {(t["first"].rpartition(" ")[0], t["metric"]): t for t in part.to_dict("records")}
        for part in (tests[name][tests[name].dataset == dataset] for name in tests)
    )
    parts = {
        "SegX": [*alignment(scored, aligned), *room(scored)],
        "SegU": [*certainty(sure, told), *beside(sure), *added(sure)],
        "A worse segmentation": dose_response(doses[doses.dataset == dataset]),
        "The planted shortcut": shortcut(found.get("segx_shortcut", {})),
        "Published": published(dataset, claims),
    } | counted
    return {
        "headline": headline(aligned, sure),
        "parts": {heading: sentences for heading, sentences in parts.items() if sentences},
    }


def headline(tests: dict, sure: Cells) -> str:
    """Sum up for how many explanations SegX gains and SegU adds to the probability."""
    names = rows(sure)
    parts = []
    for metric, name in ALIGNMENT.items():
        verdicts = [gain(tests[row, metric]) for row in names]
        worse = verdicts.count("below")
        lowers = f" (and lowers it for {worse})" if worse else ""
        parts.append(f"{name} for {verdicts.count('above')} of {len(names)}{lowers}")
    adds = [side(sure[row, JOINED]) for row in names].count("above")
    noun = "explanations" if len(names) > 1 else "explanation"
    return (
        f"SegX raises {parts[0]} {noun} and {parts[1]}; "
        f"SegU adds to what the probability tells of errors for {adds} of {len(names)}."
    )


def alignment(scored: Cells, tests: dict) -> list[str]:
    """Say of which explanations SegX raises IoU@5 % and AUITC, and by how much."""
    sentences = []
    for metric, name in ALIGNMENT.items():
        said = []
        for row in rows(scored):
            before, after = (scored[row, f"{metric} {kind}"] for kind in ("original", "segx"))
            test = tests[row, metric]
            text = (
                f"{row} {change(test['mean_difference'])}, from {interval(before)} "
                f"to {interval(after)}, {p_value(test['p_holm'])}"
            )
            verdict = gain(test)
            said.append((verdict, row if verdict == "undefined" else text))
        openings = {
            "above": f"SegX raises {name}",
            "below": f"SegX lowers {name}",
            "either": f"SegX changes {name} by no more than chance gives",
            "undefined": f"{name} is undefined, since no predicted label has a true mask",
        }
        sentences += by_verdict(openings, said)
    return sentences


def room(scored: Cells) -> list[str]:
    """Say how far IoU@5 % could go, and whether the mask alone lies closer to the truth."""
    best = max(rows(scored), key=lambda row: np.nan_to_num(scored[row, "iou@5% segx"]["value"]))
    reached = scored[best, "iou@5% segx"]
    if np.isnan(reached["value"]):
        return []
    most = scored[best, "iou@5% ceiling sparse"]["value"]
    alone = scored[best, "iou segmentation"]
    given = max((reached, scored[best, "auitc segx"]), key=lambda cell: cell["value"])
    if alone["ci_low"] > given["ci_high"]:
        verdict = (
            "higher than what SegX gives: the mask locates the finding better than the explanation "
            "does, which adds no localisation to it"
        )
    elif alone["ci_high"] < given["ci_low"]:
        verdict = "lower than what SegX gives: the explanation adds localisation to the mask"
    else:
        verdict = (
            "too close to what SegX gives to say whether the explanation adds localisation to it"
        )
    return [
        f"At the findings' size IoU@5 % cannot exceed "
        f"{fraction(scored[best, 'iou@5% ceiling']['value'])} for an original map, nor "
        f"{fraction(most)} for SegX, whose masks may be smaller; {best} comes closest, with "
        f"{percent(reached['value'] / most)} of it.",
        f"The segmenter's mask alone has an IoU of {interval(alone)} with the truth of the same "
        f"images, {verdict} (at best {interval(given)}).",
    ]


def certainty(sure: Cells, tests: dict) -> list[str]:
    """Say whether c_IoU and c_AUITC tell correct from incorrect predictions."""
    sentences = []
    for confidence, name in CERTAINTY.items():
        said = []
        for row in rows(sure):
            cell, errors = sure[row, f"auroc {confidence}"], sure[row, "error rate"]
            verdict = side(cell, 0.5)
            if verdict == "undefined":
                wrong = "all" if errors["value"] > 0.5 else "none"
                said.append((verdict, f"{row}, {wrong} of whose {errors['n']:,} labels are wrong"))
            else:
                p = p_value(tests[row, confidence]["p_holm"])
                said.append((verdict, f"{row} with AUROC {interval(cell)}, {p}"))
        openings = {
            "above": f"{name} tells errors",
            "below": f"{name} misleads, being higher for errors",
            "either": f"That {name} tells errors cannot be shown",
            "undefined": f"{name} has nothing to tell apart",
        }
        sentences += by_verdict(openings, said)
    return sentences


def beside(sure: Cells) -> list[str]:
    """Name the AUROC of the confidences that need no explanation, for the same predictions."""
    said = {}
    for row in rows(sure):
        if side(sure[row, "auroc c_iou"]) != "undefined":
            found = (
                f"{name} {interval(sure[row, f'auroc {key}'])}" for key, name in RIVALS.items()
            )
            said[row] = f"{', '.join(found)}."
    return [f"AUROC of other confidences in the predictions of {text}" for text in together(said)]


def added(sure: Cells) -> list[str]:
    """Say whether c_IoU tells errors better than the probability, and adds anything to it."""
    alone = {
        "above": "Alone, c_IoU tells errors better than maximum probability",
        "below": "Alone, c_IoU tells errors worse than maximum probability",
        "either": "Alone, c_IoU cannot be told from maximum probability",
    }
    equal = "Joined with equal weight, SegU"
    joined = {
        "above": f"{equal} adds something beyond the probability",
        "below": f"{equal} makes the probability worse",
        "either": f"{equal} adds nothing beyond the probability that this run can show",
    }
    sentences = []
    for openings, metric, what in (
        (alone, ALONE, "difference of AUROC"),
        (joined, JOINED, "AUROC of both joined less that of the probability"),
    ):
        openings = {verdict: f"{opening} ({what})" for verdict, opening in openings.items()}
        found = {row: sure[row, metric] for row in rows(sure)}
        said = [(side(cell), f"{row} {interval(cell, change)}") for row, cell in found.items()]
        sentences += by_verdict(openings, said)
    return sentences


def dose_response(doses: pd.DataFrame) -> list[str]:
    """Say how bad a segmentation may be before SegX's gain in IoU@5 % is gone.

    A gain is gone at the smallest dose whose interval does not lie above 0.
    """
    sentences = []
    for row, gains in doses[doses.metric == "iou@5% gain"].groupby("row", sort=False):
        (best,) = gains[gains.kind == "none"].to_dict("records")
        if side(best) != "above":
            shown = "nothing" if side(best) == "undefined" else interval(best, change)
            sentences.append(f"{row}: even the true mask gives no gain in IoU@5 % ({shown}).")
            continue
        gone, kept = [], []
        for kind, some in gains[gains.kind != "none"].groupby("kind", sort=False):
            some = some.sort_values("radius")
            lost = some[~(some.ci_low > 0)]
            dose = lost.iloc[0] if len(lost) else some.iloc[-1]
            text = f"{DOSES[kind]} by {dose.radius:g} px (Dice {dose.dice:.2f})"
            (gone if len(lost) else kept).append(text)
        outcome = [
            f"the true mask gives {interval(best, change)} in IoU@5 %",
            f"this gain is gone at {', '.join(gone)}" if gone else "",
            f"it outlasts {', '.join(kept)}" if kept else "",
        ]
        sentences.append(f"{row}: {'; '.join(filter(None, outcome))}.")
    return sentences


def shortcut(found: Cells) -> list[str]:
    """Say whether explanation, SegX and SegU show a planted shortcut."""
    sentences = []
    for row in rows(found):
        area, relevance, left = (
            found[row, f"marker {part}"] for part in ("area", "relevance", "relevance segx")
        )
        if np.isnan(relevance["value"]):
            sentences.append(f"{row}: no prediction by the marker's class is correct with it.")
            continue
        seen = relevance["ci_low"] > area["value"]
        held = (
            f"the marker covers {percent(area['value'])} of the image and holds "
            f"{interval(relevance, percent)} of the relevance"
        )
        explained = f"{row} {'shows' if seen else 'does not show'} it: {held}"
        hidden = left["ci_high"] < relevance["ci_low"]
        effect = (
            "removes it from the explanation and thus hides it" if hidden else "does not hide it"
        )
        refined = f"SegX {effect}, leaving {interval(left, percent)}" if seen else ""
        sentences.append("; ".join(filter(None, [explained, refined])) + ".")
        sentences.append(f"{row}: {_segu_sees(found[row, SHORTCUT_SEEN])}.")
    return sentences


def _segu_sees(auroc: dict) -> str:
    """Say whether c_IoU falls where the marker is shown."""
    shown = f"AUROC of images without over with it {interval(auroc)}"
    return {
        "above": f"SegU shows the shortcut, c_IoU being lower with the marker ({shown})",
        "below": f"SegU is misled by it, c_IoU being higher with the marker ({shown})",
        "either": f"the shortcut is not visible in SegU ({shown})",
        "undefined": "SegU cannot be asked, for want of correct predictions without the marker",
    }[side(auroc, 0.5)]


def published(dataset: str, claims: pd.DataFrame) -> list[str]:
    """Say how the published Tables 3 and 4 fare on a data set."""
    claims = claims[(claims.paper == "segx") & claims.table.astype(str).isin(["3", "4"])]
    claims = claims[claims.dataset == dataset]
    if claims.empty:
        return ["The paper has no numbers for this data set, so there is nothing to reproduce."]
    counts = claims.verdict.value_counts()
    parts = [f"{counts.get(verdict, 0)} {word}" for verdict, word in COUNTED.items()]
    sentences = [f"Of its {len(claims)} numbers in Tables 3 and 4, {', '.join(parts)}."]
    if len(differ := claims[claims.verdict == "differs"]):
        higher = int((differ.ours > differ.published).sum())
        sentences.append(
            f"Of those that differ, ours is higher in {higher} and lower in {len(differ) - higher}."
        )
    reasons = claims[claims.verdict == "not comparable"].reason.value_counts(sort=False)
    return sentences + [f"Not comparable ({n}): {reason}." for reason, n in reasons.items()]


def counts(networks: Cells, scored: Cells, sure: Cells) -> list[str]:
    """Count images without predicted label or finding, errors and undefined scores."""
    sentences = []
    for row in rows(networks):
        if (row, "images") in networks:
            images, silent, healthy = (
                int(networks[row, metric]["value"])
                for metric in ("images", "no predicted label", "no finding")
            )
            sentences.append(
                f"{row}: of {images:,} test images {silent:,} got no predicted label and "
                f"{healthy:,} show no finding."
            )
    said = {}
    for row in rows(sure):
        errors, overlap = sure[row, "error rate"], scored[row, "iou@5% original"]
        empty = sum(sure[row, f"c_iou {kind}"]["n_undefined"] for kind in ("correct", "incorrect"))
        if errors["n"]:
            said[row] = (
                f"{interval(errors, percent)} of {errors['n']:,} predicted labels are wrong, "
                f"{overlap['n_undefined']:,} have no true mask to score against, "
                f"{empty:,} neither a segmentation nor an explanation."
            )
    return sentences + together(said)
