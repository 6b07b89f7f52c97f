"""`python -m tests.hostile CODEC...`: attack codecs with changed payloads, each codec in a process of its own.

Each payload is read as a value, as a call and as a failure. Each time there must be a right value or a `DecodingError`;
nothing that the data names may run or be loaded, and neither memory nor time may grow with what the data claims.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import faulthandler
import importlib
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from random import Random
from typing import Any

import tzdata
from attrs import evolve

from resonate import ApplicationError, DecodingError, EncodingError, NotReadableHere
from resonate.core.values import UNTYPED, Call
from tests.hostile.mutations import Mutator
from tests.hostile.subjects import SIGNATURE, SUBJECTS, Honest, Subject

MAX_CPU = 2.0
"""Seconds of CPU that one payload may take, read in all ways; the machine may be slow."""
MAX_GROWTH = 128 * 1024 * 1024
"""Bytes by which the process may grow, of which 8 MiB are for a window of zstd."""
HEADROOM = 768 * 1024 * 1024
"""Bytes of address space that the process is left; past it, it is out of memory at once."""

WATCHED = (
    "exec",
    "compile",
    "import",
    "pickle.find_class",
    "marshal.",
    "code.__new__",
    "function.__new__",
    "ctypes.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.link",
    "os.symlink",
    "os.kill",
    "os.putenv",
    "subprocess.",
    "socket.",
    "shutil.",
    "tempfile.",
    "sys.addaudithook",
    "sys.setprofile",
    "sys.settrace",
    "webbrowser.",
    "urllib.",
    "ftplib.",
    "smtplib.",
    "builtins.input",
    "syslog.",
    "mmap.",
    "signal.",
)


class Watch:
    """Hears of what the interpreter does; a hook can't be taken away again, so it is turned on and off."""

    def __init__(self) -> None:
        self.on = False
        self.asleep = False
        self.heard: list[str] = []
        sys.addaudithook(self._hook)

    def __enter__(self) -> None:
        self.on = not self.asleep

    def __exit__(self, *_error: object) -> None:
        self.on = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or (event == "import" and _is_zone(arguments)):
            return
        if event.startswith(WATCHED) or (event == "open" and _writes(arguments)):
            self.on = False  # what follows is not the payload's
            self.heard.append(f"{event} {arguments!r:.300}")
            self.on = True


def _is_zone(arguments: tuple[Any, ...]) -> bool:
    """Tell whether a zone is looked for that the system lacks. All that is there to be found is loaded, see `warm`."""
    return str(arguments[0]).startswith("tzdata.zoneinfo")


def _writes(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if isinstance(arguments[2], int) else True


def read_all_ways(subject: Subject, value: Any, honest: Honest, others: list[Any], watch: Any = None) -> str | None:
    """Return what is wrong with how a payload is read, None if nothing is."""
    codec = subject.codec
    untouched = is_untouched(value, honest)
    at = honest.at
    watch = watch or nullcontext()
    for type_ in (honest.declared, *others):
        try:
            with watch:
                found = codec.decode(value, type_, at=at)
        except DecodingError:
            continue
        if subject.keyed:
            if not untouched:
                return f"as {type_}: {found!r:.200} was read, which nobody wrote"
            continue
        try:
            again = codec.decode(codec.encode(found, type_, at=at), type_, at=at)
        except EncodingError:
            continue  # such as a signaling NaN: it is what the data says, and it is refused loudly further on
        if not same(again, found):
            return f"as {type_}: {found!r:.200} was read, and comes back as {again!r:.200}"
    for signature in (UNTYPED, SIGNATURE):
        try:
            with watch:
                call = codec.decode_call(value, lambda _func, _version, known=signature: known, at=at)
        except DecodingError:
            continue
        if not isinstance(call, Call) or type(call.func) is not str:
            return f"as a call: {call!r:.200}"
        if subject.keyed and call != honest.original:
            return f"as a call: {call!r:.200}, which nobody made"
    with watch:
        error = codec.decode_error(value, at=at)
    if not isinstance(error, Exception):
        return f"as a failure: {error!r:.200}"
    if subject.keyed and not untouched and not isinstance(error, ApplicationError | NotReadableHere):
        return f"as a failure: {error!r:.200}, which nobody wrote"
    return None


def is_untouched(value: Any, honest: Honest) -> bool:
    """Whether all that says what the value is, and how to read it, is as it was."""
    names = ("content-type", "content-encoding")
    return _bytes(value.data) == _bytes(honest.value.data) and all(
        value.headers.get(name, "").strip(", ") == honest.value.headers.get(name, "").strip(", ") for name in names
    )


def _bytes(data: str | None) -> bytes | None:
    """Return what base64 stands for; some bytes have several texts, of which one is written and all are read."""
    try:
        return None if data is None else binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return data.encode("utf-8", "surrogatepass")


def same(one: Any, other: Any) -> bool:
    """Equal, where NaN equals NaN."""
    try:
        return bool(one == other) or repr(one).replace(", fold=1", "") == repr(other).replace(", fold=1", "")
    except (ValueError, RecursionError):  # a whole number that is too long to be shown, or what is nested too deeply
        return True


def warm(subject: Subject, types: list[Any]) -> None:
    """Have everything loaded that is loaded the first time: that is not the payloads' doing."""
    for each in pkgutil.walk_packages(tzdata.__path__, "tzdata."):  # zones that the system lacks are looked for there
        importlib.import_module(each.name)
    for one in subject.honest:
        problem = read_all_ways(subject, one.value, one, types[:3])
        assert problem is None, (one, problem)
    if subject.wrap is None:
        return
    hard = [b'"2024-01-01T00:00:00[Europe/Nowhere]"', b'"__"', b'{"__":0}', b"9" * 400, b"{", b'{"__type":"error"}']
    for one in SUBJECTS["json"]().honest:
        text = base64.b64decode(one.value.data or "")
        careful = text.replace(b"{", b'{"__":0,', 1)  # texts with this in it are read in another way
        for raw in (text, careful, *hard):
            read_all_ways(subject, subject.wrap(raw), evolve(one, at=subject.honest[0].at), [])


def attack(name: str, count: int, seed: int, only: int | None, note: str | None = None) -> dict[str, Any]:
    """Attack a codec in this process; return what came of it. Each payload's number is written to the file `note`."""
    subject = SUBJECTS[name]()
    watch = Watch()
    random = Random()
    mutator = Mutator([one.value for one in subject.honest], subject.wrap, random)
    if subject.wrap is not None:
        plain = SUBJECTS["json"]().honest
        mutator.grow_from([base64.b64decode(one.value.data) for one in plain if one.value.data])
    types = [one.declared for one in subject.honest]
    warm(subject, types)
    problems: list[str] = []
    slowest, refused = (0.0, -1), 0
    soft = _address_space() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    before = _most_memory()
    started = time.process_time()
    at_work_on = os.open(os.devnull if note is None else note, os.O_WRONLY)
    faulthandler.register(signal.SIGVTALRM, chain=True)  # past the time, it says where it is, and dies
    for number in range(count) if only is None else [only]:
        signal.setitimer(signal.ITIMER_VIRTUAL, 5 * MAX_CPU)
        os.pwrite(at_work_on, b"%9d" % number, 0)
        random.seed(f"{name} {seed} {number}")
        value, made_of = mutator.payload()
        honest = subject.honest[made_of]
        others = [random.choice(types)]
        since = time.process_time()
        watch.asleep = is_untouched(value, honest)  # pickles that were signed load what they name
        try:
            problem = read_all_ways(subject, value, honest, others, watch)
        except BaseException as error:
            problem = f"{type(error).__name__}: {error!s:.300}"
            if only is not None:
                raise
        slowest = max(slowest, (time.process_time() - since, number))
        if watch.heard:
            problem = f"{problem or ''} heard: {watch.heard[:3]}"
            watch.heard.clear()
        if problem:
            problems.append(f"{number}: {problem} (headers {dict(value.headers)!r:.100}, data {value.data!r:.200})")
            if len(problems) > 20:
                break
        refused += value != honest.value
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    os.close(at_work_on)
    growth = _most_memory() - before
    if slowest[0] > MAX_CPU:
        problems.append(f"{slowest[1]}: took {slowest[0]:.2f} s of CPU")
    if growth > MAX_GROWTH:
        problems.append(f"the process has grown by {growth / 1e6:.0f} MB")
    return {
        "codec": name,
        "payloads": count,
        "changed": refused,
        "seconds": time.process_time() - started,
        "slowest_ms": slowest[0] * 1e3,
        "slowest": slowest[1],
        "growth_mb": growth / 1e6,
        "problems": problems,
    }


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
        return int(file.read().split()[0]) * resource.getpagesize()


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(name: str, count: int, seed: int) -> dict[str, Any]:
    """Attack a codec in a process of its own; return what came of it, or why it died."""
    command = [sys.executable, "-m", "tests.hostile", name, "--payloads", str(count), "--seed", str(seed), "--json"]
    with tempfile.NamedTemporaryFile() as note:
        done = subprocess.run([*command, "--note", note.name], capture_output=True, text=True, check=False)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            last = note.read().decode().strip()
            text = f"{last}: the process ended with {done.returncode}: {done.stderr[-2_000:]}"
            return {"codec": name, "problems": [text]}
    return found


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("codecs", nargs="*", help=f"of {', '.join(SUBJECTS)}; all by default")
    parser.add_argument("--payloads", type=int, default=100_000, help="how many for each codec (100,000)")
    parser.add_argument("--seed", type=int, default=1, help="other payloads for each (1)")
    parser.add_argument("--only", type=int, help="read the payload of this number alone, and let errors through")
    parser.add_argument("--json", action="store_true", help="attack one codec in this process, and write JSON")
    parser.add_argument("--note", help="a file to write the number of each payload to, with --json")
    options = parser.parse_args()
    names = options.codecs or list(SUBJECTS)
    if options.json or options.only is not None:
        say(json.dumps(attack(names[0], options.payloads, options.seed, options.only, options.note)))
        return 0
    wrong = 0
    say(f"{'codec':22}{'payloads':>10}{'CPU s':>8}{'slowest':>12}{'growth':>9}  problems")
    for name in names:
        found = in_a_process(name, options.payloads, options.seed)
        wrong += len(found["problems"])
        if "payloads" in found:
            say(
                f"{name:22}{found['payloads']:>10,}{found['seconds']:>8.1f}{found['slowest_ms']:>9.0f} ms"
                f"{found['growth_mb']:>6.0f} MB  {len(found['problems'])}"
            )
        for problem in found["problems"]:
            say(f"  {name} {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
