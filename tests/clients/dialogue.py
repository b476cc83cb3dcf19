# SPDX-License-Identifier: MIT OR Apache-2.0
"""The dialogue that all client shims share: one JSON line in, one JSON line out.

Request:  {"call": "GetTraceVariables", "args": [1]}
Answer:   {"result": ...} or {"error": {"class": "...", "message": "..."}}
Bytes are {"hex": "..."} in both directions, and so may be any argument.
"""

import json
import sys


def from_json(value):
    """A JSON value as the client library wants it."""
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: from_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [from_json(inner) for inner in value]
    return value


def to_json(value):
    """What the client library returned, as a JSON value."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    return value


def class_name(error):
    """`module.Class` of an exception."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def serve(invoke):
    """Answers each line of standard input with `invoke(request)` until the input ends."""
    for line in sys.stdin:
        try:
            answer = {"result": to_json(invoke(from_json(json.loads(line))))}
        except Exception as error:  # whatever the library raises is the answer
            answer = {"error": {"class": class_name(error), "message": str(error)}}
        print(json.dumps(answer), flush=True)
