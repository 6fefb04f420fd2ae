"""Imported by the server that workers are forked from, before any library that multiplies matrices.

As many threads in each worker as there are cores would wait for each other most of the time.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
