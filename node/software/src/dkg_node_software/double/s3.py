"""S3 and STS of the double: moto's, behind a door that asks who comes, with a journal that survives a restart.

moto keeps everything in memory. Every change is written down before it is answered and played back at the next start,
with the same seed for moto's random names, so that versions keep their ids. Meant for small objects.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends

from dkg_node_software.double.principals import Entry

FILE: Final = "s3.jsonl"
READS: Final = frozenset({"GET", "HEAD"})
MAX_BODY: Final = 512 << 20
SAVED: Final = (
    "REQUEST_METHOD", "PATH_INFO", "RAW_URI", "REQUEST_URI", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH",
    "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "wsgi.url_scheme",
)  # fmt: skip

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


@dataclass(slots=True)
class MotoServices:
    """S3 and STS of one double."""

    directory: Path
    _application: Any = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _next: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Play the journal back."""
        s3_backends.reset()  # moto's state belongs to the process: one double in each
        self._application = DomainDispatcherApplication(create_backend_app)
        for line in self._journal():
            entry = json.loads(line)
            body = base64.b64decode(entry["body"])
            self._run({**entry["environ"], **_plumbing()}, body, lambda *_: None)

    def _journal(self) -> list[str]:
        """Its lines, after cutting off one that was not finished when the double was killed: nobody got an answer."""
        path = self.directory / FILE
        text = path.read_text() if path.exists() else ""
        whole, _, torn = text.rpartition("\n")
        if torn:
            os.truncate(path, len(text.encode()) - len(torn.encode()))
        return whole.splitlines()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that was let in."""
        body = environ["wsgi.input"].read()
        with self._lock:
            if environ["REQUEST_METHOD"] not in READS and not _is_sts(environ):
                self._write_down(environ, body)
                return self._run(environ, body, start_response)
            return self._play(environ, body, start_response)

    def _run(self, environ: Environ, body: bytes, start_response: StartResponse) -> list[bytes]:
        """A change, with the seed of its place in the journal."""
        mock_random.seed(self._next)
        self._next += 1
        return self._play(environ, body, start_response)

    def _play(self, environ: Environ, body: bytes, start_response: StartResponse) -> list[bytes]:
        given = {**environ, "wsgi.input": BytesIO(body)}
        answer = self._application(given, start_response)
        try:
            return list(answer)
        finally:
            getattr(answer, "close", lambda: None)()

    def _write_down(self, environ: Environ, body: bytes) -> None:
        saved = {k: v for k, v in environ.items() if k in SAVED or (k.startswith("HTTP_") and isinstance(v, str))}
        line = json.dumps({"environ": saved, "body": base64.b64encode(body).decode()})
        with (self.directory / FILE).open("a") as file:
            file.write(line + "\n")


def take_body(environ: Environ) -> None:
    """Read the body, also of a request that will be refused: a client that can't send it would see no answer."""
    chunked = environ.pop("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    text = environ.get("CONTENT_LENGTH") or "0"
    size = MAX_BODY if chunked else int(text) if text.isdigit() else 0
    body: bytes = environ["wsgi.input"].read(min(size, MAX_BODY))
    environ.pop("wsgi.input_terminated", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = BytesIO(body)


def may_use(entry: Entry, environ: Environ) -> bool:
    """Whether IAM would let the holder do this with S3: its prefixes, or everything for those who make buckets.

    A request for an account that is not the holder's is refused: a bucket of that name may be somebody else's.
    """
    expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER", entry.account)
    if expected != entry.account:
        return False
    if entry.create or entry.administrator:
        return True
    bucket, _, key = environ.get("PATH_INFO", "").lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if not key:  # of the bucket itself, only its listing under an allowed prefix
        listing = environ["REQUEST_METHOD"] in READS and ("versions" in query or "list-type" in query)
        wanted = f"{bucket}/{query.get('prefix', [''])[0]}"
        return listing and any(wanted.startswith(prefix) for prefix in entry.prefixes)
    return any(f"{bucket}/{key}".startswith(prefix) for prefix in entry.prefixes)


def denied_answer(start_response: StartResponse) -> list[bytes]:
    """S3's refusal."""
    error = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + error
    start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _is_sts(environ: Mapping[str, Any]) -> bool:
    return "/sts/" in environ.get("HTTP_AUTHORIZATION", "")


def _plumbing() -> Environ:
    """What a request needs beside its own words."""
    return {
        "wsgi.version": (1, 0), "wsgi.errors": BytesIO(), "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False, "SCRIPT_NAME": "",
    }  # fmt: skip
