"""Pickle, signed: for values of any Python class, read by nobody but holders of the key.

Unpickling runs what the data says. So:

Law 1: not a byte is unpickled before its signature was verified, in constant time, for this promise and this purpose.
Law 2: nothing that another codec wrote is unpickled, and nothing unsigned unless that was asked for in so many words.
Law 3: failures are not pickled: they are the JSON that `JsonCodec` writes of them, signed.

The stored bytes: version (1 byte: 1 signed, 0 not) | length of the key's id (1) | key's id | signature (32) | body. The
body of a value is its pickle; that of a call is one line of JSON, `{"func": ..., "version": ...}`, and the pickle of
`(args, kwargs)`, so that a call can be routed before it is unpickled; that of a failure is JSON.
"""

from __future__ import annotations

import hmac
import json
import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from resonate.adapters.codecs.json import HEADERS, JsonCodec
from resonate.adapters.codecs.keys import Key, Keyring, Keys, framed, framed_texts, keyring
from resonate.adapters.codecs.wrapper import Purpose, as_text, stored_bytes
from resonate.core.protocol.records import Value
from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, Call, Codec, Signature
from resonate.errors import ApplicationError, DecodingError, EncodingError, NotReadableHere, UsageError

PICKLE: Final = "application/vnd.resonate.pickle"
PROTOCOL: Final = 5
_SIGNED, _UNSIGNED = 1, 0
_LABEL: Final = "resonate signed pickle 1"
_HASH: Final = "sha256"
_SIZE: Final = 32
_WHAT: Final = "a pickle"

E = TypeVar("E", bound=type[Exception])


class PickleCodec:
    """Write and read values as signed pickles. Implements `resonate.ports.codec.Codec`.

    Declared types are not looked at. Classes come back by their import path, so every worker needs the same code, and
    other languages can't read any of it. The same value is not always the same bytes: sets of texts have another order
    in each process. Whoever has the key can run code in every worker that has it: give it to nobody else.

    Args:
        key: 16, 24 or 32 random bytes that values are signed with; it has the id "default".
        keys: instead of `key`, keys by id; the first signs, all of them verify.
        allow_unsigned: sign nothing and verify nothing. Whoever can write to the store can then run code here.
        errors: how failures are written and read.
    """

    def __init__(
        self,
        *,
        key: bytes | None = None,
        keys: Keys | None = None,
        allow_unsigned: bool = False,
        errors: JsonCodec | None = None,
    ) -> None:
        given = keys if key is None else key
        if key is not None and keys is not None:
            raise UsageError("PickleCodec takes a key or keys, not both.", hint="Put the key among the keys.")
        if given is None and allow_unsigned is not True:
            raise UsageError(
                "PickleCodec needs a key: unpickling runs whatever code the data names, so data has to be signed.",
                hint="Give key=secrets.token_bytes(32), the same to all workers. Where nobody else can write to the "
                "store, allow_unsigned=True does without.",
            )
        if given is not None and allow_unsigned:
            raise UsageError("allow_unsigned=True does away with what a key is for.", hint="Give one of the two.")
        self._keys: Keyring | None = None if given is None else keyring(given)
        self._errors = JsonCodec() if errors is None else errors

    def __repr__(self) -> str:
        return f"PickleCodec({self._keys!r})" if self._keys else "PickleCodec(allow_unsigned=True)"

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves: rebuilt as `cls(*args)`. Usable as a decorator."""
        return self._errors.register_error(cls)

    def reads(self, headers: Mapping[str, str]) -> bool:
        """See the port."""
        return headers.get(CONTENT_TYPE) == PICKLE and not headers.get(CONTENT_ENCODING)

    def key_id(self, value: Value) -> str | None:
        """Return the id of the key that a stored value was signed with; None if it was not signed."""
        return _Signed(stored_bytes(value, _WHAT)).key_id if self.reads(value.headers) else None

    # ------------------------------------------------------------ values

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """See the port."""
        del type_
        return self._write(_pickled(value), Purpose.VALUE, at)

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """See the port."""
        del type_
        return _unpickled(self._read(value, Purpose.VALUE, at))

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """See the port."""
        del signature
        head: dict[str, Any] = {"func": call.func}
        if call.version is not None:
            head["version"] = call.version
        body = json.dumps(head).encode() + b"\n" + _pickled((call.args, dict(call.kwargs)))
        return self._write(body, Purpose.CALL, at)

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """See the port."""
        head, _line, body = self._read(value, Purpose.CALL, at).partition(b"\n")
        func, version = _callee(head)
        signature_of(func, version)  # may say that it is not known here, before anything is unpickled
        args, kwargs = _arguments(body)
        return Call(func=func, args=args, kwargs=kwargs, version=version)

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """See the port."""
        return self._write(stored_bytes(self._errors.encode_error(error, at=at), "a failure"), Purpose.ERROR, at)

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """See the port."""
        try:
            json = self._read(value, Purpose.ERROR, at)
        except NotReadableHere as error:
            return error
        except DecodingError as error:
            return ApplicationError("a failure was recorded that can't be read", details=str(error))
        return self._errors.decode_error(Value(HEADERS, as_text(json)), at=at)

    # ------------------------------------------------------------ signatures

    def _write(self, body: bytes, purpose: Purpose, at: str) -> Value:
        if self._keys is None:
            raw = bytes((_UNSIGNED,)) + body
        else:
            key = self._keys.current
            name = key.id.encode()
            raw = bytes((_SIGNED, len(name))) + name + _signature(key, purpose, at, body) + body
        return Value({CONTENT_TYPE: PICKLE}, as_text(raw))

    def _read(self, value: Value, purpose: Purpose, at: str) -> bytes:
        """Return a body that may be unpickled."""
        if not self.reads(value.headers):
            raise NotReadableHere(
                f"the value was written as {value.headers.get(CONTENT_TYPE, 'JSON')!r:.80}, and only pickles are read.",
                hint="Let it be read by the codec that wrote it, with Codecs(PickleCodec(...), JsonCodec()).",
            )
        signed = _Signed(stored_bytes(value, _WHAT))
        if self._keys is None:
            if signed.key_id is not None:
                raise NotReadableHere("a pickle is signed, and there is no key here.", hint="Give PickleCodec its key.")
            return signed.body
        if signed.key_id is None:
            raise DecodingError(
                "a pickle is not signed, and is not read.",
                hint="Whoever wrote it has to use PickleCodec with a key that this worker has.",
            )
        self._verify(self._keys, signed, purpose, at)
        return signed.body

    def _verify(self, keys: Keyring, signed: _Signed, purpose: Purpose, at: str) -> None:
        key = keys.find(signed.key_id or "")
        if key is None:
            raise NotReadableHere(
                f"a pickle is signed with the key {signed.key_id!r:.80}, which is not among the keys here: "
                f"{', '.join(map(repr, keys.ids))}.",
                hint="Give this worker that key, behind the current one.",
            )
        if not hmac.compare_digest(_signature(key, purpose, at, signed.body), signed.signature):
            where = f"the {purpose.value} of {at}" if at else f"a {purpose.value} without a place"
            raise DecodingError(
                f"a pickle's signature is wrong: it was changed, signed with another key of the id {key.id!r}, or "
                f"written for something else than {where}. It was not unpickled.",
                hint="See who can write to the store, and whether all workers have the same keys.",
            )


class _Signed:
    """The parts of stored bytes."""

    __slots__ = ("body", "key_id", "signature")

    def __init__(self, raw: bytes) -> None:
        self.key_id: str | None = None
        self.signature = b""
        if raw[0] == _UNSIGNED:
            self.body = raw[1:]
            return
        if raw[0] != _SIGNED:
            raise NotReadableHere(
                f"stored data is a pickle in a form (number {raw[0]}) that this version does not know.",
                hint="Use the version of the library that wrote it, or a newer one.",
            )
        name_end = 2 + raw[1] if len(raw) > 1 else 2
        if len(raw) <= name_end + _SIZE:
            raise DecodingError("stored data is too short for a signed pickle: it was cut.")
        self.key_id = raw[2:name_end].decode("ascii", "backslashreplace")
        self.signature = raw[name_end : name_end + _SIZE]
        self.body = raw[name_end + _SIZE :]


def _signature(key: Key, purpose: Purpose, at: str, body: bytes) -> bytes:
    secret = key.derive(_LABEL.encode(), _SIZE)
    return hmac.digest(secret, framed_texts(_LABEL, key.id, purpose.value, at) + framed(body), _HASH)


# ---------------------------------------------------------------- pickles


def _pickled(value: object) -> bytes:
    try:
        return pickle.dumps(value, PROTOCOL)
    except RecursionError:
        raise EncodingError("a value is nested too deeply to be pickled.") from None
    except Exception as error:
        raise EncodingError(
            f"a value can't be pickled: {type(error).__name__}: {error}.",
            hint="Functions and classes are pickled by their import path; what lives inside a function has none.",
        ) from error


def _unpickled(body: bytes) -> Any:
    """Read a pickle that was verified. It may fail all the same: a class may have moved, or refuse what it is given."""
    try:
        return pickle.loads(body)  # noqa: S301 - verified, or asked for in so many words
    except RecursionError:
        raise DecodingError("a pickle is nested too deeply.") from None
    except Exception as error:
        raise DecodingError(
            f"a pickle can't be read: {type(error).__name__}: {error}.",
            hint="A class or function that it names may have moved: keep its old name as an alias.",
        ) from error


def _arguments(body: bytes) -> tuple[Any, Any]:
    try:
        args, kwargs = _unpickled(body)
    except (TypeError, ValueError):
        args = kwargs = None
    if not _is(args, tuple) or not _is(kwargs, dict):
        raise DecodingError("a pickle holds no arguments, where those of a call are expected.")
    return args, kwargs


def _is(value: object, cls: type) -> bool:
    return type(value) is cls


def _callee(head: bytes) -> tuple[str, int | None]:
    try:
        match json.loads(head.decode()):
            case {"func": str() as func, "version": bool()}:
                raise DecodingError(f"the call of {func!r:.80} has no number for a version.")
            case {"func": str() as func, "version": int() as version}:
                return func, version
            case {"func": str() as func, **rest} if "version" not in rest:
                return func, None
            case _:
                raise DecodingError("a pickle names no function, where a call is expected.")
    except (ValueError, RecursionError):
        raise DecodingError("a pickle has no line that names a function, where a call is expected.") from None


if TYPE_CHECKING:
    _implements: type[Codec] = PickleCodec
