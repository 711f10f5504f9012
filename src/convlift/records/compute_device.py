"""Where networks run: what a user's word for it leads to, handed on to the process that trains."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One processor.

    kind: as torch calls it: cpu, cuda or mps.
    index: which one of several, from 0.
    name: what its maker calls it.
    """

    kind: str = "cpu"
    index: int = 0
    name: str = "CPU"

    @property
    def is_cpu(self) -> bool:
        return self.kind == "cpu"

    @property
    def place(self) -> str:
        """As torch.device takes it."""
        return f"{self.kind}:{self.index}" if self.kind == "cuda" else self.kind

    @property
    def model(self) -> str:
        """What decides the numbers that it computes: equal for two GPUs of one make; "" for the CPU."""
        return "" if self.is_cpu else f"{self.kind} {self.name}"


CPU = Device()


def names_of(devices: tuple[Device, ...]) -> str:
    """Devices in a few words, such as "2 x NVIDIA L4"; all are of one make."""
    return devices[0].name if len(devices) == 1 else f"{len(devices)} x {devices[0].name}"
