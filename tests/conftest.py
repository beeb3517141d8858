"""One thread for every numeric library, as runs have it, before anything imports TensorFlow."""

from common.seeds import limit_threads

limit_threads(1)
