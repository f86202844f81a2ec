"""These tests run Triton kernels: on a GPU where there is one, or interpreted, if `TRITON_INTERPRET=1`.

`test_gpu.py` runs them so in a process of their own, because Triton decides when it is imported.
"""

import os

import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
collect_ignore_glob = [] if INTERPRETED or torch.cuda.is_available() else ["*"]
