"""Every codec under attack, each in a process of its own: `python -m tests.hostile` does the same for longer."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from resonate import ApplicationError, JsonCodec
from resonate.core.protocol.records import Value
from tests.hostile.__main__ import Watch, in_a_process
from tests.hostile.subjects import SUBJECTS

DEFAULT = 1_000


@pytest.mark.parametrize("name", SUBJECTS)
def test_changed_payloads_are_refused_or_read_rightly_and_run_nothing(name, request):
    asked = request.config.getoption("payloads")
    seed = 0 if asked is None else 1
    found = in_a_process(name, asked or DEFAULT, seed)
    assert found["problems"] == []
    assert found["payloads"] == (asked or DEFAULT)
    assert found["changed"] > 0.9 * found["payloads"]


def test_what_an_attack_would_run_would_be_heard():
    """The watch itself: in a process of its own, since a hook stays for good."""
    program = (
        "import os, pickle, tests.hostile.__main__ as m\n"
        "class Evil:\n    def __reduce__(self): return (os.system, ('true',))\n"
        "data = pickle.dumps(Evil())\nwatch = m.Watch()\n"
        "os.getpid(); assert watch.heard == []\nwatch.on = True\n"
        "pickle.loads(data); exec('1'); open('/dev/null'); open('/dev/null', 'w')\n"
        "print([text.split()[0] for text in watch.heard])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heard = done.stdout
    for event in ("pickle.find_class", "os.system", "exec", "open"):
        assert f"'{event}'" in heard
    assert heard.count("'open'") == 1
    assert Watch.__doc__


def test_a_pickle_in_a_failure_of_the_official_sdk_is_text():
    """Its Python SDK writes a pickle of each exception beside the message, and unpickles what it reads."""
    pickled = base64.b64encode(b"cos\nsystem\n(S'echo run'\ntR.").decode()
    failure = {"__type": "error", "message": "no stock", "name": "OutOfStock", "stack": "", "__py_pickle": pickled}
    value = Value({}, base64.b64encode(json.dumps(failure).encode()).decode())
    program = (
        "import sys, tests.hostile.__main__ as m\n"
        "from resonate import *\nfrom resonate.core.protocol.records import Value\n"
        "json = JsonCodec()\n"
        "codecs = [json, Limited(json), Compressed(json), Codecs(PickleCodec(key=b'k' * 32), json)]\n"
        "value = Value({}, sys.argv[1])\n"
        "JsonCodec().decode_error(value)\nwatch = m.Watch()\nwatch.on = True\n"
        "texts = {str(codec.decode_error(value)) for codec in codecs}\nwatch.on = False\n"
        "print(texts, watch.heard)"
    )
    done = subprocess.run([sys.executable, "-c", program, value.data], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'OutOfStock: no stock'} []"
    assert isinstance(JsonCodec().decode_error(value), ApplicationError)
