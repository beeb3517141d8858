import logging
import time

import pytest

from common.stages import timed


def test_a_stage_is_told_with_its_seconds(caplog):
    with caplog.at_level(logging.INFO, logger="common.stages"), timed("read"):
        time.sleep(0.02)
    (record,) = caplog.records
    name, seconds = record.stage
    assert name == "read" and 0.02 <= seconds < 2
    assert record.getMessage().startswith("read: 0.0 s, ")


def test_a_stage_that_fails_is_not_told(caplog):
    caplog.set_level(logging.INFO, logger="common.stages")
    with pytest.raises(ValueError, match="broken"), timed("read"):
        raise ValueError("broken")
    assert not caplog.records
