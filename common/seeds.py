"""Seeds: one number per run, from which every part derives its own."""

import hashlib
import os

import threadpoolctl


def derive(seed: int, name: str) -> int:
    """Make an independent seed for a named part of a run.

    Equal inputs give equal seeds on every machine, and a new part never shifts the seeds of the
    others.

    Args:
        seed: the run's seed, any int.
        name: the part, for example "xgboost" or "fold 2".

    Returns:
        A seed in [0, 2**31).
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def set_all(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and make TensorFlow's operations deterministic.

    Args:
        seed: in [0, 2**32).
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def limit_threads(n_threads: int) -> None:
    """Fix how many threads each numeric library takes, in this process and the workers it starts.

    Floating-point sums depend on how work is split over threads, so the count belongs to a run's
    settings. TensorFlow and the workers read these variables when they start: call this before
    TensorFlow is imported. Libraries that are loaded already are told directly.

    Args:
        n_threads: >= 1.
    """
    for variable in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ[variable] = str(n_threads)
    threadpoolctl.threadpool_limits(n_threads)
