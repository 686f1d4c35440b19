"""The double's one port: TLS in front, KMS of our own, S3 and STS of moto, everything else refused."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from dkg_node.sealing.files import write_atomic
from dkg_node_software.double.faults import Fault
from dkg_node_software.double.keys import KeyRing
from dkg_node_software.double.kms import Kms, jsonable, milliseconds
from dkg_node_software.double.principals import Principals, Signed, signed_by
from dkg_node_software.double.requests import Caller, read_body
from dkg_node_software.double.s3 import Environ, MotoServices, StartResponse, denied_answer, may_use, take_body
from dkg_node_software.double.tls import make_certificates, server_context

ENDPOINT_FILE: Final = "endpoint"
AUDIT_FILE: Final = "audit.jsonl"
TARGET: Final = "TrentService."
JSON: Final = "application/x-amz-json-1.1"


@dataclass(slots=True)
class Double:
    """The WSGI application over one state directory."""

    directory: Path
    clock: Callable[[], int] = milliseconds
    _kms: Kms = field(init=False)
    _moto: MotoServices = field(init=False)
    _principals: Principals = field(init=False)
    _audit_lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Read the state."""
        self._kms = Kms(KeyRing(self.directory), self.clock)
        self._moto = MotoServices(self.directory)
        self._principals = Principals(self.directory)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        take_body(environ)
        signed = signed_by(environ.get("HTTP_AUTHORIZATION", ""))
        if signed is not None and signed.service in {"s3", "sts"}:
            entry = self._principals.entry(signed.access_key)
            if entry is None or (signed.service == "s3" and not may_use(entry, environ)):
                return denied_answer(start_response)
            return self._moto(environ, start_response)
        return self._answer_kms(signed, environ, start_response)

    def _answer_kms(self, signed: Signed | None, environ: Environ, start_response: StartResponse) -> list[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix(TARGET)
        audit: dict[str, Any] = {"eventName": operation if operation.isalpha() else "?"}
        try:
            caller = None if signed is None or signed.service != "kms" else self._principals.caller(signed)
            answer, status = jsonable(self._ask(operation, environ, caller, audit)), "200 OK"
        except Fault as fault:
            audit |= {"errorCode": fault.code, "errorMessage": fault.message}
            answer, status = {"__type": fault.code, "message": fault.message}, f"{fault.status} Refused"
        self._write_audit(audit)
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", JSON), ("Content-Length", str(len(body)))])
        return [body]

    def _ask(self, operation: str, environ: Environ, caller: Caller | None, audit: dict[str, Any]) -> dict[str, Any]:
        if caller is None:
            raise Fault("UnrecognizedClientException", "nobody here holds this access key")
        audit |= {"userIdentity": {"arn": caller.principal.arn}, "awsRegion": caller.region}
        return self._kms.handle(operation, read_body(environ["wsgi.input"].read()), caller, audit)

    def _write_audit(self, audit: dict[str, Any]) -> None:
        """As CloudTrail: who, what, with which document, and how it ended. Never a plaintext or a ciphertext."""
        when = datetime.fromtimestamp(self.clock() / 1000, UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"eventTime": when, "eventID": str(uuid.uuid4()), **audit}, sort_keys=True)
        with self._audit_lock, (self.directory / AUDIT_FILE).open("a") as file:
            file.write(line + "\n")


class _Quiet(MotoRequestHandler):
    """No access log on stderr: the audit log is the record."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""


@dataclass(slots=True)
class Serving:
    """A double that listens."""

    server: BaseWSGIServer
    url: str

    def run(self) -> None:
        """Until ``stop``."""
        self.server.serve_forever()

    def stop(self) -> None:
        """End ``run`` and close the port."""
        self.server.shutdown()
        self.server.server_close()


def serve(directory: Path, host: str, port: int, clock: Callable[[], int] = milliseconds) -> Serving:
    """Listen on (host, port), 0 for any, over the state in ``directory``; its file ``endpoint`` then has the URL.

    OSError when the port is taken or the directory can't be written.
    """
    make_certificates(directory, host)
    application, context = Double(directory, clock), server_context(directory)
    with socket.create_server((host, port)) as listening:  # werkzeug ends the process when it can't listen
        server = make_server(
            host,
            port,
            application,
            threaded=True,
            request_handler=_Quiet,
            ssl_context=context,
            fd=listening.fileno(),
        )
    url = f"https://{host}:{server.port}"
    write_atomic(directory / ENDPOINT_FILE, url.encode() + b"\n")
    return Serving(server, url)
