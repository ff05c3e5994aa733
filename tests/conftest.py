"""What every test shares."""

import os

import torch

# Without a GPU Triton interprets its kernels on the CPU (test_kernels.py). It reads this when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

# The tests' tensors are small: a second thread gains nothing, and waiting for it on a busy machine costs minutes.
torch.set_num_threads(1)
