"""Hooks, optimiser constructors, checks and launching: what stands between config and Runner."""

from . import hooks, loops, optimizers, tracking  # noqa: F401  registers their classes
