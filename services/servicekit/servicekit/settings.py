"""Settings from flags and environment variables, and errors of one line that name the setting."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from typing import Literal, NoReturn, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    CliApp,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from servicekit.errors import exit_with
from servicekit.tls.files import TlsFileError, TlsFiles, load

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "text"]

OVERRIDES = "OVERRIDES"
"""A command's variable of this name holds a prefix: variables that begin so win over the command's own.

Who sets `SLOW_CLIENT_POLICY` for one of many clients is then told of that name, and not of `STOCK_CLIENT_POLICY`.
"""


class CommandSettings(BaseSettings):
    """Settings of a command, each a flag; in subclasses with an `env_prefix` an environment variable as well."""

    model_config = SettingsConfigDict(
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_exit_on_error=False,
        env_ignore_empty=True,
        frozen=True,
        validate_default=True,  # a default may be wrong here too: a folder that is a file
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment only for a command that has a prefix: else any POLICY or OUT would be a setting."""
        variables = (EnvSettingsSource(settings_cls, env_prefix=prefix) for prefix in _prefixes(settings_cls))
        return init_settings, *variables


class ServiceSettings(CommandSettings):
    """Settings that every service has."""

    model_config = SettingsConfigDict(cli_show_env_vars=True)

    log_level: LogLevel = Field("info", description="least level that is logged: debug, info, warning or error")
    log_format: LogFormat = Field("auto", description="json, text, or auto: text on a terminal, else json")
    metrics_tls_certificate: str | None = Field(
        None, description="file with the certificate of the metrics port, and its chain, in PEM; unset: no TLS there"
    )
    metrics_tls_key: str | None = Field(None, description="file with the key of that certificate, in PEM")
    metrics_tls_client_ca: str | None = Field(
        None, description="file with the authorities whose certificates may scrape, in PEM; unset: whoever connects may"
    )

    @property
    def metrics_tls(self) -> TlsFiles:
        """The files of the metrics port."""
        fields = ("metrics_tls_certificate", "metrics_tls_key", "metrics_tls_client_ca")
        return TlsFiles(self.metrics_tls_certificate, self.metrics_tls_key, self.metrics_tls_client_ca, fields)

    @property
    def all_tls(self) -> tuple[TlsFiles, ...]:
        """The files of all ports and connections."""
        return (self.metrics_tls,)

    @model_validator(mode="after")
    def _have_usable_files(self) -> ServiceSettings:
        for files in self.all_tls:
            try:
                load(files)
            except TlsFileError as error:
                raise ValueError(f"{names_of(type(self), error.field)}: {error}") from None
        return self


LONGEST_SHOWN = 200
"""Characters of a value, or of a reason that may hold one, in an error."""

Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(settings_type: type[Settings], arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings that flags and environment name; a flag wins over its variable.

    Ends the program with one line and exit status 2 where a value, a flag or a variable is not one.
    """
    program = str(settings_type.model_config.get("cli_prog_name"))
    flags = list(sys.argv[1:] if arguments is None else arguments)
    _refuse_unknown_variables(program, settings_type)
    _refuse_what_is_no_text(program, settings_type, flags)
    try:
        return CliApp.run(settings_type, cli_args=flags)
    except SettingsError as error:
        reason = _cut(str(error).removeprefix("error parsing CLI: "))
        exit_with(program, f"{reason}; see {program} --help")
    except ValidationError as error:
        exit_with(program, _first_problem(settings_type, error))


def exit_for_address(settings_type: type[BaseSettings], host: str, port: str, error: OSError) -> NoReturn:
    """End the program because it cannot listen, with one line that names the setting at fault: host or port."""
    program = str(settings_type.model_config.get("cli_prog_name"))
    at_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    field, takes = (host, "an address of this host") if at_host else (port, "a free port")
    exit_with(program, f"{names_of(settings_type, field)}: {error.strerror or error}; it takes: {takes}")


def names_of(settings_type: type[BaseSettings], field: str) -> str:
    """Return the flag of a field, and its variable where there is one, as a user types them."""
    flag = f"--{field.replace('_', '-')}"
    return f"{flag} ({_variable(settings_type, field)})" if settings_type.model_config.get("env_prefix") else flag


def _prefixes(settings_type: type[BaseSettings]) -> tuple[str, ...]:
    """Return what the variables begin with that are read, the ones that win first; none without a prefix."""
    own = str(settings_type.model_config.get("env_prefix", ""))
    overrides = os.environ.get(f"{own}{OVERRIDES}", "") if own else ""
    return tuple(prefix for prefix in (overrides, own) if prefix)


def _variable(settings_type: type[BaseSettings], field: str) -> str:
    """Return the variable that a field's value comes from, or would."""
    names = [f"{prefix}{field}".upper() for prefix in _prefixes(settings_type)]
    return next((name for name in names if os.environ.get(name)), names[-1])


def _refuse_unknown_variables(program: str, settings_type: type[BaseSettings]) -> None:
    prefixes = _prefixes(settings_type)
    fields = {OVERRIDES, *(field.upper() for field in settings_type.model_fields)}
    known = {f"{prefix}{field}" for prefix in prefixes for field in fields}
    unknown = sorted(name for name in os.environ if name.startswith(prefixes) and name not in known)
    if unknown:
        exit_with(program, f"no such setting: {unknown[0]}; see {program} --help")


def _refuse_what_is_no_text(program: str, settings_type: type[BaseSettings], flags: Sequence[str]) -> None:
    """End the program where a value is no text at all, or a flag's is empty, which would pass for none."""
    has_variables = bool(settings_type.model_config.get("env_prefix"))
    for field in settings_type.model_fields if has_variables else ():
        value = os.environ.get(_variable(settings_type, field), "")
        if not _is_text(value):
            exit_with(program, f"{names_of(settings_type, field)}: it is not UTF-8: {_cut(ascii(value))}")
    for before, flag in zip(("", *flags), flags, strict=False):
        if not _is_text(flag):
            exit_with(program, f"an argument is not UTF-8: {_cut(ascii(flag))}; see {program} --help")
        name, _, value = flag.partition("=") if "=" in flag else (before, "", flag)
        field = name.removeprefix("--").replace("-", "_")
        if not value and name.startswith("--") and field in settings_type.model_fields:
            takes = settings_type.model_fields[field].description
            exit_with(program, f"{names_of(settings_type, field)}: it is empty; it takes: {takes}")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_problem(settings_type: type[BaseSettings], error: ValidationError) -> str:
    problem = error.errors()[0]
    reason = _cut(problem["msg"].removeprefix("Value error, "))
    if not problem["loc"]:
        return reason
    field = str(problem["loc"][0])
    info = settings_type.model_fields.get(field)
    takes = f"; it takes: {info.description}" if info is not None else ""
    got = "" if "; got " in reason else f", got {_cut(repr(problem['input']))}"
    return f"{names_of(settings_type, field)}: {reason}{got}{takes}"
