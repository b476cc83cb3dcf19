#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Calls a PLC through the real Pyro5 client library, as the IDEs from 2022-10 to 2024-01 do.

Reads requests as JSON lines from standard input and answers each with a JSON line:

  {"call": "SeedBlob", "args": [{"hex": "616263"}]}
  {"result": {"hex": "900150983cd24fb0d6963f7d28e17f72"}}

Bytes are {"hex": "..."}. Any method name is passed on; one that the greeting did not list fails in the library,
as in an IDE, unless the request says "raw": true. "object" names another object than PLCObject, "kwargs" gives
keyword arguments. The connection is made by the first call and, after an error that ends it, by the next.
"""

import argparse

import Pyro5
import Pyro5.api

import dialogue


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument(
        "--serializer", choices=["msgpack", "serpent"], default="msgpack"
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds to wait for an answer"
    )
    return parser.parse_args()


class Client:
    def __init__(self, address):
        self.address = address
        self.proxies = {}

    def proxy(self, name):
        if name not in self.proxies:
            self.proxies[name] = Pyro5.api.Proxy(f"PYRO:{name}@{self.address}")
        return self.proxies[name]

    def invoke(self, request):
        proxy = self.proxy(request.get("object", "PLCObject"))
        name, arguments = request["call"], request.get("args", [])
        keywords = request.get("kwargs", {})
        if request.get("raw"):
            return proxy._pyroInvoke(name, arguments, keywords)
        return getattr(proxy, name)(*arguments, **keywords)


def main():
    chosen = options()
    Pyro5.config.SERIALIZER = chosen.serializer
    Pyro5.config.COMMTIMEOUT = chosen.timeout
    if chosen.serializer == "serpent":
        # The IDEs of that time send bytes as b'..' literals, not as a dictionary of base64 text.
        Pyro5.config.SERPENT_BYTES_REPR = True
    dialogue.serve(Client(chosen.address).invoke)


if __name__ == "__main__":
    main()
