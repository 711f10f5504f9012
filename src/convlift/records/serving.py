"""Where a server listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """host: as the user named it. is_local: whether only programs of this machine reach it."""

    host: str
    port: int
    is_local: bool

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
