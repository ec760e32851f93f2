"""``python -m c2d_box.pods.canary listen PORT…`` or ``… dial TIMEOUT TARGET…`` (``ip:port``).

``listen`` prints ``listening``, then one line per contact: ``heard tcp|udp PORT PEER TEXT``. ``dial`` prints
one line of JSON, ``{"probes": [{target, kind, closed, seen}], "restrictions": {…}}``, and ends.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading

from c2d_box.pods.warden import probes, restrictions

FIRST_BYTES = 200
"""Bytes of a contact that are read: enough to tell apart who spoke."""


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["listen"] and len(arguments) > 1:
        listen_on_ports([int(port) for port in arguments[1:]])
    elif arguments[:1] == ["dial"] and len(arguments) > 2:
        dial_targets(float(arguments[1]), arguments[2:])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


def dial_targets(timeout: float, targets: list[str]) -> None:
    """Try everything a warden tries, and the targets given, over TCP and UDP."""
    # The warden's own list comes first, so that the selftest measures the very probes that a job relies on.
    tried = list(dict.fromkeys([*probes.targets(targets), *((target, "udp") for target in targets)]))
    seen = [
        {"target": probe.target, "kind": probe.kind, "closed": probe.closed, "seen": probe.seen}
        for probe in probes.run(tried, timeout)
    ]
    # One line, because the caller reads it from the pod's log, to which other lines may have been written.
    print(json.dumps({"probes": seen, "restrictions": restrictions.of_this_process()}), flush=True)


def listen_on_ports(ports: list[int]) -> None:
    """Print a line for every contact, for ever."""
    with selectors.DefaultSelector() as selector:
        for port in ports:
            # Both kinds, because a packet rule may close TCP and leave UDP, through which DNS tunnels work,
            # open.
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                selector.register(_bind_socket(port, kind), selectors.EVENT_READ)
        print("listening", flush=True)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                _hear_contact(key.fileobj)


def _bind_socket(port: int, kind: socket.SocketKind) -> socket.socket:
    """Bind to the port on IPv6 and IPv4 where the node has both."""
    try:
        bound = socket.socket(socket.AF_INET6, kind)
        # Zero lets the one socket take IPv4 peers as well, as ``::ffff:a.b.c.d``.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(("::", port))
    except OSError:
        bound = socket.socket(socket.AF_INET, kind)
        bound.bind(("0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        bound.listen(64)
    return bound


def _hear_contact(bound: socket.socket) -> None:
    """Report one contact. A datagram is answered, so that the dialler sees it got through; a TCP peer is
    read in a thread of its own, because one that sends nothing would block the listener for a second."""
    port = bound.getsockname()[1]
    if bound.type == socket.SOCK_DGRAM:
        text, peer = bound.recvfrom(FIRST_BYTES)
        _print_contact("udp", port, peer[0], text)
        with contextlib.suppress(OSError):
            bound.sendto(b"canary\n", peer)
        return
    accepted, peer = bound.accept()
    threading.Thread(target=_first_words, args=(accepted, port, peer[0]), daemon=True).start()


def _first_words(accepted: socket.socket, port: int, peer: str) -> None:
    """Print what a TCP peer sends first; a peer that only connects has made a contact too."""
    text = b""
    with accepted, contextlib.suppress(OSError):
        accepted.settimeout(1.0)
        text = accepted.recv(FIRST_BYTES)
    _print_contact("tcp", port, peer, text)


def _print_contact(kind: str, port: int, peer: str, text: bytes) -> None:
    """Write one whole line in one call: several threads write, and the reader parses line by line. The text
    is shown as a ``repr``, since it is whatever a stranger sent."""
    sys.stdout.write(f"heard {kind} {port} {peer} {text!r}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
