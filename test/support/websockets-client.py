"""Connects with the websockets package and prints what it saw as one line of JSON.

    websockets-client.py accepted URL TOKEN [SUBPROTOCOL...]   connects, has a text and a binary message echoed, closes
    websockets-client.py refused URL                           reads the response that refuses the handshake
"""
import asyncio
import json
import socket
import sys

try:
    from websockets.asyncio.client import connect
    HEADERS = "additional_headers"
except ImportError:  # before 13.0
    from websockets import connect
    HEADERS = "extra_headers"

try:
    from websockets.client import ClientProtocol
except ImportError:  # before 11.0
    from websockets.client import ClientConnection as ClientProtocol

from websockets.uri import parse_uri


async def accepted(url, token, *subprotocols):
    options = {HEADERS: {"Authorization": f"Bearer {token}"}, "subprotocols": subprotocols or None}
    async with connect(url, **options) as ws:
        headers = ws.response.headers if hasattr(ws, "response") else ws.response_headers
        first = await ws.recv()
        text = "Grüße " * 1000
        await ws.send(text)
        text_is_echoed = await ws.recv() == text
        binary = bytes(range(256)) * 300
        await ws.send(binary)
        binary_is_echoed = await ws.recv() == binary
        await ws.send("close")
        await ws.wait_closed()
        return {
            "headers": {name.lower(): value for name, value in headers.raw_items()},
            "subprotocol": ws.subprotocol,
            "extensions": [extension.name for extension in getattr(ws, "protocol", ws).extensions],
            "first": first,
            "textIsEchoed": text_is_echoed,
            "binaryIsEchoed": binary_is_echoed,
            "close": [ws.close_code, ws.close_reason],
        }


def refused(url):
    # connect() of older versions keeps only the status of a refusal; the protocol under it has all of the response.
    uri = parse_uri(url)
    protocol = ClientProtocol(uri)
    protocol.send_request(protocol.connect())
    with socket.create_connection((uri.host, uri.port)) as connection:
        connection.sendall(b"".join(protocol.data_to_send()))
        while data := connection.recv(65536):
            protocol.receive_data(data)
        protocol.receive_eof()
    response = protocol.handshake_exc.response
    return {
        "error": str(protocol.handshake_exc),
        "status": response.status_code,
        "headers": {name.lower(): value for name, value in response.headers.raw_items()},
        "body": response.body.decode(),
    }


command, *arguments = sys.argv[1:]
print(json.dumps(asyncio.run(accepted(*arguments)) if command == "accepted" else refused(*arguments)))
