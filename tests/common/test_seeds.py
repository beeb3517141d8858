import ctypes
import hashlib
import os
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
import threadpoolctl

from common.seeds import derive, limit_threads, set_all


def test_a_derived_seed_by_hand():
    """The first four bytes of sha256(b"7/xgboost"), as a big-endian number, halved."""
    first = hashlib.sha256(b"7/xgboost").hexdigest()[:8]

    assert derive(7, "xgboost") == int(first, 16) // 2


def test_derived_seeds_of_runs_and_parts_differ_and_are_legal_everywhere():
    seeds = [derive(seed, name) for seed in range(-3, 40) for name in ("a", "b", "fold 0", "0/a")]

    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0 and max(seeds) < 2**31
    assert max(seeds) > 2**30


def test_derived_seeds_look_even():
    """10,000 seeds in 16 equal bins: chi-squared with 15 degrees of freedom is below 37.7 in 999 of
    1,000 cases.
    """
    bins = np.bincount([derive(seed, "part") >> 27 for seed in range(10_000)], minlength=16)

    assert ((bins - 625) ** 2 / 625).sum() < 37.7


def draw():
    return [
        random.random(),
        np.random.rand(),
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
        keras.initializers.GlorotUniform()((2, 2)).numpy().tolist(),
    ]


def test_set_all_seeds_every_generator_and_another_seed_moves_each():
    draws = []
    for seed in (5, 5, 6):
        set_all(seed)
        draws.append(draw())

    assert draws[0] == draws[1]
    assert all(a != b for a, b in zip(draws[0], draws[2], strict=True))


def test_set_all_makes_operations_deterministic_so_that_unseeded_chance_is_an_error():
    set_all(0)
    tf.random.set_seed(None)

    with pytest.raises(RuntimeError, match=r"[Dd]eterminism"):
        tf.random.uniform(())

    set_all(0)


@pytest.fixture
def threads_after():
    """Leave the process as conftest set it up."""
    yield
    limit_threads(1)


def test_limit_threads_reaches_loaded_libraries_and_those_that_start_later(threads_after):
    limit_threads(2)

    assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {2}
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "2"
    # What a C library reads, which is not the dictionary that Python shows.
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    assert getenv(b"TF_NUM_INTEROP_THREADS") == b"2"


def test_the_tests_themselves_run_on_one_thread():
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert {pool["num_threads"] for pool in pools} == {1}
