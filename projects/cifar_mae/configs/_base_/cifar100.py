"""What CIFAR-100 changes: classes, files and pixels."""

classes = 100
pixels = dict(mean=[129.311, 124.058, 112.430], std=[68.162, 65.382, 70.431])
dataset = dict(type='CIFAR100', data_root='data/cifar100/')
