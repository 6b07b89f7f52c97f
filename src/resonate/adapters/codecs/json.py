"""The codec that ships: JSON by the declared types, in base64 as all SDKs send it.

Law 1: encode then decode gives an equal value, or encode raises.
Law 2: the same value is the same bytes in every process.
Law 3: nothing that is read is ever run: no pickle, no import by a name in the data.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from cattrs import Converter

from resonate.adapters.codecs import text
from resonate.adapters.codecs.book import PlanBook
from resonate.adapters.codecs.failures import Failures, brief
from resonate.adapters.codecs.leaves import LEAVES
from resonate.adapters.codecs.plan import NULL, Misfit, Plan, is_list, is_object, kind
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
        return self._write(lambda book: book.find(type_).dump(value))

    def decode(self, value: Value, type_: Any = Any, *, at: str = "") -> Any:
        """Read `value` as `type_`. Raise `DecodingError` with the path to what does not fit."""
        del at
        raw, json = _parse(value)
        return self._fit(raw, json, lambda book, json: book.find(type_).load(json))

    def encode_call(self, call: Call, signature: Signature, *, at: str = "") -> Value:
        """Write a call, each argument by its declared type. Raise `EncodingError`."""
        del at
        try:
            return self._write(lambda book: _dump_call(book, call, signature))
        except EncodingError as error:
            error.message = f"a call of {call.func}: {error.message}"
            raise

    def decode_call(self, value: Value, signature_of: Callable[[str, int | None], Signature], *, at: str = "") -> Call:
        """Read a call; `signature_of(func, version)` gives the types once the name is known.

        Raise `DecodingError`, or whatever `signature_of` raises.
        """
        del at
        raw, json = _parse(value)
        try:
            func, version = _callee(json)
        except Misfit as misfit:
            raise _decoding_error(misfit) from None
        signature = signature_of(func, version)
        try:
            args, kwargs = self._fit(raw, json, lambda book, json: _load_arguments(book, json, signature))
        except DecodingError as error:
            error.message = f"a call of {func}: {error.message}"
            raise
        return Call(func=func, args=args, kwargs=kwargs, version=version)

    # ------------------------------------------------------------ failures

    def encode_error(self, error: BaseException, *, at: str = "") -> Value:
        """Write a failure. Never raises: what can't be written is left out and said so."""
        del at
        try:
            raw = text.write(self._failures.dump(error))
        except Exception as failed:  # noqa: BLE001 - an exception's own attributes may do anything
            raw = text.write(brief(error, failed))
        return Value(HEADERS, _base64(raw))

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

    # ------------------------------------------------------------ text

    def _write(self, dump: Callable[[PlanBook], Any]) -> Value:
        try:
            json = dump(self._quick)
            if json is None:
                return NO_VALUE
            raw = self._text(json, dump)
        except Misfit as misfit:
            raise _encoding_error(misfit) from misfit.__cause__
        except RecursionError:
            raise EncodingError("a value is nested too deeply, or contains itself") from None
        except Exception as error:
            msg = f"a value can't be written: {type(error).__name__}: {error}"
            raise EncodingError(msg) from error
        return Value(HEADERS, _base64(raw))

    def _text(self, json: Any, dump: Callable[[PlanBook], Any]) -> bytes:
        """Write the text; where it may hold what the quick way overlooks, write it again the careful way."""
        try:
            raw = text.write_quickly(json)
        except TypeError:
            raw = None
        if raw is None or text.SENTINEL_END in raw:
            return text.write(dump(self._careful))
        return raw

    def _fit(self, raw: bytes, json: Any, load: Callable[[PlanBook, Any], Any]) -> Any:
        """Read a JSON value by its type; where the text holds what the quick way overlooks, the careful way."""
        try:
            book = self._careful if text.SENTINEL_END in raw else self._quick
            try:
                return load(book, json)
            except Misfit as misfit:
                if not misfit.big:
                    raise
            return load(book, text.read_big(raw))
        except Misfit as misfit:
            raise _decoding_error(misfit) from misfit.__cause__
        except RecursionError:
            raise DecodingError("stored data is nested too deeply") from None
        except Exception as error:
            msg = f"stored data does not fit: {type(error).__name__}: {error}"
            raise DecodingError(msg) from error


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


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
    why_not = _why_not(value.headers)
    if why_not is not None:
        raise NotReadableHere(
            f"{why_not}, which the JSON codec can't read",
            hint="Let it be read by the codec that wrote it, with Codecs(current, other).",
        )
    if not value.data:
        return b"", None
    try:
        raw = binascii.a2b_base64(value.data, strict_mode=True)
    except ValueError as error:
        msg = f"stored data is not base64: {error}"
        raise DecodingError(msg) from error
    try:
        return raw, text.read(raw)
    except ValueError as error:
        msg = f"stored data is not JSON: {error}"
        raise DecodingError(msg) from error


def _encoding_error(misfit: Misfit) -> EncodingError:
    where = f"{misfit.path} can't be written" if misfit.path else "the value can't be written"
    return EncodingError(f"{where}: {misfit.text}.", path=misfit.path, hint=misfit.hint)


def _decoding_error(misfit: Misfit) -> DecodingError:
    where = f"{misfit.path} does not fit" if misfit.path else "stored data does not fit"
    return DecodingError(f"{where}: {misfit.text}.", path=misfit.path, hint=misfit.hint)


# ---------------------------------------------------------------- calls


def _dump_call(book: PlanBook, call: Call, signature: Signature) -> dict[str, Any]:
    json: dict[str, Any] = {"func": call.func, "args": _positional(call.args, signature, book, "dump")}
    if call.kwargs:
        json["kwargs"] = _named(call.kwargs, signature, book, "dump")
    if call.version is not None:
        json["version"] = call.version
    return json


def _callee(json: Any) -> tuple[str, int | None]:
    if not is_object(json):
        raise Misfit(f"{kind(json)} where a call is expected")
    func, version = json.get("func"), json.get("version")
    if type(func) is not str:
        raise Misfit(f"{kind(func)} where a function's name is expected").inside(".func")
    if version is not None and type(version) is not int:
        raise Misfit(f"{kind(version)} where a version is expected").inside(".version")
    return func, version or None  # 0 is how the TypeScript SDK says "the latest"


def _load_arguments(book: PlanBook, json: Any, signature: Signature) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = json.get("args"), json.get("kwargs")
    if args is not None and not is_list(args):
        raise Misfit(f"{kind(args)} where a list of arguments is expected").inside(".args")
    if kwargs is not None and not is_object(kwargs):
        raise Misfit(f"{kind(kwargs)} where named arguments are expected").inside(".kwargs")
    return tuple(_positional(args or (), signature, book, "load")), _named(kwargs or {}, signature, book, "load")


def _positional(args: Iterable[Any], signature: Signature, book: PlanBook, way: Literal["dump", "load"]) -> list[Any]:
    out: list[Any] = []
    try:
        for arg in args:
            out.append(getattr(_positional_plan(len(out), signature, book), way)(arg))
    except Misfit as misfit:
        names, index = signature.names, len(out)
        raise misfit.inside(f".{names[index]}" if index < len(names) else f"args[{index}]") from misfit.__cause__
    return out


def _positional_plan(index: int, signature: Signature, book: PlanBook) -> Plan:
    declared = signature.positional
    if index < len(declared):
        return book.find(declared[index])
    if signature.rest is None:
        raise Misfit(f"an argument too many: the function takes {len(declared)}")
    return book.find(signature.rest)


def _named(
    kwargs: Mapping[str, Any], signature: Signature, book: PlanBook, way: Literal["dump", "load"]
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, arg in kwargs.items():
        try:
            out[name] = getattr(_named_plan(name, signature, book), way)(arg)
        except Misfit as misfit:
            raise misfit.inside(f".{name}") from misfit.__cause__
    return out


def _named_plan(name: str, signature: Signature, book: PlanBook) -> Plan:
    if name in signature.keyword:
        return book.find(signature.keyword[name])
    if signature.extra is None:
        raise Misfit("the function has no parameter of this name")
    return book.find(signature.extra)
