"""Two networks of textbooks: a small one with augmentation, L2 and dropout, and a ResNet-50 under a new head."""

import keras
from keras import layers
from keras.regularizers import l2


def small(num_classes):
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.RandomFlip("horizontal_and_vertical"),
            layers.RandomRotation(0.2),
            layers.RandomZoom(0.2),
            layers.Conv2D(32, (3, 3), activation="relu", kernel_regularizer=l2(0.001)),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet50(num_classes):
    base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base.output)
    x = layers.Dense(1024, activation="relu")(x)
    return keras.Model(base.input, layers.Dense(num_classes, activation="softmax")(x))
