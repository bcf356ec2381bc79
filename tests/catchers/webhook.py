#!/usr/bin/python3
"""An HTTP server that writes every request it gets to a file, one JSON object a line.

    webhook.py --file requests.jsonl [--port 0] [--status 204] [--secret whsec_… | --secret-file FILE]

A path such as /410, /500 or /302 is answered with that status, /hang never, /endless
with a 500 that doesn't end, and /429?retry-after=120 with that header. With a secret, which a file
may hold that comes later, every signature is checked, as Standard Webhooks 1.0 requires, by Python's
own hmac: "verified" is true or false, and what fails gets a 401.
Prints its port. Ends on SIGTERM and when its parent dies.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

sys.dont_write_bytecode = True  # leaves the source folder as it is
import common  # noqa: E402

TOLERANCE = 5 * 60  # seconds that a timestamp may be off


def verify(secret, headers, body):
    """Whether a request is signed with `secret`, now."""
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one, f"v1,{expected}") for one in given)


class Handler(BaseHTTPRequestHandler):
    """Keeps a request, then answers it."""

    protocol_version = "HTTP/1.1"
    options = None
    lock = threading.Lock()

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            # The sender was killed before its request: there is none, and nobody waits for an answer.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        secret = self.secret()
        verified = verify(secret, headers, body) if secret else None
        status, extra = self.answer(verified)
        self.keep(headers, body, verified, status)
        if urlsplit(self.path).path == "/hang":
            threading.Event().wait()
        if urlsplit(self.path).path == "/endless":
            self.answer_without_end()
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        text = b"" if status == 204 else f"answer {status}\n".encode()
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def secret(self):
        if not self.options.secret_file:
            return self.options.secret
        with open(self.options.secret_file, encoding="ascii") as file:
            return file.read().strip()

    def answer_without_end(self):
        """Until the other side has had enough."""
        self.send_response(500)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def answer(self, verified):
        if verified is False:
            return 401, {}
        url = urlsplit(self.path)
        first = url.path.strip("/").split("/")[0]
        status = int(first) if first.isdigit() and 200 <= int(first) <= 599 else self.options.status
        extra = {name: values[0] for name, values in parse_qs(url.query).items() if name == "retry-after"}
        if 300 <= status <= 399:
            extra["location"] = "/moved"
        return status, extra

    def keep(self, headers, body, verified, status):
        line = {
            "method": self.command,
            "path": self.path,
            "headers": headers,
            "body": body.decode("utf-8", "replace"),
            "verified": verified,
            "status": status,
        }
        with self.lock, open(self.options.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        common.log(f"webhook: {self.path} {headers.get('webhook-id')} {status} verified={verified}")

    def log_message(self, *_):
        """The answer is in keep()."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--file", required=True, help="where the requests go")
    parser.add_argument("--status", type=int, default=204, help="the answer to any other path")
    parser.add_argument("--secret", help="whsec_…: check signatures")
    parser.add_argument("--secret-file", help="the same, in a file, read when a request comes")
    Handler.options = parser.parse_args()
    open(Handler.options.file, "a", encoding="utf-8").close()
    common.end_with_parent()
    server = ThreadingHTTPServer((Handler.options.host, Handler.options.port), Handler)
    server.daemon_threads = True
    common.announce(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
