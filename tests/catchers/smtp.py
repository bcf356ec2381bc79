#!/usr/bin/python3
"""An SMTP server that writes every mail it takes to a folder, as NNNN-<recipient>.eml.

    smtp.py --folder mail/ [--port 0] [--defer N | --refuse | --hang | --drop] [--max-size BYTES]
            [--certificate FILE --key FILE [--starttls]] [--login USER:PASSWORD [--mechanism LOGIN]]

With a certificate it speaks TLS from the first byte, or with --starttls from then on, and takes no
mail before it. With --login it takes mail from that user alone.

Prints its port. Ends on SIGTERM and when its parent dies. Needs python3-aiosmtpd.
"""

import argparse
import asyncio
import os
import re
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

sys.dont_write_bytecode = True  # leaves the source folder as it is
import common  # noqa: E402


class Server(SMTP):
    """Hangs up after the first line of a mail, if it is to."""

    drop = False

    async def smtp_DATA(self, arg):
        if not self.drop:
            return await super().smtp_DATA(arg)
        await self.push("354 go on")
        await self._reader.readline()
        self.transport.abort()


class Catcher:
    """Stores mails, or answers by the options."""

    def __init__(self, options):
        self.options = options
        self.seen = 0
        self.kept = 0

    def log_in(self, given):
        login = given.login.decode() + ":" + given.password.decode()
        return AuthResult(success=login == self.options.login, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.options.refuse:
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.seen += 1
        if self.options.hang:
            await asyncio.Event().wait()
        if self.seen <= self.options.defer:
            return "451 4.7.1 greylisted, come back later"
        for recipient in envelope.rcpt_tos:
            self.kept += 1
            safe = re.sub(r"[^A-Za-z0-9@._+-]", "_", recipient)
            name = f"{self.kept:04}-{safe}.eml"
            common.write_whole(os.path.join(self.options.folder, name), envelope.original_content)
            common.log(f"smtp: {name}")
        return f"250 OK kept as {self.kept}"


async def serve(options):
    catcher = Catcher(options)
    loop = asyncio.get_running_loop()
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate, options.key)
    Server.drop = options.drop
    server = await loop.create_server(
        lambda: Server(
            catcher,
            hostname="catcher.test",
            enable_SMTPUTF8=True,
            data_size_limit=options.max_size,
            tls_context=tls if options.starttls else None,
            require_starttls=options.starttls,
            authenticator=lambda *given: catcher.log_in(given[-1]),
            auth_required=bool(options.login),
            auth_require_tls=options.starttls,
            auth_exclude_mechanism=[m for m in ("PLAIN", "LOGIN") if options.mechanism not in (None, m)],
        ),
        options.host,
        options.port,
        ssl=None if options.starttls else tls,
    )
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    common.announce(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--folder", required=True, help="where the mails go")
    parser.add_argument("--defer", type=int, default=0, metavar="N", help="451 to the first N mails")
    parser.add_argument("--refuse", action="store_true", help="550 to every recipient")
    parser.add_argument("--hang", action="store_true", help="never answer the end of a mail")
    parser.add_argument("--drop", action="store_true", help="hang up in the middle of a mail")
    parser.add_argument("--certificate", help="PEM: speak TLS")
    parser.add_argument("--key", help="PEM: of the certificate")
    parser.add_argument("--starttls", action="store_true", help="TLS by STARTTLS, and no mail without")
    parser.add_argument("--login", metavar="USER:PASSWORD", help="who may send")
    parser.add_argument("--mechanism", help="PLAIN or LOGIN: the only one offered")
    parser.add_argument("--max-size", type=int, default=33554432, help="552 to mails over it")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    common.end_with_parent()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
