"""Jobs that must not suffer: a victim that holds a secret and listens, innocent jobs that just compute.

Their scripts are programs of the kind that a user would run; they use neither the prelude nor any right that
other jobs lack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from c2d_box.workflow.states import State, Stop

LONGEST_PAUSE = 20.0
"""Longest pause in seconds that the victim may have had. It wakes ten times a second; a pause above this
means that it was starved, whatever else the machine had to do.
"""

# Listens on the port that the network attacks try at each address, over TCP and UDP, IPv4 and IPv6. What it
# heard and its longest pause are written twice a second, by a rename, so that the file is whole when the job
# is stopped.
VICTIM = """
import json, os, signal, socket, threading, time
given = json.load(open("/data/inputs/algoCustomData.json"))
kept = given["secret"] * 100
heard = []
def listen(kind):
    with socket.socket(socket.AF_INET6, kind) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", 7007))
        if kind == socket.SOCK_STREAM:
            s.listen()
        while True:
            heard.append(repr(s.accept()[1] if kind == socket.SOCK_STREAM else s.recvfrom(100)))
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    threading.Thread(target=listen, args=(kind,), daemon=True).start()
longest, pulses = 0.0, 0
def note():
    with open("/data/outputs/pulse.new", "w") as file:
        json.dump({"heard": heard, "longest": longest, "pulses": pulses}, file)
    os.replace("/data/outputs/pulse.new", "/data/outputs/pulse.json")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("listening", flush=True)
last = time.monotonic()
while True:
    time.sleep(0.1)
    now = time.monotonic()
    longest, last, pulses = max(longest, now - last), now, pulses + 1
    if pulses % 5 == 1:
        note()
"""

# A result that depends on the input: a stored or mixed up result of another job is noticed.
INNOCENT = """
import hashlib, json, pathlib
word = json.load(open("/data/inputs/algoCustomData.json"))["word"]
pathlib.Path("/data/outputs/answer.txt").write_text(hashlib.sha256(word.encode()).hexdigest())
"""


def innocent_problem(
    status: Mapping[str, Any], word: str, read: Callable[[Mapping[str, Any]], bytes]
) -> str | None:
    """Return what is wrong with an innocent job that has ended, or None. ``read`` fetches a stored result;
    its bytes are compared, since a job may end well with the result of another."""
    if status.get("code") != State.FINISHED:
        return f"it ended {status.get('code')}: {status.get('reason')}"
    answers = [result for result in status.get("results") or [] if result["filename"] == "answer.txt"]
    # Exactly one: a second file of this name would be another job's.
    if len(answers) != 1 or read(answers[0]).decode() != hashlib.sha256(word.encode()).hexdigest():
        return "its result is not the right one"
    return None


def victim_problem(status: Mapping[str, Any], read: Callable[[Mapping[str, Any]], bytes]) -> str | None:
    """Return what is wrong with the stopped victim, or None: another end than the stop, a connection to its
    port, or a pause in which it got no processor time."""
    # It runs until it is stopped: any other end means that something else ended it.
    if status.get("code") != State.FINISHED or status.get("stop") != Stop.ASKED:
        return f"it ended {status.get('code')}: {status.get('reason')}"
    found = [result for result in status.get("results") or [] if result["filename"] == "pulse.json"]
    if not found:
        return "its output is missing"
    try:
        pulse = json.loads(read(found[0]))
    # The victim writes valid JSON only, so a broken file was changed by somebody else.
    except ValueError:
        return "its output is broken"
    if pulse["heard"]:
        return f"somebody spoke to it: {pulse['heard'][:3]}"
    if pulse["longest"] > LONGEST_PAUSE:
        return f"it stood still for {pulse['longest']:.0f} s"
    return None
