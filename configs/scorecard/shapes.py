"""Every task on generated images, as long as its recipe is, three trainings each."""

_base_ = './shapes-quick.py'
title = 'Generated images'
seeds = [0, 1, 2]
tasks = _base_.tasks
for task in tasks:
    task.pop('options', None)
    task.minutes = 2 * task.minutes
del task
