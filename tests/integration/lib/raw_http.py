"""HTTP/1.1 and WebSocket by hand, for tests that must say what no client library would."""
import base64, hashlib, json, os, socket, struct


class Raw:
    """One connection."""

    def __init__(self, address, timeout=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(self.buffer)
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        """(code, headers) of the next reply."""
        status = self.line()
        assert status.startswith("HTTP/1.1 "), status
        headers = {}
        while (line := self.line()) != "":
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        return int(status.split()[1]), headers

    def chunk(self):
        size = int(self.line(), 16)
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def reply(self, head_only=False):
        """(code, headers, body)."""
        code, headers = self.head()
        if head_only or code in (101, 204, 304):
            return code, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while piece := self.chunk():
                body += piece
            return code, headers, body
        return code, headers, self.exactly(int(headers["content-length"]))

    def ask(self, method, target, body=None, headers=(), host="localhost", head_only=False):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            lines.append(f"Content-Length: {len(body)}")
            if not any(h.lower().startswith("content-type") for h in headers):
                lines.append("Content-Type: application/json")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.reply(head_only or method == "HEAD")

    def closed(self):
        """The other side has closed, with nothing more to read."""
        try:
            self._more()
        except (EOFError, ConnectionResetError):
            return True
        return False


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket(Raw):
    def __init__(self, address, target, protocol=None, headers=(), timeout=10, wrap=None):
        super().__init__(address, timeout)
        if wrap:
            self.socket = wrap(self.socket)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.send("\r\n".join(lines) + "\r\n\r\n")
        self.code, self.headers = self.head()
        if self.code != 101:
            self.body = self.exactly(int(self.headers.get("content-length", 0)))
            return
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert self.headers["sec-websocket-accept"] == accept

    def frame(self, opcode, payload=b"", fin=True, rsv=0, mask=True):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
        if not mask:
            self.send(head + payload)
            return
        key = os.urandom(4)
        self.send(head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload)))

    def say(self, message):
        self.frame(TEXT, message.encode() if isinstance(message, str) else json.dumps(message).encode())

    def receive(self):
        """(opcode, payload) of the next frame."""
        first, second = self.exactly(2)
        assert not second & 0x80, "servers don't mask"
        length = second & 0x7f
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.exactly(8))[0]
        payload = self.exactly(length)
        assert first & 0x80, "our messages are one frame each"
        return first & 0x0f, payload

    def hear(self):
        """The next message; a close frame as ("close", code)."""
        while True:
            opcode, payload = self.receive()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == CLOSE:
                return "close", struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
            assert opcode in (PING, PONG), opcode
