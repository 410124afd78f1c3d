"""Reading the config file: one clear line for every mistake, secrets by environment, paths from the file's folder."""

import contextlib
import difflib
import os
import secrets
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfoNotFoundError

from pydantic import BaseModel, ValidationError

from monitor.errors import WrongCall
from monitor.policies import CasePolicy
from monitor.section import Section
from monitor.settings import Settings

DEFAULT_NAME = "pingshao.toml"

_S = TypeVar("_S", bound=Section)

_EXPECTED = {
    "missing": "缺这个键",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "int_from_float": "应为整数",
    "float_parsing": "应为数字",
    "float_type": "应为数字",
    "finite_number": "应为数字",
    "greater_than_equal": "应不小于 {ge:g}",
    "less_than_equal": "应不大于 {le:g}",
    "bool_parsing": "应为 true 或 false",
    "bool_type": "应为 true 或 false",
    "string_type": "应为字符串",
    "list_type": "应为列表",
    "dict_type": "应为表",
    "model_type": "应为表",
    "path_type": "应为路径",
}


class ConfigError(WrongCall):
    """The config is wrong; the message is one line naming file, key and what was expected."""


def config_path(given: Path | None) -> Path:
    """The file to read: the one given, else ``$PINGSHAO_CONFIG``, else ``./pingshao.toml``."""
    return given or Path(os.environ.get("PINGSHAO_CONFIG") or DEFAULT_NAME)


def load(path: Path) -> Settings:
    """Read and check the config file.

    Relative paths are made absolute from the file's folder.

    Raises:
        ConfigError: the file is missing, not TOML, or says something unknown or wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: 读不到配置文件（{error.strerror}）；用 pingshao init 可以生成一份") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: 应为 UTF-8 编码") from None
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, tables nested 1,000 deep
        raise ConfigError(f"{path}: 不是合法的 TOML：{error}") from None
    try:
        settings = Settings(**raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error, Settings)}") from None
    settings = _absolute(settings, path.resolve().parent)
    for problem in problems(settings):
        raise ConfigError(f"{path}: {problem}")
    return settings


def secret(name: str) -> str:
    """A secret from the environment by its variable's name; empty when unset."""
    return os.environ.get(name, "") if name else ""


def secrets_of(settings: Settings) -> set[str]:
    """The values of all variables of the environment that the config names: what must never be shown."""

    def named(value: Any) -> Iterator[str]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield from [inner] if isinstance(inner, str) and str(key).endswith("_env") else named(inner)
        for inner in value if isinstance(value, list) else ():
            yield from named(inner)

    return {secret(name) for name in named(settings.model_dump())} - {""}


def signing_secret(settings: Settings) -> bytes:
    """What signs links and salts author hashes; made once and kept in ``var_dir`` when not in the environment."""
    if given := secret(settings.service.secret_env):
        return given.encode()
    path = settings.service.var_dir / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secret.{os.getpid()}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
            os.link(draft, path)
        draft.unlink()
    return path.read_bytes()


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """The mistake in one line: which key, and what was expected."""
    first = _first(error)
    place = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, first["loc"][:-1])
        return f"{place}: 没有这个键{nearest(str(first['loc'][-1]), known)}"
    if first["type"] == "literal_error":
        return f"{place}: 应为 {first['ctx']['expected'].replace(' or ', ' 或 ')}，实为 {first['input']!r}"
    if first["type"] == "value_error":
        return f"{place}: {first['ctx']['error']}" if place else str(first["ctx"]["error"])
    sentence = _EXPECTED.get(first["type"], "")
    expected = sentence.format(**first.get("ctx", {})) or first["msg"]
    found = "" if first["type"] == "missing" else f"，实为 {first['input']!r}"
    return f"{place}: {expected}{found}"


def _first(error: ValidationError) -> Any:
    """The mistake to name: a misspelt key before the missing one it was meant to be."""
    errors = error.errors()
    return next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])


def nearest(word: str, known: Iterable[str]) -> str:
    """``，是不是 "every"？`` for the nearest known word, else the list of all."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'，是不是 "{close[0]}"？' if close else f"；可用的有 {'、'.join(known)}"


def _place(loc: tuple[int | str, ...]) -> str:
    words = ""
    for part in loc:
        words += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return words.lstrip(".")


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        if isinstance(part, str):
            kind = model.model_fields[part].annotation
            kind = getattr(kind, "__args__", (kind,))[0]
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return list(model.model_fields)


def _absolute(settings: Settings, folder: Path) -> Settings:
    def from_folder(path: Path) -> Path:
        return path if path.is_absolute() else folder / path

    service = settings.service
    folder = from_folder(service.base_dir)
    url = service.database_url
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/") and url != prefix:
        url = prefix + str(folder / url.removeprefix(prefix))
    service = _with(service, base_dir=folder, var_dir=from_folder(service.var_dir), database_url=url)
    scoring = settings.scoring
    if scoring.weights:
        scoring = _with(scoring, weights=from_folder(scoring.weights))
    return settings.model_copy(update={"service": service, "scoring": scoring})


def _with(section: _S, **values: Any) -> _S:
    return section.model_copy(update=values)


def problems(settings: Settings) -> Iterator[str]:
    """What its parts say that does not fit together, one line each."""
    try:
        _ = settings.zone
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a zone that is named in the file was looked up already
        name = settings.service.timezone
        yield f"service.timezone: 读不到时区 {name} 的数据，请安装系统的 tzdata 包，或 pip install tzdata"
    shops = {shop.id for shop in settings.shops}
    channels = {channel.name for channel in settings.channels} | {"mail"}
    for table, names in (
        ("shops", [shop.id for shop in settings.shops]),
        ("sources", [source.name for source in settings.sources]),
        ("channels", [channel.name for channel in settings.channels]),
        ("people", [person.name for person in settings.people]),
    ):
        yield from (f"{table}[{n}]: 名字 {name!r} 重复了" for n, name in enumerate(names, 1) if name in names[: n - 1])
    for n, source in enumerate(settings.sources, 1):
        if source.shop is not None and source.shop not in shops:
            yield f"sources[{n}].shop: 没有叫 {source.shop!r} 的店铺{nearest(source.shop, shops)}"
        yield from (f"sources[{n}].{problem}" for problem in connector_problems(source.kind, source.options))
    yield from _duty_checks(settings, shops)
    for route, names in settings.routes.model_dump().items():
        for name in names:
            if name not in channels:
                yield f"routes.{route}: 没有叫 {name!r} 的渠道{nearest(name, channels)}"


def _duty_checks(settings: Settings, shops: set[str]) -> Iterator[str]:
    """People, shops and categories that people, rotas and clocks name."""
    people = {person.name for person in settings.people}
    codes = {*settings.policy.case.categories, *(code for person in settings.people for code in person.categories)}
    if not codes <= set(CasePolicy().categories):
        from monitor.categories import complaints

        codes = set(complaints())
    named = [(f"people[{n}].shops", person.shops, "店铺", shops) for n, person in enumerate(settings.people, 1)]
    named += [(f"people[{n}].categories", one.categories, "类别", codes) for n, one in enumerate(settings.people, 1)]
    named += [(f"rotas[{n}].people", rota.people, "人", people) for n, rota in enumerate(settings.rotas, 1)]
    named += [(f"rotas[{n}].shops", rota.shops, "店铺", shops) for n, rota in enumerate(settings.rotas, 1)]
    named.append(("policy.case.categories", [*settings.policy.case.categories], "类别", codes))
    for place, names, what, known in named:
        yield from (f"{place}: 没有叫 {name!r} 的{what}{nearest(name, known)}" for name in names if name not in known)


def connector_problems(kind: str, options: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a source's own keys, as ``key: what was expected``; nothing where all is well."""
    from crawler import connectors

    if kind not in connectors.kinds():
        yield f"kind: 没有 {kind!r} 这种来源{nearest(kind, connectors.kinds())}"
        return
    model = connectors.load(kind).Options
    try:
        model(**options)
    except ValidationError as error:
        first = _first(error)
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            known = [*model.model_fields, *_source_keys()]
            yield f"{first['loc'][0]}: {kind} 没有这个键{nearest(str(first['loc'][0]), known)}"
        else:
            yield describe(error, model)


def _source_keys() -> list[str]:
    from monitor.settings import Source

    return list(Source.model_fields)
