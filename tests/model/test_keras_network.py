"""Against Keras itself, on its torch backend: the same numbers for the same weights."""

import math
import os

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import ks_2samp

from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.errors import RecipeError, WeightsError
from convlift.model.keras_network import from_keras, is_keras, with_weights
from convlift.model.look_into import look_into
from convlift.model.own_network import make_network
from convlift.model.source_files import code_of
from convlift.model.source_loader import ALLOWED, allow
from convlift.recipe.augmentation import Augmentation

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras' own code

SIDE = 12


@pytest.fixture
def net(tmp_path, monkeypatch):
    """The place of a file's function, whose code may run."""
    monkeypatch.setenv(ALLOWED, "")
    (tmp_path / "net.py").write_text(NET)
    allow(code_of(f"{tmp_path}/net.py:make"))
    return f"{tmp_path}/net.py:make"


def alone(*stack, channels=3):
    """A model of these layers on small images, with every weight drawn away from what it begins as."""
    model = keras.Sequential([keras.Input((SIDE, SIDE, channels)), *stack])
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "seed" not in variable.path:
            spread = rng.uniform(0.5, 1.5, variable.shape) if "variance" in variable.path else None
            variable.assign(rng.normal(0, 0.3, variable.shape) if spread is None else spread)
    return model


def both(model, images_NHWC, white=1.0):
    """(Keras' outputs as (N, ...), ours in the same order). white: the largest value of the pixels that Keras gets."""
    network = from_keras(model).eval()
    with torch.no_grad():
        theirs = keras.ops.convert_to_numpy(model(white * images_NHWC, training=False))
        ours = network(torch.from_numpy(images_NHWC).permute(0, 3, 1, 2))
    if ours.ndim == 4:
        ours = ours.permute(0, 2, 3, 1)
    return theirs, ours.numpy()


def images(count=4, side=SIDE, channels=3):
    return np.random.default_rng(1).random((count, side, side, channels), np.float32)


STACKS = {
    "convolution": lambda: [layers.Conv2D(5, 3, activation="relu")],
    "same, even kernel": lambda: [layers.Conv2D(5, 4, padding="same")],
    "same, strides, even side": lambda: [layers.Conv2D(5, 3, strides=2, padding="same", activation="gelu")],
    "same, strides, uneven": lambda: [layers.Conv2D(5, 5, strides=3, padding="same")],
    "dilated": lambda: [layers.Conv2D(5, 3, dilation_rate=2, padding="same")],
    "groups": lambda: [layers.Conv2D(6, 3, groups=3)],
    "oblong kernel": lambda: [layers.Conv2D(4, (1, 5), padding="same", use_bias=False)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu6")],
    "depthwise, strides": lambda: [layers.DepthwiseConv2D(3, strides=2, padding="same")],
    "separable": lambda: [layers.SeparableConv2D(5, 3, padding="same", activation="swish")],
    "max pooling": lambda: [layers.MaxPooling2D()],
    "max pooling, same": lambda: [layers.Conv2D(3, 2), layers.MaxPooling2D(3, strides=2, padding="same")],
    "average pooling": lambda: [layers.AveragePooling2D(3)],
    "batch norm": lambda: [layers.BatchNormalization()],
    "batch norm without scale": lambda: [layers.BatchNormalization(scale=False, epsilon=0.1)],
    "batch norm of a vector": lambda: [layers.Flatten(), layers.Dense(6), layers.BatchNormalization(center=False)],
    "flatten and dense": lambda: [layers.Conv2D(5, 3), layers.Flatten(), layers.Dense(7, activation="softmax")],
    "global average": lambda: [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="tanh")],
    "global maximum": lambda: [layers.GlobalMaxPooling2D(keepdims=True)],
    "activations": lambda: [
        layers.Conv2D(4, 3),
        layers.LeakyReLU(),
        layers.Activation("elu"),
        layers.ReLU(max_value=6),
        layers.ELU(0.5),
        layers.Activation("leaky_relu"),
        layers.Activation("silu"),
        layers.Activation("hard_silu"),
        layers.Activation("hard_sigmoid"),
    ],
    "reshape to a vector": lambda: [layers.Conv2D(3, 4), layers.Reshape((-1,)), layers.Dense(2)],
    "zero padding": lambda: [layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Conv2D(2, 3)],
    "dropout": lambda: [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.Flatten()],
    "softmax": lambda: [layers.Flatten(), layers.Dense(4), layers.Softmax()],
    "softmax of maps": lambda: [layers.Conv2D(4, 3, activation="softmax"), layers.Softmax(axis=-1)],
    "dense layers over maps": lambda: [layers.Conv2D(SIDE, 1), layers.Dense(SIDE, activation="relu"), layers.Dense(5)],
    "squeeze": lambda: [layers.GlobalAveragePooling2D(keepdims=True), layers.Dense(2, activation="sigmoid")],
    "reshape": lambda: [layers.GlobalAveragePooling2D(), layers.Reshape((1, 1, 3)), layers.Conv2D(2, 1)],
}


@pytest.mark.parametrize("name", STACKS)
def test_a_layer_gives_what_keras_gives(name):
    theirs, ours = both(alone(*STACKS[name]()), images())
    assert theirs.shape == ours.shape
    assert np.abs(theirs).max() > 0.05, "zeros would agree whatever is computed"
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_known_layer_is_compared_with_keras():
    from convlift.model.keras_layers import LAYERS

    seen = {type(layer).__name__ for stack in STACKS.values() for layer in stack()}
    elsewhere = {"Add", "Concatenate", "Multiply", "Rescaling", "Normalization"}  # below
    assert set(LAYERS) - seen == elsewhere


def graph(classes=2):
    """Two branches, layers that are used twice, a model within the model."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    shared = layers.Conv2D(4, 3, padding="same")
    x = keras.Sequential([layers.Conv2D(4, 1), layers.ReLU()])(x)
    once = shared(x)
    x = layers.add([shared(once), x])
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.multiply([x, layers.Reshape((1, 1, 4))(gate)])
    x = layers.concatenate([x, once])
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))


def test_a_graph_gives_what_keras_gives_of_pixels_up_to_255():
    model = graph()
    theirs, ours = both(model, images(100), 255.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    trained = sum(parameter.numel() for parameter in from_keras(model).parameters())
    assert trained == model.count_params(), "the shared layer is one"


def test_normalization_that_was_adapted():
    adapted = layers.Normalization()
    adapted.adapt(255 * images(16))
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), adapted])
    theirs, ours = both(model, images(), 255.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", ["ResNet50", "MobileNet", "MobileNetV2", "EfficientNetB0", "DenseNet121"])
def test_the_networks_that_come_with_keras(name):
    """With statistics of batch norm, and logits, that are no longer those of the beginning."""
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(64, 64, 3), classes=5, classifier_activation=None
    )
    white = 255.0 if name == "EfficientNetB0" else 1.0  # whether it scales its pixels itself
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # so that one batch gives it its statistics
    model(white * images(8, 64), training=True)
    theirs, ours = both(model, images(2, 64), white)
    assert np.abs(theirs).max() > 0.1
    # 50 to 190 layers after each other, each of which rounds; layer by layer they agree to 1e-5 above
    np.testing.assert_allclose(softmax(ours, axis=1), softmax(theirs, axis=1), atol=1e-4)


def test_gradients_reach_every_weight_and_dropout_drops():
    network = from_keras(alone(*STACKS["flatten and dense"]())).train()
    network(torch.rand(4, 3, SIDE, SIDE)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    dropped = from_keras(alone(layers.Dropout(0.5), layers.Flatten())).train()
    assert (dropped(torch.ones(2, 3, SIDE, SIDE)) == 0).any()


def test_preprocessing_layers_become_the_recipes_augmentation():
    told = from_keras(
        alone(
            keras.Sequential([layers.RandomFlip("horizontal_and_vertical"), layers.RandomRotation(0.2)]),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.1, 0.05),
            layers.RandomContrast(0.3),
            layers.RandomBrightness(0.1),
            layers.Flatten(),
        )
    ).told
    assert told.augmentation == {
        "horizontal_flip": 0.5, "vertical_flip": 0.5, "rotation": 0.2, "zoom": 0.2, "translation": 0.1,
        "contrast": 0.3, "brightness": 0.1,
    }  # fmt: skip
    assert told.side == SIDE


@pytest.mark.parametrize(
    ("options", "fill"),
    [
        ({}, {}),
        ({"fill_mode": "nearest"}, {"fill_mode": "edge"}),
        ({"fill_mode": "constant"}, {"fill_mode": "constant"}),
        ({"fill_mode": "constant", "fill_value": 0.5}, {}),
    ],
)
def test_what_is_beyond_the_border_is_read_too(options, fill):
    told = from_keras(alone(layers.RandomRotation(0.2, **options), layers.Flatten())).told
    assert told.augmentation == {"rotation": 0.2} | fill


def angles_of(batch_NHWC):
    """Where a blob right of the centre has gone, as a fraction of a full turn."""
    side = batch_NHWC.shape[1]
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    mass = batch_NHWC[..., 0].astype(float)
    mass = mass * (mass > 0.3 * mass.max(axis=(1, 2), keepdims=True))
    total = mass.sum(axis=(1, 2))
    return np.arctan2((mass * rows).sum(axis=(1, 2)) / total, (mass * columns).sum(axis=(1, 2)) / total) / math.tau


def test_what_moves_pixels_may_stand_after_what_scales_them():
    told = from_keras(
        alone(layers.Rescaling(1 / 255), layers.RandomRotation(0.2), layers.Conv2D(2, 3), layers.Flatten())
    )
    assert told.told.augmentation == {"rotation": 0.2}


def test_rotations_are_drawn_from_the_range_that_keras_draws_from():
    """RandomRotation(.2) and rotation .2, 600 draws each: largest angles, and a two-sample test of Kolmogorov."""
    seen = np.zeros((600, 49, 49, 3), np.float32)
    seen[:, 21:28, 40:46] = 1.0
    theirs = angles_of(keras.ops.convert_to_numpy(layers.RandomRotation(0.2, fill_mode="constant", seed=1)(seen)))
    normal = np.zeros(3, np.float32), np.ones(3, np.float32)
    ours = angles_of(augment((255 * seen).astype(np.uint8), Augmentation(rotation=0.2), *normal, Streams(0)))
    assert np.abs([theirs, ours]).max() == pytest.approx(0.2, abs=0.01)
    assert ks_2samp(theirs, ours).pvalue > 0.01


@pytest.mark.parametrize("way", ["horizontal", "vertical"])
def test_a_flip_is_as_frequent_as_that_of_keras(way):
    """Of both ways at once Keras 3 draws one chance for the two, Keras 2 and we draw two."""
    seen = np.zeros((800, 8, 8, 3), np.float32)
    seen[:, 0, 0] = 1.0
    flipped = keras.ops.convert_to_numpy(layers.RandomFlip(way, seed=1)(seen))
    normal = np.zeros(3, np.float32), np.ones(3, np.float32)
    levers = Augmentation(**{f"{way}_flip": 0.5})
    mirrored = augment((255 * seen).astype(np.uint8), levers, *normal, Streams(0))
    for batch in (flipped, mirrored):
        gone = batch[:, 0, -1, 0] if way == "horizontal" else batch[:, -1, 0, 0]
        assert gone.mean() == pytest.approx(0.5, abs=0.06)


def test_a_compiled_model_says_how_it_is_trained():
    model = alone(
        layers.Conv2D(2, 3, kernel_regularizer=keras.regularizers.l2(0.001)), layers.Flatten(), layers.Dense(2)
    )
    l2 = {"l2": 0.001, "l2_layers": "convolution"}
    model.compile(optimizer=keras.optimizers.RMSprop(0.0005))
    assert from_keras(model).told.training == {
        "optimizer": "rmsprop", "learning_rate": 0.0005, "momentum": 0.0, **l2,
    }  # fmt: skip
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
    assert from_keras(model).told.training == {
        "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, **l2,
    }  # fmt: skip
    model.compile(optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.05))
    told = from_keras(model).told
    assert told.training == {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.05, **l2}
    assert told.unread == ()
    model.compile(optimizer="lion")
    with pytest.raises(RecipeError, match="compiled with lion; adam, adamw, sgd and rmsprop are known"):
        from_keras(model)


def test_what_is_passed_over_is_told():
    penalty = keras.regularizers.l2(0.001)
    uneven = alone(layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2, kernel_regularizer=penalty))
    assert from_keras(uneven).told.training == {}
    assert from_keras(uneven).told.unread == ("penalties that differ between layers",)
    every = alone(
        layers.Conv2D(2, 3, kernel_regularizer=penalty), layers.Flatten(), layers.Dense(2, kernel_regularizer=penalty)
    )
    assert from_keras(every).told.training == {"l2": 0.001, "l2_layers": "all"}
    biased = alone(layers.Conv2D(2, 3, bias_regularizer="l1"), layers.Flatten())
    falling = keras.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9)
    biased.compile(optimizer=keras.optimizers.Adam(falling, clipnorm=1.0))
    told = from_keras(biased).told
    assert told.training == {"optimizer": "adam", "learning_rate": 0.01}
    assert told.unread == (
        "clipped gradients", "a schedule of the learning rate", "penalties on other weights than kernels",
    )  # fmt: skip


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def scaled_inputs(model_of):
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, layers.Flatten()(model_of(inputs)))


def relu(x):
    return x * 0.5


class Add(layers.Layer):
    """Somebody's own, under a name of Keras."""

    def call(self, inputs):
        return 2 * inputs


REFUSED = {
    "no graph": (lambda: Subclassed(), "is no Sequential with keras.Input"),
    "unknown layer": (lambda: alone(layers.Conv2DTranspose(2, 3)), "is a Conv2DTranspose, which is not known here"),
    "oblong images": (
        lambda: keras.Sequential([keras.Input((8, 9, 3)), layers.Flatten()]),
        "it must take square images",
    ),
    "unknown activation": (lambda: alone(layers.Conv2D(2, 3, activation="mish")), "has the activation 'mish'"),
    "own activation": (lambda: alone(layers.Conv2D(2, 3, activation=relu)), "has the activation 'relu', which is not"),
    "two outputs": (
        lambda: keras.Model(i := keras.Input((8, 8, 3)), [layers.Flatten()(i), layers.Flatten()(i)]),
        "several inputs or outputs",
    ),
    "another axis": (lambda: alone(layers.BatchNormalization(axis=1)), "normalizes axis 1"),
    "softmax of rows": (lambda: alone(layers.Softmax(axis=1)), "has axis 1"),
    "product": (lambda: scaled_inputs(lambda x: x * 0.1), "computes Multiply .* outside of Keras' own layers"),
    "sum": (lambda: scaled_inputs(lambda x: x + 1.0), "computes Add .* outside of Keras' own layers"),
    "operation": (lambda: scaled_inputs(lambda x: keras.ops.relu(x)), "computes Relu .* outside of Keras' own layers"),
    "own layer": (lambda: alone(Add(), layers.Flatten()), "computes Add .* outside of Keras' own layers"),
    "flips in the middle": (
        lambda: alone(layers.Conv2D(2, 3), layers.RandomFlip(), layers.Flatten()),
        "changes images in the middle of the network",
    ),
    "another size in the middle": (
        lambda: alone(layers.Conv2D(2, 3), layers.Resizing(8, 8), layers.Flatten()),
        "changes images in the middle of the network",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_in_one_sentence(case):
    make, words = REFUSED[case]
    with pytest.raises(RecipeError, match=words) as caught:
        from_keras(make())
    assert "\n" not in str(caught.value)


SCALES = {
    "of pixels up to 255": (lambda: layers.Rescaling(1 / 255), 255.0),
    "to -1 and 1": (lambda: layers.Rescaling(1 / 127.5, offset=-1), 255.0),
    "of pixels up to 1": (lambda: layers.Rescaling(2.0, offset=-1), 1.0),
    "of ImageNet, up to 1": (lambda: layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05] * 3), 1.0),
    "of ImageNet, up to 255": (lambda: layers.Normalization(mean=[124.0, 116.0, 104.0], variance=[3e3] * 3), 255.0),
}


@pytest.mark.parametrize("name", SCALES)
def test_which_pixels_a_first_layer_is_made_for(name):
    make, white = SCALES[name]
    theirs, ours = both(keras.Sequential([keras.Input((SIDE, SIDE, 3)), make()]), images(), white)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_scale_in_the_middle_is_of_no_pixels():
    theirs, ours = both(alone(layers.Conv2D(2, 3), layers.Rescaling(1 / 255), layers.Flatten()), images())
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_is_not_trainable_there_is_not_here():
    base = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
    base.trainable = False
    inputs = keras.Input((SIDE, SIDE, 3))
    outputs = layers.Dense(2)(layers.Flatten()(layers.BatchNormalization()(base(inputs, training=False))))
    network = from_keras(keras.Model(inputs, outputs)).train()
    frozen, norm = network.layers[0], network.layers[1]
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    before = {name: buffer.clone() for name, buffer in frozen.named_buffers()}
    first = norm.running_mean.clone()
    network(torch.rand(8, 3, SIDE, SIDE)).sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in frozen.named_buffers())
    assert not torch.equal(norm.running_mean, first)
    assert norm.weight.grad is not None


NET = """
import keras
from keras import layers

def make(num_classes):
    model = keras.Sequential([
        keras.Input((20, 20, 3)),
        layers.RandomFlip("horizontal"),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(num_classes, activation="softmax"),
    ])
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
    return model
"""


def test_a_file_with_a_keras_model_is_looked_into_like_any_other(net):
    own, side, told, is_fixed, outside = look_into(net, classes=3, channels=3, side=64)
    assert not is_fixed
    assert outside == ()
    assert (side, own.side, own.outputs, own.channels) == (20, 20, "probabilities", 0)
    assert own.changes == ("dropout", "activation", "normalization")
    assert told.augmentation == {"horizontal_flip": 0.5}
    assert told.training == {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": False}


def test_first_weights_follow_torchs_generator_and_leave_others_alone(net):
    code = code_of(net)

    def made(seed):
        torch.manual_seed(seed)
        return make_network(code, 3).state_dict()

    one, same, other = made(1), made(1), made(2)
    assert list(one) == list(same) == list(other), "Keras counts its layers on; ours have the same names each time"
    assert all(torch.equal(one[name], same[name]) for name in one)
    kernels = [name for name in one if one[name].ndim == 4]
    assert kernels
    assert not any(torch.equal(one[name], other[name]) for name in kernels)


def test_other_modules_are_none_of_keras():
    assert not is_keras(torch.nn.Linear(2, 2))
    assert is_keras(alone(layers.Flatten()))


@pytest.mark.parametrize("name", ["net.weights.h5", "net.keras"])
def test_weights_that_keras_saved_are_put_into_the_model(tmp_path, name):
    def make():
        return alone(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3))

    trained = make()
    trained.set_weights([np.random.default_rng(0).uniform(0.5, 1, each.shape) for each in trained.get_weights()])
    (trained.save if name.endswith(".keras") else trained.save_weights)(tmp_path / name)
    images = torch.rand(2, 3, SIDE, SIDE)
    found, expected = (from_keras(model).eval()(images) for model in (with_weights(make(), tmp_path / name), trained))
    torch.testing.assert_close(found, expected)
    with pytest.raises(WeightsError, match=r"do not fit the Keras model"):
        with_weights(alone(layers.Conv2D(5, 3), layers.Flatten()), tmp_path / name)


def test_a_file_that_keras_saved_is_a_network(tmp_path, monkeypatch):
    """With new weights of the seed; beside a model its description alone is kept, and is the same network."""
    monkeypatch.setenv(ALLOWED, "")
    model = alone(
        layers.Rescaling(1 / 255), layers.RandomFlip(), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)
    )
    model.compile(keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy")
    model.save(tmp_path / "net.keras")
    code = code_of(f"{tmp_path}/net.keras")
    allow(code)
    found = look_into(code.text, classes=3, channels=3, side=SIDE)
    assert (found.side, found.own.digest, found.told.training["learning_rate"]) == (SIDE, code.digest, 0.2)
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([each.flatten() for each in make_network(code, 3).parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    kept = tmp_path / "model"
    for name, content in code.files.items():
        kept.mkdir()
        (kept / name).write_bytes(content)
    assert code_of(f"{kept}/network.json").digest == code.digest


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "no entries"]
)
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "net.keras").write_bytes(content)
    with pytest.raises(RecipeError, match=r"is no model that Keras 3 saved .*; save it with model\.save"):
        code_of(f"{tmp_path}/net.keras")
    with pytest.raises(RecipeError, match="there is no such file"):
        code_of(f"{tmp_path}/gone.keras")


def test_a_saved_model_runs_no_code_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(ALLOWED, "")
    alone(layers.Lambda(lambda x: x + 1), layers.Flatten(), layers.Dense(3)).save(tmp_path / "net.keras")
    code = code_of(f"{tmp_path}/net.keras")
    allow(code)
    with pytest.raises(RecipeError, match="cannot be made"):
        make_network(code, 3)
