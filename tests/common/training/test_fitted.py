import subprocess
import sys


def test_trees_and_folds_do_not_wait_for_tensorflow():
    """It takes seconds to import, in every worker; `fitted.py` stands apart from `fit.py` for that
    alone.
    """
    code = "import sys, common.training.boosting, common.training.cross_fit; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "common.training.fitted" in loaded
    assert not {"tensorflow", "keras"} & set(loaded)
