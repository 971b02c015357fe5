"""Recipe files as mappings: JSON, or YAML; the plain part of YAML also without PyYAML.

The ready recipes keep to that plain part, so that a bare machine with a GPU can read them: ``key: value`` lines,
sections indented by spaces, ``#`` comments, values that are JSON or bare words.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from ncl_model.errors import ConfigInvalid

_LINE = re.compile(r"^( *)([A-Za-z_]\w*):(?: +(.*))?$")
_NOT_PLAIN = ("&", "*", "!", "|", ">", "@", "`", "%", "- ")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read_mapping(path: Path) -> dict[str, Any]:
    """The file's mapping. Raises ConfigInvalid, which names the file, when it is away or no mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid("config", f"cannot read {path} ({error})") from error
    values = _parse(path, text)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigInvalid("config", f"{path} is not a mapping of names to values")
    return values


def parse_plain(text: str, path: object = "the recipe") -> dict[str, Any]:
    """Read the plain part of YAML. Raises ConfigInvalid, with the line, for anything beyond it."""
    root: dict[str, Any] = {}
    sections: list[tuple[int, dict[str, Any]]] = [(0, root)]
    opened: tuple[dict[str, Any], str] | None = None
    for count, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if not line or line == "---":
            continue
        match = _LINE.match(line)
        if match is None:
            raise _beyond(path, count)
        indent, key, value = len(match[1]), match[2], match[3]
        if opened and indent > sections[-1][0]:
            holder, name = opened
            holder[name] = {}
            sections.append((indent, holder[name]))
        while sections[-1][0] > indent:
            sections.pop()
        if sections[-1][0] != indent or key in sections[-1][1]:
            raise _beyond(path, count)
        section = sections[-1][1]
        section[key] = _value(value or "", path, count)
        opened = None if value else (section, key)
    return root


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        try:
            return json.loads(text, object_pairs_hook=lambda pairs: _once(path, pairs))
        except json.JSONDecodeError as error:
            raise ConfigInvalid("config", f"{path} is not JSON ({error})") from error
    if importlib.util.find_spec("yaml") is None:
        return json.loads(text) if _is_json(text) else parse_plain(text, path)
    import yaml

    try:
        _check_names(path, yaml.compose(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigInvalid("config", f"{path} is not YAML ({error})") from error


def _check_names(path: Path, node: Any) -> None:
    """Raise ConfigInvalid where a mapping has a name twice: YAML's reader takes the last one without a word."""
    if getattr(node, "id", None) != "mapping":
        return
    _once(path, [(name.value, None) for name, _ in node.value if name.id == "scalar"])
    for _, value in node.value:
        _check_names(path, value)


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ConfigInvalid(name, f"{path} has it twice; leave one of them out")
        values[name] = value
    return values


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _value(text: str, path: object, line: int) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text.startswith(_NOT_PLAIN):
        raise _beyond(path, line)
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if text[0] in "\"'[{":
            raise _beyond(path, line) from None
        return text


def _beyond(path: object, line: int) -> ConfigInvalid:
    return ConfigInvalid("config", f"{path}, line {line}: not `name: value`; for all of YAML, pip install pyyaml")
