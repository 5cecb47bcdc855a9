"""Guidelines: who is admissible, who is recommended, and what the rule loses elsewhere."""

import numpy as np
import pandas as pd
import pytest

from segxai.stats.guidelines import judge, printed, regrets
from segxai.stats.tables import KEYS, table_rows

STATISTICS = {"resamples": 200, "confidence": 0.95, "seed": 1}
IMAGES = [f"i{number}" for number in range(20)]
# Mean gap, gradients, forward passes and completeness error of each explainer.
EXPLAINERS = {
    "fixed": (0.9, 1, 0, np.nan),
    "good": (0.8, 1, 0, np.nan),
    "equal": (0.8, 10, 0, 0.01),
    "worse": (0.6, 1, 0, np.nan),
    "incomplete": (0.9, 1, 0, 0.5),
    "dear": (0.9, 0, 1000, np.nan),
    "blind": (0.1, 1, 0, np.nan),
    "noise": (0.2, 0, 0, np.nan),
}
SPEC = {
    **{"table": "g", "rows": ["network", "explainer"], "segmenters": [], "values": []},
    **{"scores": ["s"], "goals": {"faithful": {"metric": "gap"}}, "controls": ["noise"]},
    **{"usual": "blind", "budgets": [30, 5000], "completeness": 0.1, "unit": "fraction"},
    "directions": {"gap": "higher"},
}
NAMES = {"network": {"n": "Net"}, "explainer": {name: name.title() for name in EXPLAINERS}}


def scores(dataset: str, explainers=EXPLAINERS) -> pd.DataFrame:
    """Score files of one network: the gap varies by image, alike for all but "equal"."""
    rng, rows = np.random.default_rng(0), []
    shared, own = rng.normal(0, 0.1, (2, len(IMAGES)))
    for name, (gap, gradients, forwards, error) in explainers.items():
        for image, one, other in zip(IMAGES, shared, own - own.mean() + shared.mean(), strict=True):
            known = {"gap": gap + (other if name == "equal" else one)}
            # A map that stays when the weights go.
            known |= {"randomisation": float(name == "fixed"), "randomisation_null": 0.5}
            known |= {"gradients": gradients, "forwards": forwards, "completeness": error}
            about = dict.fromkeys([*KEYS, "view", "reference"], "") | {"seed": 1, "constant": 0}
            about |= {"dataset": dataset, "network": "n", "explainer": name, "split": "test"}
            about |= {"image_id": image, "target_id": image, "group": image, "correct": 1}
            rows += [about | {"metric": metric, "value": value} for metric, value in known.items()]
    return pd.DataFrame(rows)


def judged(*tables: pd.DataFrame, **changed) -> pd.DataFrame:
    """Judge the explainers of some data sets."""
    table = pd.concat(tables)
    spec = SPEC | {"datasets": [*table.dataset.unique()]} | changed
    images = {dataset: set(IMAGES) for dataset in spec["datasets"]}
    return judge(table_rows(table, images, spec), spec, STATISTICS)


def recommended(table: pd.DataFrame, budget: int) -> set[str]:
    """Names that are recommended within a budget."""
    return set(table[(table.budget == budget) & (table.recommended == 1)].explainer)


def test_who_is_recommended_and_why_not():
    """The best and who is not worse; not the worse, incomplete, dear, blind or fixed one."""
    table = judged(scores("d"))
    assert recommended(table, 30) == {"good", "equal"}
    assert recommended(table, 5000) == {"dear"}
    reasons = table[table.budget == 30].set_index("explainer").reason
    assert reasons["incomplete"] == "incomplete"
    assert reasons["dear"] == "over the budget"
    assert reasons["blind"] == "not better than a control"
    assert reasons["worse"] == ""
    assert reasons["fixed"] == "independent of the weights"
    assert "noise" not in reasons
    assert table.control.unique().tolist() == ["noise"]
    gain = table.set_index("explainer").gain["worse"].iloc[0]
    assert gain == pytest.approx(0.4)


def test_none_here_is_an_answer():
    """Where no explainer beats the controls nothing is recommended, in words."""
    weak = {name: (0.1, *rest) for name, (_, *rest) in EXPLAINERS.items()}
    table = judged(scores("d", weak | {"noise": (0.5, 0, 0, np.nan)}))
    assert not table.recommended.any()
    assert (printed(table, {"d": "Data"}, NAMES).Recommended == "none here").all()


def test_lower_is_better_where_the_metric_says_so():
    """Values keep their sign, gains are positive where they are better."""
    table = judged(scores("d"), directions={"gap": "lower"})
    blind = table[(table.explainer == "blind") & (table.budget == 30)].iloc[0]
    assert blind.value == pytest.approx(0.1, abs=0.05)
    assert blind.gain == pytest.approx(0.1)
    assert recommended(table, 30) == {"blind"}


def test_the_regret_of_a_choice_made_elsewhere():
    """The other data set recommends "good", which is 0.1 below the best of this one."""
    turned = EXPLAINERS | {"blind": (0.9, 1, 0, np.nan), "dear": (0.3, 0, 1000, np.nan)}
    turned |= {"incomplete": (0.3, 1, 0, 0.5), "equal": (0.3, 10, 0, 0.01)}
    first = {name: EXPLAINERS[name] for name in EXPLAINERS if name != "equal"}
    table = judged(scores("d", first), scores("e", turned))
    lost = regrets(table, "blind", {"faithful": "higher"})
    lost = lost[(lost.dataset == "e") & (lost.budget == 30)].iloc[0]
    assert lost.chosen == "good"
    assert lost.regret == pytest.approx(0.1)
    assert lost.usual_regret == pytest.approx(0)
    assert regrets(judged(scores("d")), "blind", {"faithful": "higher"}).empty
