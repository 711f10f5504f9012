"""One thread a test process: two processes that spin on two cores are slower than one, and numbers must not vary."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
