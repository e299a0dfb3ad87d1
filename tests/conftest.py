"""Settings that hold for every test: one thread (the models are tiny), and Hypothesis draws the same examples every time."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("reproducible", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("reproducible")
