"""Stop of a training at a NaN or an infinity, and the replay of the step that met it."""

from .hook import FiniteHook as FiniteHook
