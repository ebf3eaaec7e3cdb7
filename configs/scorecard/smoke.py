"""A smoke test: classification and detection on generated images for a few iterations: about five
minutes for one checkpoint on two CPU cores. The numbers say nothing about the weights."""

_base_ = './shapes-quick.py'
title = 'Generated images, smoke test'
figure_images = 32
tasks = [_base_.tasks[0], _base_.tasks[2]]
tasks[0].options, tasks[0].minutes = {'--epochs': 1}, 0.7
tasks[1].options, tasks[1].minutes = {'--iters': 20, 'train_cfg.val_interval': 20}, 1.0
