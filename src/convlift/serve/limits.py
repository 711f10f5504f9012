"""What one request may take of a server; each default with its reason."""

from dataclasses import dataclass, fields

from convlift.data.decode import MAX_PIXELS
from convlift.errors import ConvliftError


@dataclass(frozen=True)
class Limits:
    """Caps of a server.

    megabytes: of a request's body, in 10^6 bytes. Telephones' photos have up to 12, and a body is held in memory.
    megapixels: of an image, in 10^6 pixels. The largest that telephones take by default, and full-frame cameras of 24
        megapixels, have 24.5; decoding takes 4 to 10 bytes a pixel. At most MAX_PIXELS.
    images: of one request. A folder of thumbnails; what is more costs nothing when it comes as several requests.
    seconds: that an upload may take, and its answer again. Proxies wait for 60 by default (nginx), load balancers as
        long (AWS): the client hears from this server, not from them.
    waiting: requests that are inside at a time; a further one is told to come again. With bodies of 20 MB each these
        hold 640 MB; of images that take 25 ms each, the last one waits for .8 s.
    decoders: processes that decode, one image at a time each; 0: one a core.
    """

    megabytes: float = 20.0
    megapixels: float = 25.0
    images: int = 32
    seconds: float = 30.0
    waiting: int = 32
    decoders: int = 0

    def __post_init__(self) -> None:
        """Raises ConvliftError where a cap is none that can be kept."""
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name == "decoders" else 1e-6
            if not least <= value < float("inf"):
                raise ConvliftError(f"{field.name} is {value}, and a limit is above 0; give another one.")
        if self.pixels > MAX_PIXELS:
            raise ConvliftError(
                f"megapixels is {self.megapixels:g}, and convlift decodes no image of more than "
                f"{MAX_PIXELS / 1e6:g}; give {MAX_PIXELS / 1e6:g} or less."
            )

    @property
    def body_bytes(self) -> int:
        """The most that a request's body may have."""
        return int(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """The most that an image may have."""
        return int(self.megapixels * 1e6)
