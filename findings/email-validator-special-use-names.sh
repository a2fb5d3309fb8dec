#!/usr/bin/env bash
# email-validator's `globally_deliverable=False` ("need not be reachable from the Internet") still refuses the domains that
# are never reachable from it: special-use names such as `corp.local` are checked outside that switch. Whoever wants to
# take the addresses of an intranet has to check them in another way; dotless names (`mailhost`) do pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check email-validator==2.4.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from email_validator import EmailNotValidError, validate_email

print("email-validator", version("email-validator"), "Python", sys.version.split()[0])


def judged(address: str, anywhere: bool) -> str:
    try:
        return validate_email(address, check_deliverability=False, globally_deliverable=anywhere).normalized
    except EmailNotValidError as error:
        return f"refused: {error}"


expected = {("ann@mailhost", False): True, ("ann@mailhost", True): False}
expected |= {("ann@corp.local", anywhere): False for anywhere in (True, False)}
for (address, anywhere), taken in expected.items():
    said = judged(address, anywhere)
    print(f"globally_deliverable={anywhere!s:5}  {address:15} {said}")
    if said.startswith("refused") == taken:
        sys.exit("this has changed")
PYTHON
