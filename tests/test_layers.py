"""What import-linter cannot see: packages asked for at run time, and what an import pulls in."""

import ast
import subprocess
import sys

OPTIONAL = (
    "torch",
    "transformers",
    "nncf",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "matplotlib",
    "sklearn",
    "optuna",
)


def test_torch_is_asked_for_only_where_models_are_made_or_run(root):
    """``require("torch", …)`` is no import statement, so the layers contract does not meet it."""
    askers = set()
    files = sorted((root / "src" / "kuapin").rglob("*.py"))
    assert len(files) > 40
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
                "require",
                "import_module",
            ):
                asked = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
                if any(str(name).split(".")[0] in ("torch", "transformers") for name in asked):
                    askers.add(path.relative_to(root / "src" / "kuapin").with_suffix("").as_posix())
    allowed = (
        "device",
        "engines/torch",
        "encoding/export",
        "encoding/additions",
        "encoding/backbone",
        "encoding/tokens",
        "finetuning/",
        "ranking/safety_classifier",
        "sequence/",
    )
    assert {asker for asker in askers if not asker.startswith(allowed)} == set()


def test_importing_everything_pulls_in_no_optional_package_and_opens_nothing(root):
    program = f"""
import importlib, pkgutil, sys
import kuapin
names = [m.name for m in pkgutil.walk_packages(kuapin.__path__, "kuapin.")]
assert len(names) > 40, names
for name in names:
    importlib.import_module(name)
print([name for name in {OPTIONAL!r} if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
