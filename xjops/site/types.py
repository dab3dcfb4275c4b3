"""The value types of a site's keys: what each accepts, beyond its Python type."""

from __future__ import annotations

import re
import zoneinfo
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"{LABEL}(\.{LABEL})*")
DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})+")


def _text_only(value: Any) -> Any:
    # ipaddress takes a number for an address (10 is 0.0.0.10): in a site that is a slip.
    if isinstance(value, (str, IPv4Address, IPv4Network)):
        return value
    raise ValueError("is no text")


def _host_name(value: str) -> str:
    if not HOST_NAME.fullmatch(value):
        raise ValueError("is no host name or address")
    return value


def _domain(value: str) -> str:
    if not DOMAIN.fullmatch(value) or value.replace(".", "").isdigit():
        raise ValueError("is no domain name")
    return value


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone") from None
    return value


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Address = Annotated[IPv4Address, BeforeValidator(_text_only)]
Subnet = Annotated[IPv4Network, BeforeValidator(_text_only)]
Region = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{5}$")]
HostName = Annotated[str, AfterValidator(_host_name)]
Domain = Annotated[str, AfterValidator(_domain)]
Zone = Annotated[str, AfterValidator(_zone)]
Export = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*:/[^\s]+$")]
Mount = Annotated[str, StringConstraints(pattern=r"^/[^\s]+$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[^\s]*)?$")]
