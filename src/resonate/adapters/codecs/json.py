"""The codec that ships: JSON by the declared types, in base64 as all SDKs send it.

Law 1: encode then decode gives an equal value, or encode raises.
Law 2: the same value is the same bytes in every process.
Law 3: nothing that is read is ever run: no pickle, no import by a name in the data.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cattrs import Converter
from orjson import loads

from resonate.adapters.codecs import text
from resonate.adapters.codecs.book import PlanBook
from resonate.adapters.codecs.calls import callee, dump_call, load_arguments
from resonate.adapters.codecs.failures import Failures, brief
from resonate.adapters.codecs.leaves import LEAVES
from resonate.adapters.codecs.plan import NULL, Misfit, Plan
from resonate.adapters.codecs.text import SENTINEL_END
from resonate.adapters.codecs.untyped import is_plain_if_written
from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.values import CONTENT_ENCODING, CONTENT_TYPE, Call, Signature
from resonate.errors import ApplicationError, DecodingError, EncodingError, NotReadableHere

JSON: Final = "application/json"
HEADERS: Final[Mapping[str, str]] = MappingProxyType({CONTENT_TYPE: JSON})

_PLAIN: Final[frozenset[type]] = frozenset({int, str, bool, NULL})

E = TypeVar("E", bound=type[Exception])


class JsonCodec:
    """Write and read values as JSON, each by its declared type. Implements `resonate.ports.codec.Codec`.

    Args:
        converter: a cattrs converter with hooks for classes that the codec does not know, or should write otherwise.
            A hook registered by class goes before the codec's own way. Register before the first use.
        renamed: classes that stand in unions, by the names that they had when older values were written.
    """

    def __init__(self, converter: Converter | None = None, *, renamed: Mapping[str, type] | None = None) -> None:
        self._quick = PlanBook(converter, careful=False, renamed=renamed or {})
        self._careful = PlanBook(converter, careful=True, renamed=renamed or {})
        self._plans = self._quick.plans
        self._failures = Failures()
        classes = _PLAIN if type(self) is JsonCodec else ()  # what is derived may read as it likes
        self.plain: frozenset[type] = frozenset(cls for cls in classes if self._quick.find(cls) is LEAVES[cls])
        """See `resonate.core.values.WritesPlain`: all but those that hooks of the user's convert."""

    def register_error(self, cls: E) -> E:
        """Let failures of this class come back as themselves: rebuilt as `cls(*args)`. Usable as a decorator."""
        self._failures.register(cls)
        return cls

    # ------------------------------------------------------------ values

    def reads(self, headers: Mapping[str, str]) -> bool:
        """Say whether a value with these headers is JSON, wrapped in nothing; without headers, it is."""
        return _why_not(headers) is None

    def encode(self, value: object, type_: Any = Any, *, at: str = "") -> Value:
        """Write `value`, which is declared as `type_`. Raise `EncodingError` with the path to what can't be written."""
        del at  # JSON is bound to no place
        try:
            try:
                plan = self._plans[type_]
            except (KeyError, TypeError):  # not met yet, or unhashable
                plan = self._quick.find(type_)
            own = type(value) is plan.own is not float  # both ways write it alike
            json = value if own or plan.untyped else plan.dump(value)
            if json is None:
                return NO_VALUE
            raw = text.write(json) if own else text.write_quickly(json)
            if raw is None or (plan.untyped and not is_plain_if_written(json)):
                raw = text.write(self._careful.find(type_).dump(value))
        except Exception as error:  # noqa: BLE001 - a user's classes and hooks raise what they like
            raise _unwritable(error) from _cause(error)
        return Value(HEADERS, b2a_base64(raw, newline=False).decode("ascii"))

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """Read `value` as `type_`. Raise `DecodingError` with the path to what does not fit."""
        del at
        raw, json = _parse(value)
        try:
            try:
                plan = self._plans[type_]
            except (KeyError, TypeError):
                plan = self._quick.find(type_)
            if type(json) is plan.own:
                return json
            if raw.find(SENTINEL_END) >= 0:
                plan = self._careful.find(type_)
            return _load(plan, json, raw)
        except Exception as error:  # noqa: BLE001 - a user's classes and hooks raise what they like
            raise _unreadable(error) from _cause(error)

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """Write a call, each argument by its declared type. Raise `EncodingError`."""
        del at
        try:
            raw = text.write_quickly(dump_call(call, signature, self._quick))
            if raw is None:
                raw = text.write(dump_call(call, signature, self._careful))
        except Exception as error:  # noqa: BLE001 - a user's classes and hooks raise what they like
            refused = _unwritable(error)
            refused.message = f"a call of {call.func}: {refused.message}"
            raise refused from _cause(error)
        return Value(HEADERS, b2a_base64(raw, newline=False).decode("ascii"))

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """Read a call; `signature_of(func, version)` gives the types once the name is known.

        Raise `DecodingError`, or whatever `signature_of` raises.
        """
        del at
        raw, json = _parse(value)
        try:
            func, version = callee(json)
        except Misfit as misfit:
            raise _unreadable(misfit) from None
        signature = signature_of(func, version)
        book = self._quick if raw.find(SENTINEL_END) < 0 else self._careful
        try:
            try:
                args, kwargs = load_arguments(json, signature, book)
            except Misfit as misfit:
                if not misfit.big:
                    raise
                args, kwargs = load_arguments(text.read_big(raw), signature, book)
        except Exception as error:  # noqa: BLE001 - a user's classes and hooks raise what they like
            refused = _unreadable(error)
            refused.message = f"a call of {func}: {refused.message}"
            raise refused from _cause(error)
        return Call(func=func, args=args, kwargs=kwargs, version=version)

    # ------------------------------------------------------------ failures

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """Write a failure. Never raises: what can't be written is left out and said so."""
        del at
        try:
            raw = text.write(self._failures.dump(error))
        except Exception as failed:  # noqa: BLE001 - an exception's own attributes may do anything
            raw = text.write(brief(error, failed))
        return Value(HEADERS, b2a_base64(raw, newline=False).decode("ascii"))

    def decode_error(self, value: Value, *, at: str = "") -> Exception:
        """Read a failure as the exception to raise. Never raises: what can't be rebuilt is an `ApplicationError`."""
        del at
        try:
            _raw, json = _parse(value)
        except NotReadableHere as error:
            return error
        except DecodingError as error:
            return ApplicationError("a failure was recorded that can't be read", details=str(error))
        return self._failures.load(json)


def _why_not(headers: Mapping[str, str]) -> str | None:
    """Return what these headers say that keeps the value from being JSON, None if it is."""
    if not headers:
        return None
    written_as = headers.get(CONTENT_TYPE, JSON)
    if written_as.partition(";")[0].strip().lower() != JSON:
        return f"the value was written as {written_as!r:.80}"
    wrapped_in = headers.get(CONTENT_ENCODING, "")
    if wrapped_in.strip():
        return f"the value is wrapped in {wrapped_in!r:.80}"
    return None


def _parse(value: Value) -> tuple[bytes, Any]:
    """Return the JSON text and the JSON value; no data is None."""
    headers = value.headers
    if headers is not HEADERS and headers and (headers.get(CONTENT_TYPE) != JSON or CONTENT_ENCODING in headers):
        why_not = _why_not(headers)
        if why_not is not None:
            raise NotReadableHere(
                f"{why_not}, which the JSON codec can't read.",
                hint="Let it be read by the codec that wrote it, with Codecs(current, other).",
            )
    if not value.data:
        return b"", None
    try:
        raw = a2b_base64(value.data, strict_mode=True)
    except ValueError as error:
        msg = f"stored data is not base64: {error}"
        raise DecodingError(msg) from error
    try:
        return raw, loads(raw)
    except ValueError:
        pass
    try:
        return raw, text.read(raw)  # it knows numbers that the fast parser does not, and says what is wrong
    except ValueError as error:
        msg = f"stored data is not JSON: {error}"
        raise DecodingError(msg) from error


def _load(plan: Plan, json: Any, raw: bytes) -> Any:
    """Read a JSON value; where the fast parser may have made a float of a long whole number, parse it again."""
    try:
        return plan.load(json)
    except Misfit as misfit:
        if not misfit.big:
            raise
    return plan.load(text.read_big(raw))


def _cause(error: Exception) -> BaseException | None:
    """Return what the error that users get is raised from."""
    if isinstance(error, Misfit):
        return error.__cause__
    return None if isinstance(error, RecursionError) else error


def _unwritable(error: Exception) -> EncodingError:
    if isinstance(error, Misfit):
        where = f"{error.path} can't be written" if error.path else "the value can't be written"
        return EncodingError(f"{where}: {error.text}.", path=error.path, hint=error.hint)
    if isinstance(error, RecursionError):
        return EncodingError("a value is nested too deeply, or contains itself")
    return EncodingError(f"a value can't be written: {type(error).__name__}: {error}")


def _unreadable(error: Exception) -> DecodingError:
    if isinstance(error, Misfit):
        where = f"{error.path} does not fit" if error.path else "stored data does not fit"
        return DecodingError(f"{where}: {error.text}.", path=error.path, hint=error.hint)
    if isinstance(error, RecursionError):
        return DecodingError("stored data is nested too deeply")
    return DecodingError(f"stored data does not fit: {type(error).__name__}: {error}")
