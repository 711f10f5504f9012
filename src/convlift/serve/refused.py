"""A request that gets no prediction: HTTP status, sentence, and what the client is told to do."""

AGAIN_SECONDS = 1  # after which a client that was turned away may come again: a full queue is worked off by then


class Refused(Exception):
    """status: HTTP's (RFC 9110). Its text is the sentence. hang_up: whether what the client still sends is not read."""

    def __init__(self, status: int, sentence: str, *, hang_up: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.hang_up = hang_up

    @property
    def headers(self) -> dict[str, str]:
        """Of the response: Retry-After where the server was at fault, Connection: close where it hangs up."""
        again = {"retry-after": str(AGAIN_SECONDS)} if self.status == 503 else {}
        return {**again, **({"connection": "close"} if self.hang_up else {})}
