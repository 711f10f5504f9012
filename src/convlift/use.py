"""What people call once they have a model: `load`, `evaluate`, `export`, `serve`. To load one needs no torch."""

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlift.console.extras import REMEDY, is_installed, require_training
from convlift.console.known_options import check_options
from convlift.errors import ConvliftError

if TYPE_CHECKING:
    from convlift.deploy.classifier import Classifier
    from convlift.records.evaluation import Evaluation
    from convlift.records.exported import Exported, Format, Precision


EVALUATION_OPTIONS = frozenset(
    {
        "root",
        "group_from",
        "plan",
        "layout",
        "follow_links",
        "device",
        "metric",
        "positive",
        "columns",
        "images",
        "shift",
        "adapt_batch_norm",
    }
)


def load(path: str | Path, device: str = "auto", *, trust_code: bool = False) -> "Classifier":
    """The model in a run folder or model folder, on the device that it predicts with: auto, cpu, cuda, cuda:N or mps.

    Where torch is not installed, its exported file predicts, on the CPU; so does an exported file that is named itself.
    trust_code: let the Python code run that makes its network, where that is somebody's own and never ran here.
    Raises ConvliftError where it is missing or damaged, its code may not run, or torch does not see such a device.
    """
    if not is_installed("torch") or Path(path).suffix == ".onnx":
        from convlift.deploy.onnx_classifier import load_onnx

        return load_onnx(Path(path), device)
    from convlift.deploy.own_code import allow_code
    from convlift.deploy.predict import load as load_model
    from convlift.train.device import choose_devices

    if trust_code:
        allow_code(Path(path))
    return load_model(path, choose_devices(device)[0])


def export(
    path: str | Path,
    out: str | Path | None = None,
    images: str | Path | Sequence[str | Path] = (),
    *,
    format: "Format" = "onnx",
    precision: "Precision" = "float32",
    trust_code: bool = False,
) -> "Exported":
    """Write the model in a run folder or model folder as one ONNX file, the preprocessing inside: uint8 images of any
    size in, probabilities out. It is checked against convlift's own predictions, and left out where they differ.

    out: the file, by default model.onnx beside the weights. images: files or folders to compare on, up to 64 of them;
    made-up images where none are named. format: torch-export for a program of torch.export, of squares.
    precision: float16, or int8, which is calibrated on some of the images and must not lose a point of accuracy on
    the others. trust_code: as for `load`.
    Raises ConvliftError where a package is missing (pip install 'convlift[export]') or the two do not agree,
    UnreadableImage, DiskError.
    """
    require_training("an export")
    from convlift.deploy.own_code import allow_code
    from convlift.interchange.export import export_onnx, export_program
    from convlift.report.export_lines import tell_in_card

    if trust_code:
        allow_code(Path(path))
    named = [images] if isinstance(images, str | Path) else images
    if format == "torch-export":
        if precision != "float32" or named:
            raise ConvliftError("a program of torch.export is float32 and compared on made-up images; leave both out.")
        done = export_program(path, out)
    else:
        done = export_onnx(path, out, [str(each) for each in named], precision)
    tell_in_card(done)
    return done


def evaluate(
    path: str | Path,
    data: object,
    *,
    part: str | None = None,
    against: str | Path | None = None,
    trust_code: bool = False,
    quiet: bool = False,
    **options: Any,
) -> "Evaluation":
    """What a trained network makes of labelled images: every score with its interval, classes, calibration, errors.

    path: run folder or model folder; data: as for `improve`, with the classes under the names of training, of as few
    images as there are. part: test, validation, train or all; by default the test part where there is one. against:
    another model, compared on the same images by `metric` (accuracy). trust_code: as for `load`. options: root,
    group_from, plan, layout, follow_links, columns, images, device, as for `improve`; positive, the class whose
    thresholds are reported (of two classes the second); shift: corruptions, with commas between them, or all, for the
    accuracy under each; adapt_batch_norm: a number, as which training's statistics count beside those of these images
    (docs/robustness.md).
    Raises ConvliftError, DataError.
    """
    require_training("an evaluation")
    from convlift.console.progress import Progress
    from convlift.data.readers.array_pixels import known_of
    from convlift.data.readers.recognize import open_images
    from convlift.data.stretch import Stretch
    from convlift.deploy.evaluate_all import evaluate_all
    from convlift.deploy.evaluate_model import PARTS, Named, choose_images
    from convlift.deploy.evaluate_ranking import check_positive, of_class
    from convlift.deploy.evaluate_shift import Shift
    from convlift.evidence.metrics import metric_named
    from convlift.robustness.names import named_corruptions

    check_options(options, EVALUATION_OPTIONS)
    asked = dict(options)
    shift, pseudo_images = asked.pop("shift", None), asked.pop("adapt_batch_norm", None)
    check_pseudo_images(pseudo_images)
    asked_shift = Shift(named_corruptions(shift) if shift is not None else (), pseudo_images)
    group_from, device, metric = asked.pop("group_from", None), asked.pop("device", "auto"), asked.pop("metric", None)
    positive, plan = asked.pop("positive", None), asked.pop("plan", None)
    if part not in (None, *PARTS):
        raise ConvliftError(f"part {part!r} is not known; it is {', '.join(PARTS[:-1])} or {PARTS[-1]}.")
    if metric is not None and against is None:
        raise ConvliftError("metric says what two models are compared by, and all are reported of one; leave it out.")
    judged_by = metric_named(metric or "accuracy")
    asked |= {name: Path(asked[name]) for name in ("root", "images") if asked.get(name) is not None}
    with Progress(quiet=quiet) as progress:
        both = [each for each in (path, against) if each is not None]
        named = [Named(str(each), load(each, device, trust_code=trust_code)) for each in both]
        # arrays as the models scale them
        as_they_are = any(isinstance(each.model.config.value_range, Stretch) for each in named)
        known = known_of(named[0].model.config.value_range)
        source = open_images(data, **asked, as_they_are=as_they_are, known=known)
        images = choose_images(source, part, group_from, Path(plan) if plan else None)
        check_positive(named[0].name, named[0].model.classes, positive)
        return of_class(evaluate_all(named, images, judged_by, progress.show, asked_shift), positive)


def check_pseudo_images(number: int | None) -> None:
    """Raise ConvliftError where training's statistics would count as less than no image."""
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise ConvliftError(f"adapt_batch_norm {number!r} is no whole number from 0 on; give one, such as 16.")


def serve(
    path: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    tell: Callable[[str], None] = lambda line: None,
    *,
    device: str = "auto",
    trust_code: bool = False,
    **limits: float,
) -> None:
    """Answer over HTTP with the model in a run folder or model folder, until Ctrl-C or SIGTERM; what runs then ends.

    The exported file beside the weights answers where there is one and no GPU: it takes a third of torch's processor
    time, and needs no torch.

    port: 0 for any that is free. tell: is given the line that says where, once requests are answered, and a warning
    where other machines may come. trust_code: as for `load`. limits: megabytes, megapixels, images, seconds, waiting,
    decoders (`serve/limits.py` has their defaults, with the reasons).
    Raises ConvliftError where a package is missing (pip install 'convlift[serve]'), the address cannot be had, or a
    limit is none; and as `load`.
    """
    if missing := [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]:
        raise ConvliftError(f"serving needs {' and '.join(missing)}, not installed; pip install 'convlift[serve]'.")
    from convlift.report.serving_lines import model_document, started_lines
    from convlift.serve.limits import Limits
    from convlift.serve.server import listen, run

    kept = Limits(**limits)  # type: ignore[arg-type]
    bound, address = listen(host, port)
    with bound:
        model = _served(Path(path), device, trust_code)
        about = model_document(str(path), model.recipe, model.config)

        def ready() -> None:
            for line in started_lines(str(path), model.recipe, model.config, address):
                tell(line)

        run(model, kept, bound, about, ready)


def _served(path: Path, device: str, trust_code: bool) -> "Classifier":
    """The model as it answers fastest: by its exported file on a CPU, one thread a batch, as each core has a batch of
    its own; by torch where there is no such file, or it is of another model."""
    from convlift.deploy.onnx_classifier import DEVICES
    from convlift.train.device import may_have_gpu

    if path.suffix == ".onnx" or not is_installed("torch"):
        return _exported(path, device)
    if is_installed("onnxruntime") and (device == "cpu" or (device in DEVICES and not may_have_gpu())):
        with suppress(ConvliftError):
            return _exported(path, device)
    return load(path, device, trust_code=trust_code)


def _exported(path: Path, device: str) -> "Classifier":
    from convlift.deploy.onnx_classifier import load_onnx

    model = load_onnx(path, device, threads=1)
    if not model.takes_squares:
        raise ConvliftError(
            f"the exported file of {path} resizes images of {model.config.resolution} pixels itself, which a server "
            f"leaves to its decoders; serve the run folder with torch: {REMEDY}."
        )
    return model
