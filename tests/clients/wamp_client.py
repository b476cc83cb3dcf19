#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Calls a PLC through the real autobahn client library, as IDEs do whose URI is WAMP://HOST:PORT#REALM#ID.

Reads requests as JSON lines from standard input and answers each with a JSON line:

  {"call": "SeedBlob", "args": [{"hex": "616263"}]}
  {"result": {"hex": "900150983cd24fb0d6963f7d28e17f72"}}

Bytes are {"hex": "..."}. Besides calls there are:

  {"each": ["plc1", "plc2"], "call": "GetPLCstatus"}   the same call to several PLCs at once; their answers
  {"subscribe": "status"}                              to a topic of the PLC
  {"event": "status"}                                  waits for the next event of a subscribed topic; its arguments
  {"publish": "event", "args": []}                     to a topic of the PLC, acknowledged
  {"leave": true}                                      says goodbye; the reason in the answer

With `--ide python2` texts are sent as bytes, as IDEs do that run on Python 2. The session is joined by the first
request and, after it has ended, by the next.

With `--ide 2025` the client is an IDE since 2025: the scheme of the URI says how it shows who it is (SCHEMES), and its
session is over, for good, as soon as a call is answered by an error.
"""

import argparse
import queue
import threading
from urllib.parse import urlsplit

from autobahn.twisted.wamp import ApplicationSession
from autobahn.twisted.websocket import WampWebSocketClientFactory, connectWS
from autobahn.wamp import auth, serializer
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import ComponentConfig, PublishOptions
from twisted.internet import defer, reactor, ssl, threads
from twisted.python import failure

import dialogue

SERIALIZERS = {
    "msgpack": serializer.MsgPackSerializer,
    "json": serializer.JsonSerializer,
}


# Schemes of IDEs since 2025: method of authentication, and whether the router's certificate is verified.
SCHEMES = {
    "WAMP": ("wampcra", True),
    "WAMP-ANNON": ("anonymous", True),
    "WAMPS": ("wampcra", True),
    "WAMPS-ANNON": ("anonymous", True),
    "WAMPS-NOVERIFY": ("wampcra", False),
    "WAMPS-INSECURE": ("anonymous", False),
    "WAMPS-CRT": ("tls", True),
}


class NotJoined(Exception):
    """Why there is no session."""


def python2_text(value):
    """A value as Python 2 has it, whose plain texts are bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [python2_text(inner) for inner in value]
    return value


class Session(ApplicationSession):
    """One membership in the realm; tells `outcome` that it has joined, or that it will not."""

    def onConnect(self):
        who = self.config.extra
        if who.ide == "2025":
            authid = None if who.method == "anonymous" else who.authid
            self.join(self.config.realm, [who.method], authid)
        elif who.secret is None:
            self.join(self.config.realm)
        else:
            self.join(self.config.realm, [who.method], who.authid)

    def onChallenge(self, challenge):
        secret = self.config.extra.secret
        if challenge.method == "ticket":
            return secret
        extra = challenge.extra
        if "salt" in extra:
            secret = auth.derive_key(
                secret, extra["salt"], extra["iterations"], extra["keylen"]
            )
        return auth.compute_wcs(secret, extra["challenge"])

    def onJoin(self, details):
        self.ended = defer.Deferred()
        self.outcome.put(self)

    def onLeave(self, details):
        self.outcome.put(NotJoined(f"{details.reason}: {details.message}"))
        self.disconnect()

    def onDisconnect(self):
        self.outcome.put(NotJoined("the connection has ended"))
        if hasattr(self, "ended"):
            self.ended.callback(None)


class Factory(WampWebSocketClientFactory):
    """The connection of one session."""

    def __init__(self, outcome, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.outcome = outcome

    def clientConnectionFailed(self, connector, reason):
        self.outcome.put(NotJoined(reason.getErrorMessage()))


class Client:
    def __init__(self, chosen):
        url, self.realm, self.plc = chosen.uri.split("#")
        scheme, place = url.split("://")
        self.url = f"{'wss' if scheme.startswith('WAMPS') else 'ws'}://{place}"
        self.verify = True
        if chosen.ide == "2025":
            chosen.method, self.verify = SCHEMES[scheme]
        self.chosen = chosen
        self.is_over = False
        self.session = None
        self.events = {}

    def invoke(self, request):
        if self.is_over:
            raise NotJoined("the IDE has closed its session because of an error")
        try:
            return self.carry_out(request)
        except ApplicationError:
            self.is_over = self.chosen.ide == "2025"
            raise

    def carry_out(self, request):
        session = self.joined()
        if "call" in request:
            return self.call(session, request)
        if "subscribe" in request:
            topic = self.topic(request["subscribe"])
            # Before the answer: the first event may come with it.
            events = self.events.setdefault(topic, queue.Queue())
            handler = lambda *arguments: events.put(list(arguments))
            self.wait(session.subscribe, handler, topic)
            return None
        if "event" in request:
            return self.events[self.topic(request["event"])].get(
                timeout=self.chosen.timeout
            )
        if "publish" in request:
            acknowledged = PublishOptions(acknowledge=True)
            topic, arguments = self.topic(request["publish"]), request.get("args", [])
            self.wait(session.publish, topic, *arguments, options=acknowledged)
            return None
        if "leave" in request:
            threads.blockingCallFromThread(reactor, session.leave)
            self.wait(lambda: session.ended)
            return None
        raise ValueError(f"not a request: {request}")

    def call(self, session, request):
        name, arguments = request["call"], request.get("args", [])
        if self.chosen.ide == "python2":
            arguments = python2_text(arguments)
        if "each" not in request:
            return self.wait(session.call, f"{self.plc}.{name}", *arguments)
        names = [f"{plc}.{name}" for plc in request["each"]]
        calls = lambda: defer.gatherResults(
            [session.call(name, *arguments) for name in names], consumeErrors=True
        )
        try:
            return self.wait(calls)
        except defer.FirstError as first:
            raise first.subFailure.value from None

    def topic(self, name):
        return f"{self.plc}.{name}"

    def wait(self, function, *arguments, **keywords):
        """What `function` of the library brings in the end.

        Not through the library's own time limit: what is asked of a session while its connection closes is never
        answered, and cannot be cancelled either.
        """

        def begin():
            done = defer.Deferred()

            def settle(outcome):
                if not done.called:
                    limit.cancel()
                    done.callback(outcome)

            def fail(error):
                if not done.called:
                    done.errback(error)

            limit = reactor.callLater(
                self.chosen.timeout, fail, TimeoutError("no answer")
            )
            defer.maybeDeferred(function, *arguments, **keywords).addBoth(settle)
            ended = NotJoined("the connection has ended")
            self.session.ended.addCallback(lambda _: settle(failure.Failure(ended)))
            return done

        return threads.blockingCallFromThread(reactor, begin)

    def joined(self):
        """The session, joined if it is not."""
        if self.session is None or not self.session.is_attached():
            self.session = None
            outcome = queue.Queue()
            threads.blockingCallFromThread(reactor, self.connect, outcome)
            found = outcome.get(timeout=self.chosen.timeout)
            if isinstance(found, Exception):
                raise found
            self.session = found
            self.events = {}
        return self.session

    def connect(self, outcome):
        config = ComponentConfig(self.realm, self.chosen)
        session = Session(config)
        session.outcome = outcome
        factory = Factory(
            outcome,
            lambda: session,
            url=self.url,
            serializers=[SERIALIZERS[self.chosen.serializer]()],
        )
        connectWS(factory, self.trust())

    def trust(self):
        """How TLS begins; `None`: as the library does it."""
        if not self.verify:
            return ssl.CertificateOptions(verify=False)
        if not self.chosen.ca:
            return None
        with open(self.chosen.ca, "rb") as file:
            authority = ssl.Certificate.loadPEM(file.read())
        own = None
        if self.chosen.method == "tls":
            with open(self.chosen.certificate, "rb") as file:
                own = ssl.PrivateCertificate.loadPEM(file.read())
        host = urlsplit(self.url).hostname
        return ssl.optionsForClientTLS(
            host, trustRoot=authority, clientCertificate=own
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("uri", metavar="SCHEME://HOST:PORT#REALM#ID")
    parser.add_argument("--ide", choices=["python3", "python2", "2025"], default="python3")
    parser.add_argument(
        "--serializer", choices=sorted(SERIALIZERS), default="msgpack"
    )
    parser.add_argument("--method", choices=["wampcra", "ticket"], default="wampcra")
    parser.add_argument("--authid", help="who joins, with --secret")
    parser.add_argument("--secret", help="how who joins is known [default: not at all]")
    parser.add_argument("--ca", metavar="FILE", help="who vouches for the router")
    parser.add_argument(
        "--certificate", metavar="FILE", help="what WAMPS-CRT shows, with its key"
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds to wait for an answer"
    )
    client = Client(parser.parse_args())
    running = {"installSignalHandlers": False}
    threading.Thread(target=reactor.run, kwargs=running, daemon=True).start()
    dialogue.serve(client.invoke)


if __name__ == "__main__":
    main()
