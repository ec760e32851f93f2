"""Entrypoints without a shell: what we split is what a shell would have run, and the gate splits as we do.

Three witnesses: ``sh`` itself, the standard library's ``shlex``, and the gate's own C, compiled alone.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.assets import command_line
from c2d_box.errors import Refused

GATE = Path(__file__).parents[3] / "c2d_box" / "pods" / "gate" / "gate.c"
ALPHABET = st.sampled_from([*'abAZ09/._-=+,:@%^]{}!~#\t  \\\\\'""$`|&;<>()*?[\n\r', "é", "\x7f", "if", "cd"])
LINES = st.lists(ALPHABET, max_size=24).map("".join)
TAME = st.lists(st.sampled_from([*"ab=/.-  \t\\\\''\"\"#~", "é", "é b"]), max_size=24).map("".join)
"""Mostly accepted: quotes, blanks, backslashes."""


def split(line: str) -> tuple[str, ...] | None:
    try:
        return command_line.split_words(line)
    except Refused as refusal:
        assert refusal.code == "C2D-ENTRYPOINT-NEEDS-SHELL"
        return None


def shells_words(lines: list[str]) -> list[tuple[str, ...]]:
    """What sh hands to a program that is called with these arguments, line by line."""
    script = "".join(f"printf '%s\\0' {line}\nprintf '\\1\\0'\n" for line in lines)
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    return [tuple(text.decode().split("\0")[:-1]) for text in said.split(b"\1\0")[:-1]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(LINES, TAME), min_size=10, max_size=60))
def test_what_is_accepted_is_what_a_shell_would_have_run(lines: list[str]) -> None:
    accepted = [line for line in lines if split("x " + line)]
    expected = [tuple(command_line.split_words("x " + line)[1:]) or ("",) for line in accepted]
    assert shells_words(accepted) == expected


@settings(max_examples=300, deadline=None)
@given(TAME)
def test_shlex_agrees(line: str) -> None:
    """Where no backslash stands before ``$`` or a backquote: there shlex is no POSIX shell."""
    found = split("x " + line)
    if found is not None:
        assert list(found) == shlex.split("x " + line)


@pytest.fixture(scope="session")
def splitter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        pytest.skip("musl-gcc is not installed")
    target = tmp_path_factory.mktemp("splitting") / "split"
    source = Path(__file__).with_name("splitting.c")
    define = f'-DGATE_SOURCE="{GATE}"'
    subprocess.run([compiler, "-Os", "-static", "-w", define, "-o", str(target), str(source)], check=True)
    return target


def gates_words(splitter: Path, lines: list[str]) -> list[tuple[str, ...] | str]:
    data = b"".join(line.encode() + b"\0" for line in lines)
    said = subprocess.run([splitter], input=data, capture_output=True, check=True).stdout.decode()
    found: list[tuple[str, ...] | str] = []
    words: list[str] = []
    for word in said.split("\0")[:-1]:
        if word == "\1":
            found.append(tuple(words))
            words = []
        elif word.startswith("\2"):
            found.append(word[1:])
            words = []
        else:
            words.append(word)
    return found


def ours(line: str) -> tuple[str, ...] | str:
    try:
        return command_line.split_words(line)
    except Refused as refusal:
        return refusal.message


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(st.one_of(LINES, TAME, st.text(max_size=30)), min_size=1, max_size=60))
def test_the_gate_splits_as_we_do(splitter: Path, lines: list[str]) -> None:
    sent = [line.translate({0: None, 1: None, 2: None}) for line in lines]
    sent = [line.encode("utf-8", "ignore").decode() for line in sent]
    assert gates_words(splitter, sent) == [ours(line) for line in sent]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python3 /data/transformations/algorithm", ("python3", "/data/transformations/algorithm")),
        ("/run --name 'a b' \"c d\" e\\ f", ("/run", "--name", "a b", "c d", "e f")),
        ("/run ''", ("/run", "")),
        ('/run "\\$HOME" a\\$b', ("/run", "$HOME", "a$b")),
        ("/run a#b c~d --x=~ {a,b}", ("/run", "a#b", "c~d", "--x=~", "{a,b}")),
        ("'if' x", ("if", "x")),
        ("  /run\t", ("/run",)),
    ],
)
def test_words_and_quotes(line: str, words: tuple[str, ...]) -> None:
    assert command_line.split_words(line) == words


@pytest.mark.parametrize(
    "line",
    [
        "a | b",
        "a && b",
        "a; b",
        "a > out",
        "a < in",
        "a &",
        "(a)",
        "a $X",
        "a `b`",
        'a "$X"',
        'a "`b`"',
        "a *.csv",
        "a b?",
        "a [x]",
        "a\nb",
        "a \\\n b",
        "# all of it",
        "a # rest",
        "~/run",
        "a ~",
        "X=1 run",
        "if x",
        "! x",
        "cd /data",
        "exec run",
        ". ./run",
        "a 'b",
        'a "b',
        "a\\",
        "",
        " \t",
        "a\0b",
    ],
)
def test_what_only_a_shell_can_do_is_refused(line: str) -> None:
    assert split(line) is None


def test_too_many_words_are_refused() -> None:
    assert split("x " * command_line.WORDS) is not None
    assert split("x " * (command_line.WORDS + 1)) is None
