"""What `benchmarks.codecs` times, in the official Python SDK: run by an interpreter that has it.

Prints a line of JSON when it is ready; each line of its input, {"size"}, is answered by one with the seconds of CPU
that writing and reading take, of plain values and of typed ones.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from resonate.codec import Codec, NoopEncryptor

sys.path.insert(0, str(Path(__file__).parent))
from codec_samples import Basket, basket, cpu_per_call, plain

codec = Codec(NoopEncryptor())


def measured(size: int) -> dict[str, list[float]]:
    typed = basket(size)
    untyped = plain(typed)
    written = codec.encode(typed)
    assert codec.convert(codec.decode(written), Basket) == typed
    assert codec.decode(codec.encode(untyped)) == untyped
    return {
        "untyped": [cpu_per_call(lambda: codec.encode(untyped)), cpu_per_call(lambda: codec.decode(written))],
        "typed": [
            cpu_per_call(lambda: codec.encode(typed)),
            cpu_per_call(lambda: codec.convert(codec.decode(written), Basket)),
        ],
    }


package = f"resonate-sdk {version('resonate-sdk')}"
print(json.dumps({"package": package, "python": platform.python_version()}), flush=True)
while text := sys.stdin.readline():
    print(json.dumps(measured(json.loads(text)["size"])), flush=True)
