"""Who holds a port."""

from __future__ import annotations

import os
import socket

from sandbox.doctor.ports import check_ports, is_free, port_holder


def test_the_holder_of_a_taken_port_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
        who = port_holder(port)
        assert who is not None
        assert who.pid == os.getpid()
        (finding,) = check_ports([("provider", port)])
        assert finding.level == "problem"
        assert str(os.getpid()) in finding.evidence
    assert is_free(port)
    assert port_holder(port) is None
