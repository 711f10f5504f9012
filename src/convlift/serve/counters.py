"""What a server counts, as Prometheus reads it (text exposition format 0.0.4)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # the buckets that Prometheus' clients have


class Counters:
    """Requests by path and status with a histogram of their seconds, images by outcome, batches; not for two threads
    at a time, but for `add_batch`."""

    def __init__(self) -> None:
        self.waiting = 0
        self._requests: Counter[tuple[str, int]] = Counter()
        self._images: Counter[str] = Counter(classified=0, unreadable=0)
        self._seconds: dict[str, Histogram] = {}
        self._batches = 0

    def add_request(self, path: str, status: int, seconds: float) -> None:
        self._requests[path, status] += 1
        self._seconds.setdefault(path, Histogram()).add(seconds)

    def add_images(self, classified: int, unreadable: int) -> None:
        self._images["classified"] += classified
        self._images["unreadable"] += unreadable

    def add_batch(self, _images: int) -> None:
        self._batches += 1

    def text(self, lost_decoders: int) -> str:
        """The page that Prometheus reads."""
        return "\n".join(self._lines(lost_decoders)) + "\n"

    def _lines(self, lost_decoders: int) -> Iterator[str]:
        yield from _head("convlift_requests_total", "counter", "Requests by path and status")
        for (path, status), number in sorted(self._requests.items()):
            yield f'convlift_requests_total{{path="{path}",status="{status}"}} {number}'
        yield from _head("convlift_images_total", "counter", "Images by outcome")
        for outcome, number in sorted(self._images.items()):
            yield f'convlift_images_total{{outcome="{outcome}"}} {number}'
        yield from _head("convlift_batches_total", "counter", "Batches that the network classified")
        yield f"convlift_batches_total {self._batches}"
        yield from _head("convlift_decoders_lost_total", "counter", "Decoding processes that were replaced")
        yield f"convlift_decoders_lost_total {lost_decoders}"
        yield from _head("convlift_requests_waiting", "gauge", "Requests inside")
        yield f"convlift_requests_waiting {self.waiting}"
        yield from _head("convlift_request_seconds", "histogram", "Seconds from the first byte to the answer")
        for path, histogram in sorted(self._seconds.items()):
            yield from histogram.lines("convlift_request_seconds", f'path="{path}"')


class Histogram:
    """Seconds in the buckets of SECONDS."""

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, label: str) -> Iterator[str]:
        below = 0
        for edge, count in zip((*SECONDS, float("inf")), self._counts, strict=True):
            below += count
            written = "+Inf" if edge == float("inf") else f"{edge:g}"
            yield f'{name}_bucket{{{label},le="{written}"}} {below}'
        yield f"{name}_sum{{{label}}} {self._sum:.6f}"
        yield f"{name}_count{{{label}}} {below}"


def _head(name: str, kind: str, told: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"
