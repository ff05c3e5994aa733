"""What every test shares."""

import torch

# The tests' tensors are small: a second thread gains nothing, and waiting for it on a busy machine costs minutes.
torch.set_num_threads(1)
