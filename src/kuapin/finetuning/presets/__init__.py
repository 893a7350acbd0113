"""Presets: settings that run as they are, one TOML file each."""

from pathlib import Path

from kuapin.errors import InputError
from kuapin.names import offered

PRESETS = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""Name → file."""


def find_preset(name: str) -> Path:
    """The file of a preset's name, or the file itself.

    Raises:
        InputError: there is neither.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name in PRESETS:
        return PRESETS[name]
    raise InputError(
        f"--preset {name}: there is no such file and no such preset. " + offered(name, [*PRESETS], "presets")
    )
