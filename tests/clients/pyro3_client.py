# -*- coding: utf-8 -*-
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Calls a PLC through the real Pyro 3.16 on Python 2.7, as the IDEs from 2013 to 2022 do.

  --ide files      2015 to 2018: whole files in NewPLC, no token, samples over a second connection
  --ide connector  2019 on: through the connector of an IDE of that time, which is in /opt/ide

Reads requests as JSON lines from standard input and answers each with a JSON line, as dialogue.py does, which needs
Python 3. Texts are sent as Python 2's str. Bytes are {"hex": "..."}, texts of its other type {"unicode": "..."}, spans of
time {"timedelta": [days, seconds, microseconds]}. Further requests:

  {"upload": {"hex": "..."}, "seed": "x"}   the connector's own transfer of a file; the result is the blob's id
  {"logger": true}                          what the connector told its user since the last such request, and whether it
                                            has dropped the connection
  {"wire": 4}                               from the next connection on, the wire version of Pyro 3.9.1
"""

from __future__ import print_function

import argparse
import copy
import datetime
import json
import os
import sys

import Pyro.core
import Pyro.errors
import Pyro.protocol

TIMEOUT = 60


def from_json(value, depth=0):
    """A JSON value as an IDE passes it: lists of tuples."""
    if isinstance(value, unicode):
        return value.encode("utf-8")
    if isinstance(value, list):
        items = [from_json(item, depth + 1) for item in value]
        return items if depth < 2 else tuple(items)
    if isinstance(value, dict):
        if "hex" in value:
            return value["hex"].decode("hex")
        if "unicode" in value:
            return value["unicode"]
        return datetime.timedelta(*value["timedelta"])
    return value


def as_hex(value):
    return value if value is None else {"hex": value.encode("hex")}


def to_json(method, value):
    """What a method returned. Only the method tells whether a str is text or bytes."""
    if method in ("SeedBlob", "AppendChunkToBlob", "upload"):
        return as_hex(value)
    if method == "GetTraceVariables":
        status, samples = value
        return [status, [[tick, as_hex(data)] for tick, data in samples or []]]
    return value


class Files(object):
    """An IDE of the time of whole files."""

    def __init__(self, address, project, key):
        self.proxy = Pyro.core.getAttrProxyForURI(
            "PYROLOC://%s/PLCObject" % address
        )
        self.proxy.adapter.setTimeout(TIMEOUT)
        self.for_traces = None

    def call(self, method, arguments, keywords):
        proxy = self.proxy
        if method == "GetTraceVariables":
            if self.for_traces is None:
                self.for_traces = copy.copy(self.proxy)
                self.for_traces.adapter.setTimeout(TIMEOUT)
            proxy = self.for_traces
        return getattr(proxy, method)(*arguments, **keywords)


class Connector(object):
    """An IDE's own connector, and what it expects of the IDE around it."""

    def __init__(self, address, project, key):
        import __builtin__

        __builtin__._ = lambda text: text
        sys.path.insert(0, "/opt/ide")
        import connectors

        self.logger = self
        self.lines = []
        self.dropped = False
        self.ProjectPath = project
        uri = "PYRO://" + address
        if key:
            identity = key.partition(":")[0]
            uri = "PYROS://%s#%s" % (address, identity)
            os.mkdir(os.path.join(project, "psk"))
            with open(os.path.join(project, "psk", identity + ".secret"), "w") as kept:
                kept.write(key)
        self.connector = connectors.ConnectorFactory(uri, self)
        if self.connector is None:
            raise RuntimeError("no connection: %s" % self.lines)

    def write(self, text):
        self.lines.append(text)

    write_warning = write_error = write

    def _SetConnector(self, connector):
        self.dropped = connector is None

    def call(self, method, arguments, keywords):
        return getattr(self.connector, method)(*arguments, **keywords)

    def upload(self, data, seed):
        path = os.path.join(self.ProjectPath, "file")
        with open(path, "wb") as target:
            target.write(data)
        return self.connector.BlobFromFile(path, seed)

    def heard(self):
        """Lines, whether dropped, files that the connector has left in the project."""
        lines, self.lines = self.lines, []
        kept = os.path.join(self.ProjectPath, "psk")
        keys = os.listdir(kept) if os.path.isdir(kept) else []
        return {"lines": lines, "dropped": self.dropped, "keys": keys}


class Client(object):
    def __init__(self, connect):
        self.connect = connect
        self.ide = None

    def answer(self, request):
        if "wire" in request:
            Pyro.protocol.PYROAdapter.version = request["wire"]
            return None
        if self.ide is None:
            self.ide = self.connect()
        if "logger" in request:
            return self.ide.heard()
        if "upload" in request:
            data, seed = from_json(request["upload"]), from_json(request["seed"])
            return to_json("upload", self.ide.upload(data, seed))
        method = request["call"].encode("ascii")
        arguments = from_json(request.get("args", []))
        keywords = {
            key.encode("ascii"): from_json(value)
            for key, value in request.get("kwargs", {}).items()
        }
        return to_json(method, self.ide.call(method, arguments, keywords))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--ide", choices=["files", "connector"], required=True)
    parser.add_argument("--project", help="an empty directory, for --ide connector")
    parser.add_argument("--key", metavar="ID:SECRET", help="connect through TLS, with --ide connector")
    chosen = parser.parse_args()
    # The connector prints what goes wrong.
    answers, sys.stdout = sys.stdout, sys.stderr
    kind = {"files": Files, "connector": Connector}[chosen.ide]
    client = Client(lambda: kind(chosen.address, chosen.project, chosen.key))
    # Not `for line in`: that would read ahead.
    for line in iter(sys.stdin.readline, ""):
        try:
            answer = {"result": client.answer(json.loads(line))}
        except Exception as error:  # whatever the library raises is the answer
            kind_of = "%s.%s" % (type(error).__module__, type(error).__name__)
            answer = {"error": {"class": kind_of, "message": str(error)}}
        # Texts of the PLC may be in any encoding.
        print(json.dumps(answer, encoding="latin-1"), file=answers)
        answers.flush()


if __name__ == "__main__":
    main()
