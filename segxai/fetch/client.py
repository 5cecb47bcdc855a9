"""Requests to servers that break off, are busy, or have moved."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests

from segxai.job.log import SHOWN, InputError

log = logging.getLogger("segxai")

CHUNK = 2**16  # bytes, the most that a lost connection costs again
MAX_TEXT = 2**24  # bytes of a server's listing or description
Result = TypeVar("Result")


class OtherFile(Exception):
    """The server answers with something else than the file that was asked for."""


@dataclass(frozen=True)
class Client:
    """How patiently a server is asked.

    Attributes
    ----------
    attempts : int
        Failures in a row without a new byte before it gives up.
    timeout : float
        Longest silence of the server, in seconds.
    pause : float
        Seconds before the second attempt; doubled before each further one.
    """

    attempts: int = 5
    timeout: float = 60.0
    pause: float = 1.0

    def open(self, url: str, headers: dict | None = None, **query) -> requests.Response:
        """Send one request; the body is read by whoever closes the response."""
        # Some servers refuse what is no browser; compressed transfer would shift the range.
        always = {"User-Agent": "Mozilla/5.0 (segxai)", "Accept-Encoding": "identity"}
        return requests.get(
            url, headers=always | (headers or {}), params=query, stream=True, timeout=self.timeout
        )

    def retry(self, action: Callable[[], Result], arrived: Callable[[], int] = lambda: 0) -> Result:
        """Repeat `action` while its failures are temporary; new bytes restore all patience."""
        failures = 0
        while True:
            before = arrived()
            try:
                return action()
            except requests.RequestException as error:
                failures = 1 if arrived() > before else failures + 1
                if not is_temporary(error) or failures >= self.attempts:
                    raise
                log.info("connection lost (%s); trying again", reason_of(error), extra=SHOWN)
                time.sleep(self.pause * 2 ** (failures - 1))

    def read_text(self, url: str, **query) -> str:
        """Read a short text in UTF-8, such as a listing.

        Raises
        ------
        InputError
            If the server does not give it, or gives something else.
        """

        def ask() -> bytes:
            content = b""
            with self.open(url, **query) as response:
                require_success(response)
                for chunk in response.iter_content(CHUNK):
                    content += chunk
                    if len(content) > MAX_TEXT:
                        raise OtherFile(f"more than {MAX_TEXT:,} bytes")
            return content

        try:
            return self.retry(ask).decode("utf-8")
        except requests.RequestException as error:
            raise InputError(
                f"{url}: does not answer ({reason_of(error)}); run the same command again, which "
                "keeps what is here, or correct `source` of the data set if the server has moved."
            ) from error
        except (OtherFile, UnicodeDecodeError) as other:
            raise InputError(
                f"{url}: answers with something else than a text ({other}); correct `source` of "
                "the data set if the server has moved."
            ) from other


def require_success(response: requests.Response) -> None:
    """Raise for any status but 200 and 206, also for a redirect that leads nowhere."""
    if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
        raise requests.HTTPError(f"HTTP status {response.status_code}", response=response)


def is_temporary(error: requests.RequestException) -> bool:
    """Whether asking again may help: lost connections and busy servers, not wrong addresses."""
    if error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return not isinstance(error, (requests.exceptions.SSLError, ValueError))


def reason_of(error: requests.RequestException) -> str:
    """Say in a few words why a request failed."""
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    # requests wraps the error of urllib3, whose text begins with the object that raised it.
    cause = error.args[0] if error.args else type(error).__name__
    cause = getattr(cause, "reason", cause)
    text = cause.args[0] if getattr(cause, "args", ()) else cause
    return str(text).rpartition("): ")[2]
