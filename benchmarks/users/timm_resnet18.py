"""A ResNet-18 of timm, from scratch."""

import timm


def make(num_classes):
    return timm.create_model("resnet18", pretrained=False, num_classes=num_classes)
