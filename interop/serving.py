"""Runs an application under uvicorn on a free loopback port, which it prints, until its standard input ends."""

import logging
import socket
import sys
import threading

import uvicorn


def serve(make) -> None:
    """Serves `make(url)`. Whoever started the script ends it by closing its standard input."""
    # What an executor raises on purpose is no news.
    logging.disable(logging.CRITICAL)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server = uvicorn.Server(uvicorn.Config(make(url), log_level="error", access_log=False))

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    print(url, flush=True)
    server.run(sockets=[listener])
