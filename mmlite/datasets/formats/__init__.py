"""Formats of data sets: what people bring is taken, repaired and counted, or refused."""
