"""Ways to spoil what stands in files, each drawn at random."""

import json
import math
import struct
from copy import deepcopy
from random import Random
from typing import Any

import yaml

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 0.5, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf, 2**31,
    2**53 + 1, 2**63, 2**64, 10**20, -(10**20), 10**400, "", " ", "x", "0", "1", "nan", "null", "~", "true", "\0",
    "a\nb",
    "a\r\nb", "\t", "\x1b[2J", "\x85", "\x9b31m", "\u2028", "\ud800", "\udcff", "\u202eabc", "e\u0301", "é", "İ", "ﬁ",
    "\U0001d518", "\U0010ffff", "\ufeff", "..", "../../outside/kept.txt", "/etc/passwd", "${oc.env:HOME}", "${seed}",
    "${", "~root", "~nobody-of-this-name/x", "-", "--help", "a" * 10_000, "9" * 5000, "1e999", "2026-11-30",
    "http://127.0.0.1:9/x", "s3://x/y", "file:///etc/passwd", "%s%n{}", "`id`", "C:\\x", "/dev/zero", "/dev/full",
    "/proc/self/mem", "x" * 300, "a/b", [], {}, [[]], [None], [1, [2, [3]]], [0] * 10_000, {"": 1}, {"a": {"b": {}}},
    {"\0": "\0"}, ["a", 1, None], [1e308], [math.nan], ["x"] * 50,
)  # fmt: skip
RAW_JSON = (
    "9" * 5000, "1e999", "-", "[" * 500 + "]" * 500, "[" * 20_000, "{" * 5000, '"\\ud800"', '"\\u0000"', "tru", "''",
    "0x10", "01", "+1", "1.", "NaN", "Infinity", "1 // x", '"a" "b"', '{"a":1,"a":2}', "",
)  # fmt: skip
RAW_YAML = (
    "[" * 500, "{a: " * 200, "!!python/object/apply:os.system ['true']", "!!binary aGFsbG8=", "&a [*a]", "*b",
    "${oc.env:HOME}", "${oc.decode:1}", "2026-11-30", "1:30:00", "0x1F", "0o17", "1_000", ".inf", "-.INF", ".nan",
    "1e3", "|\n    a\n  b", ">", "'a", '"\\x00"', '"\\ud800"', "!x y", "? a", "- - - a", "{a, b}", "<<", "@", "%",
    "\t", "~",
    "[a, b", "a: b: c", "yes", "off", "9" * 5000, "''",
)  # fmt: skip
MORE_YAML = (
    "more: 1\n", "? ~\n: 1\n", "1: 1\n", "? [1, 2]\n: 1\n", "<<: {a: 1}\n", "seed: 1\nseed: 2\n", "---\na: 1\n",
    "...\n", "%YAML 9.9\n", "\x00", "\ufeff", "- a\n", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "\u2028a: 1\n",
    "a.b: 1\n",
    "model.hidden: 5\n", "_target_: os.system\n", "hydra: {run: {dir: /}}\n", "true: 1\n", "2026-11-30: 1\n",
)  # fmt: skip


def odd(draw: Random) -> Any:
    """A value that is rarely meant."""
    return draw.choice(ODD)


def shown(value: Any) -> str:
    """A value in a few characters."""
    text = (
        ascii(value)
        if not isinstance(value, int) or abs(value) < 10**30
        else f"an integer of {value.bit_length()} bits"
    )
    return text if len(text) < 60 else f"{text[:40]}... ({len(text)})"


def spoil_bytes(draw: Random, content: bytes) -> tuple[str, bytes]:
    """Bytes of which some are others."""
    place = draw.randrange(len(content) + 1)
    near = min(place, draw.choice((len(content), 64, 1024)))
    kind = draw.choice(
        ("flip", "flips", "cut", "cut out", "insert", "repeat", "zeros", "number", "swap", "utf-16", "crlf")
    )
    changed = bytearray(content)
    if kind == "flip" and content:
        changed[near - 1] ^= 1 << draw.randrange(8)
    elif kind == "flips":
        for _ in range(draw.randrange(1, 50) if content else 0):
            changed[draw.randrange(len(content))] = draw.randrange(256)
    elif kind == "cut":
        del changed[place:]
    elif kind == "cut out":
        del changed[near : near + draw.choice((1, 2, 8, 512))]
    elif kind == "insert":
        text = draw.choice(
            (b"\0", b"\n", b"\r", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xed\xa0\x80", bytes(100), b'"', b"{", b"-")
        )
        changed[near:near] = text
    elif kind == "repeat":
        changed += content[near:]
    elif kind == "zeros":
        size = draw.choice((1, 16, 600))
        changed[near : near + size] = bytes(len(changed[near : near + size]))
    elif kind == "number" and len(content) >= 8:
        value = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 1 << 40))
        packed = struct.pack("<Q", value)[: draw.choice((2, 4, 8))]
        near = max(0, near - 8)
        changed[near : near + len(packed)] = packed
    elif kind == "swap":
        half = len(content) // 2
        changed = bytearray(content[half:] + content[:half])
    elif kind == "utf-16":
        changed = bytearray(content.decode("latin-1").encode(draw.choice(("utf-16", "utf-16-le", "utf-16-be"))))
    elif kind == "crlf":
        changed = bytearray(content.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n", b"\x0b"))))
    return f"{kind} at {near} of {len(content)}", bytes(changed)


def spoil_value(draw: Random, value: Any) -> tuple[str, Any]:
    """A value of JSON of which a part is something else."""
    places = list(_places(value))
    if not places or draw.random() < 0.05:
        changed = odd(draw)
        return f"all is {shown(changed)}", changed
    path = draw.choice(places)
    above = value
    for step in path[:-1]:
        above = above[step]
    last, kind = path[-1], draw.random()
    name = ".".join(map(str, path))
    if kind < 0.12:
        del above[last]
        return f"{name} is left out", value
    if kind < 0.2 and isinstance(above, dict):
        key = str(odd(draw))
        above[key] = above.pop(last)
        return f"{name} is called {shown(key)}", value
    if kind < 0.28:
        other = draw.choice(places)
        found = above[last] if other[: len(path)] == path or path[: len(other)] == other else value
        for step in other if found is value else ():
            found = found[step]
        above[last] = deepcopy(found)
        return f"{name} is as {'.'.join(map(str, other))}", value
    if kind < 0.36 and isinstance(above[last], int | float) and not isinstance(above[last], bool):
        above[last] = draw.choice(
            (-above[last], above[last] * 10, above[last] + 1, above[last] // 3, str(above[last]), [above[last]])
        )
    elif kind < 0.42 and isinstance(above[last], str):
        text = above[last]
        above[last] = draw.choice(
            (
                text * 2,
                text.lower(),
                text[::-1],
                text + "\0",
                f" {text}",
                text.encode("utf-16-le").decode("latin-1"),
                text * 500,
            )
        )
    else:
        above[last] = odd(draw)
    return f"{name} is {shown(above[last])}", value


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    for step in value if isinstance(value, dict) else range(min(len(value), 20)) if isinstance(value, list) else ():
        yield (*path, step)
        yield from _places(value[step], (*path, step))


def as_json(draw: Random, value: Any) -> str:
    """A value as JSON, also one that no JSON has."""
    try:
        return json.dumps(value, ensure_ascii=draw.random() < 0.5)
    except ValueError:  # an integer of too many digits
        return "9" * 5000


def spoil_json(draw: Random, text: str) -> tuple[str, str]:
    """A JSON text, or lines of them, of which one is another."""
    lines = text.splitlines(keepends=True) if text.count("\n{") else [text]
    number = draw.randrange(len(lines)) if lines else 0
    try:
        value = json.loads(lines[number])
    except (ValueError, IndexError, RecursionError):  # it was spoiled before
        said, content = spoil_bytes(draw, text.encode(errors="surrogatepass"))
        return said, content.decode("latin-1")
    if draw.random() < 0.15:
        raw = draw.choice(RAW_JSON)
        if draw.random() < 0.3 or not isinstance(value, dict) or not value:
            lines[number] = raw + "\n"
            said = f"it is {shown(raw)}"
        else:
            key = draw.choice(list(value))
            marked = json.dumps(value | {key: "THE VALUE"})
            lines[number] = marked.replace('"THE VALUE"', raw) + "\n"
            said = f"{key} is {shown(raw)}"
    else:
        said, value = spoil_value(draw, value)
        lines[number] = as_json(draw, value) + "\n"
        if draw.random() < 0.1:
            lines.insert(number, draw.choice(("\n", "null\n", lines[number], "[]\n", "\ufeff", "\0\n")))
    return f"line {number + 1}: {said}" if len(lines) > 1 else said, "".join(lines)


def spoil_yaml(draw: Random, text: str) -> tuple[str, str]:
    """Settings of which one is another."""
    kind = draw.random()
    if kind < 0.2:
        more = draw.choice(MORE_YAML)
        return f"has {shown(more)}", text + more if draw.random() < 0.8 else more + text
    lines = text.splitlines(keepends=True)
    named = [number for number, line in enumerate(lines) if ":" in line]
    if kind < 0.45 and named:
        number = draw.choice(named)
        key, raw = lines[number].split(":")[0], draw.choice(RAW_YAML)
        lines[number] = f"{key}: {raw}\n"
        return f"{key.strip()} is {shown(raw)}", "".join(lines)
    try:
        value = yaml.safe_load(text)
        said, value = spoil_value(draw, value)
        return said, yaml.safe_dump(value, allow_unicode=draw.random() < 0.5, sort_keys=False)
    except (yaml.YAMLError, ValueError, RecursionError):
        said, content = spoil_bytes(draw, text.encode(errors="surrogatepass"))
        return said, content.decode("latin-1")


def spoil_safetensors(draw: Random, content: bytes) -> tuple[str, bytes]:
    """Weights whose header lies, or that are others."""
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    kind, raw = draw.random(), None
    names = [name for name in header if name != "__metadata__"]
    name, other = draw.choice(names), draw.choice(names)
    tensor = header[name]
    if kind < 0.15:
        said, header = spoil_value(draw, header)
    elif kind < 0.3:
        begin, end = tensor["data_offsets"]
        tensor["data_offsets"] = draw.choice(
            ([end, begin], [0, end], [begin, end + 4], [begin, 2**63], [2**63, 2**64 - 1], [-4, end], [begin + 1, end],
             header[other]["data_offsets"], [begin, begin], [0.5, end], [len(body), len(body) + 4])
        )  # fmt: skip
        said = f"{name} is at {tensor['data_offsets']}"
    elif kind < 0.42:
        tensor["dtype"] = draw.choice(("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "x", ""))
        said = f"{name} is of {tensor['dtype']}"
    elif kind < 0.57:
        shape = tensor["shape"]
        tensor["shape"] = draw.choice(
            ([], [0], [1, *shape], shape[::-1], [2**32, 2**32], [2**63], [-1], [2**64 - 1, 0], [0, 2**62], [*shape, 1],
             [math.prod(shape)], [1] * 1000, [1.5])
        )  # fmt: skip
        said = f"{name} has the shape {shown(tensor['shape'])}"
    elif kind < 0.65:
        del header[name]
        said = f"{name} is left out"
    elif kind < 0.7:
        header[draw.choice(("\0", "", "head.weight\0", "x" * 10_000, "__metadata__", "\ud800"))] = tensor
        said = f"{name} is there twice"
    elif kind < 0.85:
        value = draw.choice((math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45, 0.0, -1.0))
        begin, end = tensor["data_offsets"]
        whole = draw.random() < 0.5
        filled = struct.pack("<f", value) * ((end - begin) // 4 if whole else 1)
        body = body[:begin] + filled + body[begin + len(filled) :] if end > begin else body
        said = f"{name} is {value}{'' if whole else ' at its begin'}"
    else:
        raw = draw.choice((0, 1, 2**20, 2**31, 2**40, 2**63, 2**64 - 1, length - 1, length + 1))
        said = f"the header has {raw} bytes"
    text = as_json(draw, header).encode(errors="surrogatepass")
    return said, struct.pack("<Q", len(text) if raw is None else raw) + text + body
