"""Hooks, optimizers, schedules, checks and launching: what stands between config and Runner."""

from . import hooks, loops, optimizers, schedulers, tracking  # noqa: F401  registers their classes
