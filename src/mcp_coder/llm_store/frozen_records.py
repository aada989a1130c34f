"""Records that are made by keyword and never changed, without the price of making their classes.

``record`` does what ``dataclass(frozen=True, kw_only=True)`` does, and type checkers take it for that. But
``dataclass`` writes and compiles the methods of each class anew: for the few records of a turn that takes longer than
to write the turn. Here all share those of ``Record``, which read the fields. ``dataclasses.fields``, ``replace`` and
``asdict`` work as ever. Nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast

__all__ = ["Record", "filled", "record"]

R = TypeVar("R", bound="Record")


class _Signature:
    """The parameters of a record, worked out when ``help`` or a notebook asks for them."""

    def __get__(self, record: object, cls: type[Record]) -> object:
        import inspect

        return inspect.Signature([_parameter(inspect.Parameter, field) for field in _fields(cls)])


def _parameter(kind: Any, field: dataclasses.Field[Any]) -> Any:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    shown = kind.empty if default is dataclasses.MISSING else default
    return kind(field.name, kind.KEYWORD_ONLY, default=shown, annotation=field.type)


class Record:
    """What all records share: they are made of their fields, and equal and shown by them."""

    _names: ClassVar[frozenset[str]]
    _defaults: ClassVar[Mapping[str, Any]]
    _factories: ClassVar[Mapping[str, Callable[[], Any]]]
    __signature__: ClassVar[Any] = _Signature()

    def __init__(self, **given: Any) -> None:
        made = {**self._defaults, **given}
        for name, factory in self._factories.items():
            if name not in made:
                made[name] = factory()
        if made.keys() != self._names:
            raise TypeError(_wrong_fields(type(self), made))
        self.__dict__.update(made)

    if TYPE_CHECKING:
        pass  # type checkers know it of each field; shown these, they would believe that any other name is one
    else:

        def __setattr__(self, name: str, value: object) -> NoReturn:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> NoReturn:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[field.name] for field in _fields(type(self))))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in _fields(type(self)))
        return f"{type(self).__name__}({', '.join(shown)})"


def _wrong_fields(cls: type[Record], made: Mapping[str, object]) -> str:
    unknown, missing = sorted(made.keys() - cls._names), sorted(cls._names - made.keys())
    told = [f"has no field {', '.join(unknown)}"] * bool(unknown) + [f"needs {', '.join(missing)}"] * bool(
        missing
    )
    return f"{cls.__name__} {' and '.join(told)}"


def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def filled(cls: type[R], fields: dict[str, Any]) -> R:
    """Return a record whose fields are all given, without looking: for those that are read by the thousand."""
    made = object.__new__(cls)
    object.__setattr__(made, "__dict__", fields)
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(**_how: bool) -> Callable[[type[R]], type[R]]:
        """Make a class derived from ``Record`` a record; called as ``record(frozen=True, kw_only=True)``."""
        return _as_record


def _as_record(cls: type[R]) -> type[R]:
    made = cast(
        "type[R]",
        dataclasses.dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=True)(cls),
    )
    fields, nothing = _fields(made), dataclasses.MISSING
    made._names = frozenset(field.name for field in fields)
    made._defaults = {field.name: field.default for field in fields if field.default is not nothing}
    made._factories = {
        field.name: field.default_factory for field in fields if field.default_factory is not nothing
    }
    return made
