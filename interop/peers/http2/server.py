"""Servers of grpc.testing.TestService/UnaryCall that misbehave on HTTP/2, one case each: server.py CASE.

The cases are those of gRPC's negative HTTP/2 interop tests, and some of our own: see CASES. Prints {"port":N}. When its standard input ends, it says on standard
error what the client did wrong, and ends with 1; with 0 when that is nothing.
"""

import json
import os
import socket
import struct
import sys
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import hyperframe.frame

RESPONSE = 314159


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


# SimpleResponse { payload { body: zeros } }, behind the prefix of gRPC
MESSAGE = delimited(1, delimited(2, bytes(RESPONSE)))
BODY = struct.pack(">BI", 0, len(MESSAGE)) + MESSAGE
HEAD = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0")]


class Case:
    """Answers as it should; cases change a part of it."""

    settings = {}

    def __init__(self):
        self.lock = threading.Lock()
        self.connections = 0
        self.requests = []  # number of the connection of each request
        self.wrong = []

    def opened(self, connection, stream):
        """A request's head is there."""

    def asked(self, connection, stream):
        """A request is complete."""
        connection.send_headers(stream)
        connection.send_body(stream, BODY, self.answered)

    def answered(self, connection, stream):
        connection.send_trailers(stream)

    def verdict(self):
        return self.wrong


class Connection:
    """One client. All of it runs in its thread."""

    def __init__(self, sock, case, number):
        self.sock = sock
        self.case = case
        self.number = number
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.waiting = {}  # stream: rest of the body, and what comes after it
        self.open = set()
        self.pings = set()
        self.count = 0

    def run(self):
        if self.case.settings:
            self.http2.local_settings = h2.settings.Settings(client=False, initial_values=self.case.settings)
        self.http2.initiate_connection()
        self.flush()
        while True:
            data = self.sock.recv(65536)
            if not data:
                return
            for event in self.http2.receive_data(data):
                self.handle(event)
            self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            with self.case.lock:
                self.case.requests.append(self.number)
            self.open.add(event.stream_id)
            self.case.opened(self, event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self.open:
                self.case.asked(self, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.open.discard(event.stream_id)
            self.waiting.pop(event.stream_id, None)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings.discard(event.ping_data)
        if isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in list(self.waiting):
                self.pump(stream)

    def flush(self):
        self.sock.sendall(self.http2.data_to_send())

    def ping(self):
        self.count += 1
        data = struct.pack(">Q", self.count)
        self.pings.add(data)
        self.http2.ping(data)

    def send_headers(self, stream):
        self.http2.send_headers(stream, HEAD)

    def send_body(self, stream, body, then):
        self.waiting[stream] = (body, then)
        self.pump(stream)

    def pump(self, stream):
        body, then = self.waiting[stream]
        while body:
            size = min(len(body), self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size)
            if size <= 0:
                self.waiting[stream] = (body, then)
                return
            self.before_data()
            self.http2.send_data(stream, body[:size])
            body = body[size:]
        self.waiting.pop(stream, None)
        then(self, stream)

    def before_data(self):
        if isinstance(self.case, Ping):
            self.ping()

    def send_trailers(self, stream):
        self.http2.send_headers(stream, TRAILERS, end_stream=True)
        self.open.discard(stream)

    def reset(self, stream, code=h2.errors.ErrorCodes.NO_ERROR):
        self.http2.reset_stream(stream, code)
        self.open.discard(stream)

    def goaway(self, last):
        # past h2, which would take nothing more on this connection
        self.flush()
        self.sock.sendall(hyperframe.frame.GoAwayFrame(0, last_stream_id=last).serialize())


class Goaway(Case):
    """GOAWAY behind the first reply: the next call goes to another connection."""

    def answered(self, connection, stream):
        connection.send_trailers(stream)
        if connection.number == 1:
            connection.goaway(stream)

    def verdict(self):
        return self.wrong + ([] if self.requests == [1, 2] else ["requests on connections %s, not on 1 and 2" % self.requests])


class GoawayUnprocessed(Case):
    """GOAWAY that says of the first call that it was not processed: it is sent again on another connection."""

    def opened(self, connection, stream):
        if connection.number == 1:
            connection.open.discard(stream)
            connection.goaway(0)

    def verdict(self):
        return self.wrong + ([] if self.requests == [1, 2] else ["requests on connections %s, not on 1 and 2" % self.requests])


class Refused(Case):
    """REFUSED_STREAM for the first call: it is sent again."""

    def asked(self, connection, stream):
        if len(self.requests) == 1:
            return connection.reset(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        super().asked(connection, stream)

    def verdict(self):
        return self.wrong + ([] if len(self.requests) == 2 else ["%d requests, not 2" % len(self.requests)])


class RstAfterHeader(Case):
    def asked(self, connection, stream):
        connection.send_headers(stream)
        connection.reset(stream)


class RstDuringData(Case):
    def asked(self, connection, stream):
        connection.send_headers(stream)
        connection.send_body(stream, BODY[:-1], Connection.reset)


class RstAfterData(Case):
    def answered(self, connection, stream):
        connection.reset(stream)


class NoTrailers(Case):
    """Ends the stream with its last DATA frame, without a status."""

    def answered(self, connection, stream):
        connection.http2.end_stream(stream)
        connection.open.discard(stream)


class Vanish(Case):
    """Closes the connection in the middle of the reply."""

    def asked(self, connection, stream):
        connection.send_headers(stream)
        connection.send_body(stream, BODY[:100], lambda *_: (connection.flush(), connection.sock.shutdown(socket.SHUT_RDWR)))


class Ping(Case):
    """A PING before every frame: each is answered."""

    def __init__(self):
        super().__init__()
        self.all = []

    def opened(self, connection, stream):
        if connection not in self.all:
            self.all.append(connection)
        connection.ping()

    def answered(self, connection, stream):
        connection.ping()
        super().answered(connection, stream)
        connection.ping()

    def verdict(self):
        # the last answers may still be on their way
        for _ in range(50):
            if not any(connection.pings for connection in self.all):
                break
            time.sleep(0.1)
        lost = sum(len(connection.pings) for connection in self.all)
        sent = sum(connection.count for connection in self.all)
        return self.wrong + (["%d of %d pings were not answered" % (lost, sent)] if lost or sent < 3 else [])


class MaxStreams(Case):
    """One stream at a time, and no more."""

    settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}

    def opened(self, connection, stream):
        if len(connection.open) > 1:
            self.wrong.append("%d streams at once" % len(connection.open))

    def verdict(self):
        return self.wrong + ([] if len(self.requests) > 10 else ["only %d requests" % len(self.requests)])


class TinyWindow(Case):
    """Lets the client send 1 byte at a time at first, then all."""

    settings = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1}

    def opened(self, connection, stream):
        connection.http2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65535})


CASES = {
    "goaway": Goaway,
    "rst_after_header": RstAfterHeader,
    "rst_during_data": RstDuringData,
    "rst_after_data": RstAfterData,
    "ping": Ping,
    "max_streams": MaxStreams,
    "goaway_unprocessed": GoawayUnprocessed,
    "refused": Refused,
    "no_trailers": NoTrailers,
    "vanish": Vanish,
    "tiny_window": TinyWindow,
}


def serve(listener, case):
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case.connections += 1
        threading.Thread(target=talk, args=(Connection(sock, case, case.connections), case), daemon=True).start()


def talk(connection, case):
    try:
        connection.run()
    except OSError:
        pass
    except Exception as error:  # what the client sent is not HTTP/2
        case.wrong.append("%s: %s" % (type(error).__name__, error))


def main():
    case = CASES[sys.argv[1]]()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, case), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}, separators=(",", ":")), flush=True)
    sys.stdin.read()
    wrong = case.verdict()
    if wrong:
        print("; ".join(wrong), file=sys.stderr, flush=True)
    os._exit(1 if wrong else 0)


main()
