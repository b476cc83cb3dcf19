#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Calls a PLC through the real erpc client library, as the IDEs from 2024-01 on do.

Which frame header is used depends on the installed library: erpc 1.11.0 or 1.12.0.

Reads requests as JSON lines from standard input and answers each with a JSON line:

  {"call": "GetPLCstatus"}
  {"result": {"code": 0, "outputs": {"status": 2, "counts": [1, 0, 3, 7]}}}

Bytes are {"hex": "..."}. Arguments, in the order of the interface:

  AppendChunkToBlob(data, blob)      GetLogMessage(level, id)     GetTraceVariables(token)
  MatchMD5(text)                     SeedBlob(seed)               NewPLC(md5, blob, [[name, blob], ...])
  SetTraceVariablesList([[index, force or null], ...])
  GetPLCID, GetPLCstatus, PurgeBlobs, RepairPLC, ResetLogCount, StartPLC, StopPLC: none

{"request": 77, "body": {"hex": "..."}} sends any request number with any body; the result is the raw reply body.
The connection is made by the first call and, after an error, by the next. With --key it is made through TLS, as IDEs
do for ERPCS://.
"""

import argparse
import socket
import ssl
import warnings

import erpc

import dialogue

SERVICE = 1


def write_files(codec, files):
    codec.start_write_list(len(files))
    for name, blob in files:
        codec.write_string(name)
        codec.write_binary(blob)


def write_variables(codec, variables):
    codec.start_write_list(len(variables))
    for index, force in variables:
        codec.write_uint32(index)
        codec.write_binary(b"" if force is None else force)


def read_samples(codec):
    return [
        (codec.read_uint32(), codec.read_binary())
        for _ in range(codec.start_read_list())
    ]


WRITERS = {
    "binary": lambda codec, value: codec.write_binary(value),
    "string": lambda codec, value: codec.write_string(value),
    "u8": lambda codec, value: codec.write_uint8(value),
    "u32": lambda codec, value: codec.write_uint32(value),
    "files": write_files,
    "variables": write_variables,
}

READERS = {
    "binary": lambda codec: codec.read_binary(),
    "bool": lambda codec: codec.read_bool(),
    "counts": lambda codec: [codec.read_uint32() for _ in range(4)],
    "i32": lambda codec: codec.read_int32(),
    "string": lambda codec: codec.read_string(),
    "u32": lambda codec: codec.read_uint32(),
    "samples": read_samples,
}

# name: (request number, types of the arguments, names and types of the outputs)
METHODS = {
    "AppendChunkToBlob": (1, ["binary", "binary"], {"blob": "binary"}),
    "GetLogMessage": (
        2,
        ["u8", "u32"],
        {"text": "string", "tick": "u32", "sec": "u32", "nsec": "u32"},
    ),
    "GetPLCID": (3, [], {"id": "string", "psk": "string"}),
    "GetPLCstatus": (4, [], {"status": "i32", "counts": "counts"}),
    "GetTraceVariables": (5, ["u32"], {"status": "i32", "samples": "samples"}),
    "MatchMD5": (6, ["string"], {"match": "bool"}),
    "NewPLC": (7, ["string", "binary", "files"], {"success": "bool"}),
    "PurgeBlobs": (8, [], {}),
    "RepairPLC": (9, [], {}),
    "ResetLogCount": (10, [], {}),
    "SeedBlob": (11, ["binary"], {"blob": "binary"}),
    "SetTraceVariablesList": (12, ["variables"], {"token": "i32"}),
    "StartPLC": (13, [], {}),
    "StopPLC": (14, [], {"success": "bool"}),
}


class KeyedTransport(erpc.transport.TCPTransport):
    """TLS 1.2 with any suite of OpenSSL's list PSK."""

    def __init__(self, host, port, key):
        # Not TCPTransport's own, which connects at once.
        super(erpc.transport.TCPTransport, self).__init__()
        self._isServer = False
        import sslpsk3

        identity, secret = key.split(":", 1)
        # As the IDE has it; Python would rather be given two bounds.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = sslpsk3.SSLPSKContext(ssl.PROTOCOL_TLSv1_2)
        context.set_ciphers("PSK")
        context.set_psk_client_callback(lambda hint: (identity, secret.encode()))
        plain = socket.create_connection((host, port))
        plain.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        self._sock = context.wrap_socket(plain, server_side=False)


class Client:
    def __init__(self, host, port, timeout, key):
        self.where = host, port
        self.timeout = timeout
        self.key = key
        self.manager = None

    def invoke(self, request):
        try:
            if "request" in request:
                return self.raw(request["request"], request.get("body", b""))
            return self.call(request["call"], request.get("args", []))
        except Exception:
            # What the stream holds now belongs to no call.
            self.manager = None
            raise

    def call(self, name, arguments):
        number, types, outputs = METHODS[name]
        if len(arguments) != len(types):
            raise TypeError(f"{name} takes {len(types)} arguments")

        def write(codec):
            for kind, value in zip(types, arguments):
                WRITERS[kind](codec, value)

        codec = self.perform(number, write)
        values = {key: READERS[kind](codec) for key, kind in outputs.items()}
        return {"code": codec.read_uint32(), "outputs": values}

    def raw(self, number, body):
        codec = self.perform(number, lambda codec: codec.buffer.extend(body))
        return bytes(codec.buffer[8:])

    def perform(self, number, write):
        if self.manager is None:
            if self.key:
                transport = KeyedTransport(*self.where, self.key)
            else:
                transport = erpc.transport.TCPTransport(*self.where, False)
            transport._sock.settimeout(self.timeout)
            self.manager = erpc.client.ClientManager(
                transport, erpc.basic_codec.BasicCodec
            )
        request = self.manager.create_request()
        codec = request.codec
        codec.start_write_message(
            erpc.codec.MessageInfo(
                type=erpc.codec.MessageType.kInvocationMessage,
                service=SERVICE,
                request=number,
                sequence=request.sequence,
            )
        )
        write(codec)
        self.manager.perform_request(request)
        return codec


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds to wait for an answer"
    )
    parser.add_argument("--key", metavar="ID:SECRET", help="connect through TLS")
    chosen = parser.parse_args()
    host, port = chosen.address.rsplit(":", 1)
    dialogue.serve(Client(host, int(port), chosen.timeout, chosen.key).invoke)


if __name__ == "__main__":
    main()
