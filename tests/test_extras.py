"""What is said to be installable can be installed."""

import re
import tomllib


def test_every_extra_that_a_message_names_exists(root):
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = set()
    for path in (root / "src" / "kuapin").rglob("*.py"):
        asked |= set(re.findall(r'require\([^)]*?, "(\w+)"\)', path.read_text(encoding="utf-8")))
    assert len(asked) >= 3, asked
    assert asked <= set(extras)
