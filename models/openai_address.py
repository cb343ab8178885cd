"""Where a server is and what HTTP's headers say: addresses, proxies, and the words of a header, without any line."""

from __future__ import annotations

import base64
import ipaddress
import os
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from edge.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked(url: str) -> tuple[str, str, str]:
    """Gives url, host and ``HOST:PORT``. Raises ConfigError, without the url where it may hold a password."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError("url: its host or port is none") from error
    if parts.username or parts.password:
        raise ConfigError("url: a password has no place in it: name the variable that holds the key in key_env")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.query
        or parts.fragment
        or not url.isprintable()
        or " " in url
    ):
        raise ConfigError(f"url: {url!r} should look like http://HOST:PORT/v1")
    return url.rstrip("/"), host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_for(url: str, host: str) -> tuple[str | None, dict[str, str] | None]:
    """Gives the proxy on the way to a host, and what to tell it. Raises ConfigError for one that is none of HTTP's."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None, None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(urllib.parse.urlsplit(url).scheme) or proxies.get("all")
    if not proxy:
        return None, None
    parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"the environment names a proxy of the kind {parts.scheme}: only http and https are supported")
    if parts.username is None:
        return parts.geturl(), None
    named = ":".join(urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    told = {"Proxy-Authorization": "Basic " + base64.b64encode(named.encode()).decode("ascii")}
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), told


def parameters(header: str) -> Iterator[tuple[str, str]]:
    """Gives what stands behind the media type in a ``Content-Type``, names in lower case."""
    for part in header.split(";")[1:]:
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip().strip('"')


def retry_after(headers: Mapping[str, str]) -> float:
    """Gives the seconds of ``Retry-After``, 0 without; a date counts from the answer's own ``Date``, not from our clock."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 86_400))
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), 86_400.0)


def reason(error: OSError) -> str:
    """Gives why a connection failed, in the system's words."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else "no such name is known"
