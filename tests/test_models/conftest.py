"""The log of mmengine as text, for the tests of loaded weights."""

import logging

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def log(caplog):
    """Text of what is logged through mmengine's current logger."""
    logger = MMLogger.get_instance('weights')
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)
