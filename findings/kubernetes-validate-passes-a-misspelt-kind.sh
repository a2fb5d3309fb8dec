#!/usr/bin/env bash
# kubernetes-validate 1.37.0 ends with 0 for a kind or an apiVersion that it does not know, misspelt or long gone.
#
# It prints a line that begins with WARN, which `--no-warn` takes away too. So a check in CI that looks at the exit code
# believes a manifest whose kind has a typing error, and one with an API that Kubernetes removed years ago.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install kubernetes-validate==1.37.0
printf 'apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}\nspec: {}\n' >"$work/misspelt.yaml"
printf 'apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {minAvailable: 1}\n' >"$work/gone.yaml"
printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n' >"$work/wrong.yaml"
changed=0
for name in misspelt:0 gone:0 wrong:1; do
    code=0
    "$work/venv/bin/kubernetes-validate" --strict -k 1.35 "$work/${name%:*}.yaml" >"$work/said" 2>&1 || code=$?
    echo "${name%:*}: exit code $code; $(head -c 160 "$work/said" | tr '\n' ' ')"
    [ "$code" = "${name#*:}" ] || changed=1
done
exit $changed
