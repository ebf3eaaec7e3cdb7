"""Batches of one image for LeNet.

``LeNet5`` of mmpretrain 1.2 squeezes its features, and a batch of one loses its first dimension:
``IndexError: Dimension out of range``.
"""

MODULES = ('mmpretrain.models.backbones.lenet',)


def mend(module):
    """Flatten the features of each image."""

    def forward(self, x):
        x = self.features(x)
        return (self.classifier(x.flatten(1)) if self.num_classes > 0 else x,)

    module.LeNet5.forward = forward
