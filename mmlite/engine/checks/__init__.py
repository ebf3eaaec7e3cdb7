"""The parts of :func:`mmlite.engine.check_config.check_config`."""
