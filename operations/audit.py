"""Whether a flaw of anything that is installed is known: pip-audit, and an answer that says so where nobody was asked.

pip-audit itself finds "no known vulnerabilities", and ends with 0, where an index knows none of the packages.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IGNORED: dict[str, str] = {}
"""Advisory (PYSEC-…, GHSA-… or CVE-…) → why it does not touch Kuapin; take it out once the package is mended."""
WAIT_S = 300
MISUSED = 2
"""What pip-audit ends with where it does not know an option."""
AUDIT = ("--local", "--skip-editable", "--progress-spinner", "off", "--format", "json")


def told(report: Mapping[str, Any], ignored: Mapping[str, str]) -> tuple[int, list[str]]:
    """Exit code and lines for a report of pip-audit: 1 where a flaw is known that is not ignored."""
    packages = report["dependencies"]
    asked = [one for one in packages if "skip_reason" not in one]
    if not asked:
        return 0, [f"Audit: not asked. The index has no advisories on any of {len(packages)} packages."]
    lines, open_flaws = [], 0
    for one in asked:
        for flaw in one["vulns"]:
            why = next((ignored[name] for name in (flaw["id"], *flaw["aliases"]) if name in ignored), None)
            open_flaws += why is None
            mended = ", ".join(flaw["fix_versions"]) or "no version"
            ending = f"ignored: {why}" if why else f"mended in {mended}"
            lines.append(f"Audit: {one['name']} {one['version']} has {flaw['id']}; {ending}")
    silent = [one["name"] for one in packages if "skip_reason" in one]
    left = f"; not asked: {', '.join(silent)}" if silent else ""
    lines.append(f"Audit: {len(asked)} of {len(packages)} packages asked about, {open_flaws} flaws{left}.")
    return int(open_flaws > 0), lines


def main() -> int:
    """Ask about the environment of this Python."""
    command = [str(Path(sys.executable).with_name("pip-audit")), *AUDIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
        code, lines = told(json.loads(done.stdout), IGNORED)
    except subprocess.TimeoutExpired:
        code, lines = 0, [f"Audit: not asked. No answer within {WAIT_S} s."]
    except ValueError:  # it could not connect, or does not know how it was called
        said = done.stderr.strip().splitlines() or ["no answer"]
        misused = done.returncode == MISUSED
        code, lines = int(misused), [f"Audit: {'pip-audit refuses the call' if misused else 'not asked'}. {said[-1]}"]
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
