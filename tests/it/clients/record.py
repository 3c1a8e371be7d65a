# Records what a client sends to a server, for tests/fixtures/starts: record.py LISTEN SERVER FILE
#
# It stands between the two on this machine, passes on all bytes and writes one line for each command. Without TLS.
import socket
import sys
import threading

NAMES = {2: "use", 3: "query", 4: "fields", 0x0E: "ping", 0x16: "prepare", 0x1F: "reset"}


def pump(source, sink, out):
    held = b""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
            held += data
            while out and len(held) >= 4 and len(held) >= (end := 4 + int.from_bytes(held[:3], "little")):
                number, body, held = held[3], held[4:end], held[end:]
                if number == 0 and body and body[0] in NAMES:
                    print(repr((NAMES[body[0]], body[1:].decode("utf8", "replace"))), file=out, flush=True)
    except OSError:
        pass
    for end in (source, sink):
        end.close()


listen, server, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
door = socket.create_server(("127.0.0.1", listen))
with open(path, "a") as out:
    while True:
        client, _ = door.accept()
        behind = socket.create_connection(("127.0.0.1", server))
        threading.Thread(target=pump, args=(client, behind, out), daemon=True).start()
        threading.Thread(target=pump, args=(behind, client, None), daemon=True).start()
