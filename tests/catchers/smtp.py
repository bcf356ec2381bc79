#!/usr/bin/python3
"""An SMTP server that writes every mail it takes to a folder, as NNNN-<recipient>.eml.

    smtp.py --folder mail/ [--port 0] [--defer N | --refuse | --hang] [--max-size BYTES]

Prints its port. Ends on SIGTERM and when its parent dies. Needs python3-aiosmtpd.
"""

import argparse
import asyncio
import os
import re
import signal
import sys

from aiosmtpd.smtp import SMTP

sys.dont_write_bytecode = True  # leaves the source folder as it is
import common  # noqa: E402


class Catcher:
    """Keeps what comes, or answers as the options say."""

    def __init__(self, options):
        self.options = options
        self.seen = 0
        self.kept = 0

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
    server = await loop.create_server(
        lambda: SMTP(catcher, hostname="catcher.test", enable_SMTPUTF8=True, data_size_limit=options.max_size),
        options.host,
        options.port,
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
    parser.add_argument("--max-size", type=int, default=33554432, help="552 to mails over it")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    common.end_with_parent()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
