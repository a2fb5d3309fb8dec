#!/usr/bin/env bash
# statsmodels' `confint_proportions_2indep(method="score")` inverts the score test by a root search that starts where its
# statistic is not defined. Where nobody (or everybody) of both groups did it, which is the rule in a trial's first days,
# the answer is no wide interval but a ValueError of SciPy's solver; at one of 19 against none of 1 as well.
# `method="newcomb"` answers there, and covers less than it says for one small group.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

from statsmodels.stats.proportion import confint_proportions_2indep

print("statsmodels", version("statsmodels"), "SciPy", version("scipy"), "Python", sys.version.split()[0])
expected = {(0, 18, 0, 2): False, (10, 10, 10, 10): False, (1, 19, 0, 1): False, (18, 18, 1, 2): True}
for counts, answers in expected.items():
    for method in ("score", "newcomb"):
        try:
            low, high = confint_proportions_2indep(*counts, method=method)
            said = f"{low:.3f} to {high:.3f}"
        except ValueError as error:
            said = f"ValueError: {error}"
        print(f"{counts!s:17} {method:8} {said}")
        if said.startswith("ValueError") == (answers or method != "score"):
            sys.exit("this has changed")
PYTHON
