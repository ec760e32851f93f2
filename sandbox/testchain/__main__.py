"""``python -m sandbox.testchain --config FILE``: serve the chain until SIGTERM.

``--ephemeral`` instead needs nothing: a free port, a temporary folder, gone at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

from c2d_box.errors import EnvironmentProblem
from c2d_box.files import replace_file
from c2d_box.service.json_logging import configure_logging
from c2d_box.service.main import exit_status, load_settings
from sandbox.testchain.settings import ChainNodeListen, ChainNodeSettings


def main(arguments: list[str] | None = None) -> int:
    """Serve the chain that the arguments describe, until a signal; return the exit status.

    Coded errors of the start become text on stderr and an exit status (:func:`exit_status`).
    """
    parser = argparse.ArgumentParser(prog="python -m sandbox.testchain", description="Serve the test chain.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, help="JSON settings, see sandbox/testchain/settings.py")
    source.add_argument("--ephemeral", action="store_true", help="a free port and a temporary folder")
    parser.add_argument("--ready-file", type=Path, help='gets {"url", "pid"} once the port is open')
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when whoever started this ends"
    )
    options = parser.parse_args(arguments)
    # Started first: a parent that dies during the deployment must end this process too.
    if options.until_stdin_closes:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    configure_logging()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # eth_hash picks its backend by this variable, at its first use.
    os.environ.setdefault("ETH_HASH_BACKEND", "pysha3" if find_spec("sha3") else "pycryptodome")

    def work() -> None:
        if options.config:
            serve_chain(load_settings(ChainNodeSettings, options.config), options.ready_file)
            return
        with tempfile.TemporaryDirectory(prefix="c2d-chain-") as folder:
            serve_chain(
                ChainNodeSettings(listen=ChainNodeListen(port=0), data_dir=Path(folder)), options.ready_file
            )

    return exit_status(work)


def serve_chain(settings: ChainNodeSettings, ready_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    ``ready_file`` gets URL and process id once the port is open; contracts may still be missing then,
    which ``/readyz`` tells.
    """
    # Bound before the slow imports: a taken port is reported at once, and callers queue instead of failing.
    listener = _open_listener(settings.listen)
    import uvicorn

    from c2d_box.service.http_server import server_config
    from sandbox.testchain.node import open_node
    from sandbox.testchain.server import NodeServer

    threading.stack_size(64 * 1024 * 1024)  # room for 1,024 nested EVM calls; touched only when they happen
    node = open_node(settings)
    server = NodeServer(node)

    # Made in here because uvicorn is imported in here.
    class Stopping(uvicorn.Server):
        """A server whose long polls end with the signal; uvicorn alone would wait for each."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            server.let_go()
            await super().shutdown(sockets)

    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # Replaced in one step, so a reader never sees half of the JSON.
    if ready_file is not None:
        replace_file(ready_file, json.dumps({"url": url, "pid": os.getpid()}))
    logging.getLogger("c2d.testchain").info("serving chain %d at %s", settings.chain_id, url)
    # One second for open requests: polls were let go, and an EVM run may take minutes.
    config = server_config(server.build_app(), stop_seconds=1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises what it caught again, when it is done
    try:
        Stopping(config).run(sockets=[listener])
    finally:
        if server.busy:
            os._exit(0)  # a call that computes for minutes: nothing it does is committed, nothing is lost
        node.store.close()


def _stop_with_stdin() -> None:
    """Send this process SIGTERM once stdin closes, which the kernel does when the parent dies, however it
    died."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _open_listener(listen: ChainNodeListen) -> socket.socket:
    """Return a listening socket for the address; EnvironmentProblem C2D-PORT-TAKEN where it is in use."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A restart must not wait for the old connections' TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((listen.host, listen.port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(
            "C2D-PORT-TAKEN",
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror}",
            "Stop what uses that port, or configure another one.",
        ) from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
