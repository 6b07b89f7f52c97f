"""`python -m benchmarks.codecs`: what writing and reading a value costs, beside bare orjson and the official SDK.

Law 1: rounds take turns, and a ratio is taken within a round; the median of these is reported.
Law 2: what is counted is CPU, so that other work on the machine counts little.
Law 3: the official SDK runs in a process of its own, in the same rounds, on the same values. `make interop` installs
    it; where it is not there, it is left out.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from benchmarks.codec_samples import SIZES, Basket, basket, cpu_per_call, plain
from benchmarks.harness import aligned, seconds
from resonate import Compressed, Encrypted, JsonCodec, PickleCodec
from resonate.core.values import Codec
from tests.interop import peers

BASE = "orjson alone"
AT = "order-42:1"
Pair: TypeAlias = tuple[float, float]
"""Seconds of CPU: to write, to read."""
KEYS = {"2026-11": bytes(range(32))}


def _both(write: Callable[[], object], read: Callable[[], object]) -> Pair:
    gc.collect()
    return cpu_per_call(write), cpu_per_call(read)


def _bare(size: int) -> Pair:
    value = plain(basket(size))
    text = orjson.dumps(value)
    return _both(lambda: orjson.dumps(value), lambda: orjson.loads(text))


def _in_base64(size: int) -> Pair:
    value = plain(basket(size))
    data = base64.b64encode(orjson.dumps(value)).decode()
    return _both(
        lambda: base64.b64encode(orjson.dumps(value)).decode(),
        lambda: orjson.loads(base64.b64decode(data, validate=True)),
    )


def _codec(make: Callable[[], Codec], type_: Any) -> Callable[[int], Pair]:
    codec = make()

    def run(size: int) -> Pair:
        value: Any = basket(size)
        if type_ is Any:
            value = plain(value)
        written = codec.encode(value, type_, at=AT)
        assert codec.decode(written, type_, at=AT) == value
        return _both(lambda: codec.encode(value, type_, at=AT), lambda: codec.decode(written, type_, at=AT))

    return run


OURS: dict[str, Callable[[int], Pair]] = {
    BASE: _bare,
    "orjson and base64": _in_base64,
    "JsonCodec, untyped": _codec(JsonCodec, Any),
    "JsonCodec, typed": _codec(JsonCodec, Basket),
    "PickleCodec, typed": _codec(lambda: PickleCodec(keys=KEYS), Basket),
    "Compressed, zstd, untyped": _codec(lambda: Compressed(JsonCodec(), format="zstd"), Any),
    "Compressed, gzip, untyped": _codec(lambda: Compressed(JsonCodec(), format="gzip"), Any),
    "Encrypted, untyped": _codec(lambda: Encrypted(JsonCodec(), KEYS), Any),
    "Encrypted(Compressed), untyped": _codec(lambda: Encrypted(Compressed(JsonCodec()), KEYS), Any),
}


class Official:
    """The official SDK's codec, in a process of its own."""

    def __init__(self, python: Path) -> None:
        script = str(Path(__file__).with_name("codec_official.py"))
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([str(python), "-E", script], stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own words
        self.hello = self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def ask(self, size: int) -> dict[str, Pair]:
        """Return the seconds of each row."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"size": size}) + "\n")
        self._process.stdin.flush()
        return {f"{self.hello['package']}, {kind}": (pair[0], pair[1]) for kind, pair in self._line().items()}

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def measure(rounds: int, official: Official | None) -> dict[int, dict[str, list[Pair]]]:
    """Return, by size and row, what each round took; one more round warms up."""
    found: dict[int, dict[str, list[Pair]]] = {size: {} for size in SIZES}
    for number in range(rounds + 1):
        for size in SIZES:
            taken = {name: run(size) for name, run in OURS.items()} | (official.ask(size) if official else {})
            for name, pair in taken.items():
                if number:
                    found[size].setdefault(name, []).append(pair)
    return found


def table(found: dict[int, dict[str, list[Pair]]]) -> str:
    """Draw the figures."""
    rows = [["", "JSON", "write", "of orjson", "read", "of orjson", "MB/s written", "read"]]
    for size, row in found.items():
        for name, pairs in row.items():
            figures = _figures(size, pairs, row[BASE])
            label = f"{size:,} B" if name == BASE else ""
            rows.append(
                [
                    name,
                    label,
                    seconds(figures["write"]),
                    f"{figures['write_ratio']:.1f}",
                    seconds(figures["read"]),
                    f"{figures['read_ratio']:.1f}",
                    f"{size / figures['write'] / 1e6:,.0f}",
                    f"{size / figures['read'] / 1e6:,.0f}",
                ]
            )
    return aligned(rows)


def _figures(size: int, pairs: list[Pair], base: list[Pair]) -> dict[str, float]:
    return {
        "size": size,
        "write": statistics.median(pair[0] for pair in pairs),
        "read": statistics.median(pair[1] for pair in pairs),
        "write_ratio": statistics.median(one[0] / other[0] for one, other in zip(pairs, base, strict=True)),
        "read_ratio": statistics.median(one[1] / other[1] for one, other in zip(pairs, base, strict=True)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds the median is taken of (5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    why_not = peers.no_official()
    official = None if why_not else Official(peers.OFFICIAL)
    if why_not:
        print(f"The official SDK is left out: {why_not}")
    else:
        assert official is not None
        print(
            f"{official.hello['package']} on Python {official.hello['python']}, all else on {platform.python_version()}"
        )
    found = measure(options.rounds, official)
    if official is not None:
        official.close()
    print(table(found))
    if options.json:
        rows = [
            {"name": name, **_figures(size, pairs, row[BASE])}
            for size, row in found.items()
            for name, pairs in row.items()
        ]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
