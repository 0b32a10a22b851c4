#!/usr/bin/env python3
"""Anonymous chat on the key-value store of a ring: a room is a prefix, a message is a key, and everybody watches.

    RING="https://127.0.0.1:8443 https://127.0.0.1:8444 https://127.0.0.1:8445" CA=ring/ca.pem TOKEN_FILE=ring/token \\
        python3 examples/chat/chat.py garden

Type a line to say it; Ctrl-D leaves. There is no server but the ring: of five nodes any two may die while people talk,
those one is connected to as well. Nobody has a name but the one that is drawn for them. Needs kv:read and kv:write.
"""
import json, os, secrets, ssl, sys, threading, time
from urllib import error, parse, request

PATIENCE = 60  # seconds without any gateway that answers
SILENCE = 40  # seconds without a sign of life from a watch; gateways send one every 15


class Ring:
    def __init__(self):
        self.gateways, self.here = os.environ["RING"].split(), 0
        self.tls = ssl.create_default_context(cafile=os.environ["CA"])

    def ask(self, method, path, body=None, headers=None):
        """Asks one gateway after the other until one answers; every question may be asked twice."""
        began = time.monotonic()
        while True:
            here = self.here
            with open(os.environ["TOKEN_FILE"], encoding="ascii") as token:
                known = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "text/plain; charset=utf-8"}
            asked = request.Request(self.gateways[here % len(self.gateways)] + path, body, known | (headers or {}), method=method)
            try:
                return request.urlopen(asked, timeout=SILENCE, context=self.tls)
            except error.HTTPError as refused:
                if refused.code < 500 or time.monotonic() - began > PATIENCE:
                    raise
            except OSError:
                if time.monotonic() - began > PATIENCE:
                    raise
            self.here = here + 1
            time.sleep(0.2)

    def events(self, prefix):
        """What is there and then every change, across gateways that come and go, as (name, data)."""
        last, path = None, "/v1/kv?" + parse.urlencode({"prefix": prefix, "watch": "true"})
        while True:
            try:
                with self.ask("GET", path, headers={"Last-Event-ID": last} if last else None) as stream:
                    event = {}
                    for line in stream:
                        field, _, value = line.decode().rstrip("\r\n").partition(":")
                        if field:
                            event[field] = value.lstrip()
                        elif "event" in event:
                            yield event["event"], json.loads(event["data"])
                            last, event = event.get("id", last), {}
            except error.HTTPError:
                raise
            except OSError:
                pass  # that gateway is gone; the next one goes on from `last`
            self.here += 1


def listen(ring, room):
    seen, waiting = set(), []
    for name, data in ring.events(room):
        if name == "put" and data["key"] not in seen:
            seen.add(data["key"])
            waiting.append(data["key"])
        if name == "synced" or (waiting and name == "put" and listen.is_synced):
            listen.is_synced = True
            for key in sorted(waiting):
                with ring.ask("GET", "/v1/kv/" + parse.quote(key)) as said:
                    print(said.read().decode(errors="replace"), flush=True)
            waiting = []


listen.is_synced = False


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    ring, room = Ring(), f"chat/{sys.argv[1]}/"
    me = f"guest-{secrets.token_hex(2)}"
    threading.Thread(target=listen, args=(ring, room), daemon=True).start()
    print(f"You are {me} in {sys.argv[1]}.", flush=True)
    for line in sys.stdin:
        if line.strip():
            key = f"{room}{time.time_ns() // 1_000_000:015d}-{secrets.token_hex(4)}"
            ring.ask("PUT", "/v1/kv/" + parse.quote(key), f"{me}: {line.strip()}".encode()).close()


if __name__ == "__main__":
    main()
