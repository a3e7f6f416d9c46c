"""What both client scripts share: their arguments, the list of checks, and raw requests beside the client's own.

A script prints a line for each check and ends with status 1 after the first that fails.
"""

import asyncio
import os
import sys

import httpx

LIMIT = 30.0
"""Seconds for one request. The server runs on this machine."""


def bearer() -> dict[str, str]:
    """The headers of the credential in A2A_BEARER, or none."""
    token = os.environ.get("A2A_BEARER")
    return {"Authorization": f"Bearer {token}"} if token else {}


def client(**options) -> httpx.AsyncClient:
    """A client of httpx that speaks to this machine alone, whatever proxies the environment names."""
    return httpx.AsyncClient(trust_env=False, timeout=LIMIT, **options)


def check(what: str, holds: bool, found: object = "") -> None:
    """Prints the check, or ends the script with what was found instead."""
    if not holds:
        sys.exit(f"FAILED: {what}: {found!r}")
    print(f"ok: {what}")


async def rpc(http: httpx.AsyncClient, url: str, body: object, **headers: str) -> httpx.Response:
    """Posts a body that no client would send: text as it is, everything else as JSON."""
    content = {"content": body} if isinstance(body, (str, bytes)) else {"json": body}
    return await http.post(url, headers={"Content-Type": "application/json", **headers}, **content)


async def check_raw_errors(http: httpx.AsyncClient, url: str) -> None:
    """Checks the errors of JSON-RPC that no client of the SDK can cause. All come with HTTP 200 and the request's id."""
    message = {"kind": "message", "messageId": "raw-1", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}

    def call(method: str, params: object, **more: object) -> dict:
        return {"jsonrpc": "2.0", "id": "raw", "method": method, "params": params, **more}

    without = lambda key: {name: value for name, value in message.items() if name != key}
    rows = [
        ("a body that is no JSON", "{nonsense", -32700, None),
        ("an array", [call("message/send", {"message": message})], -32600, None),
        ("a wrong version of JSON-RPC", call("message/send", {"message": message}, jsonrpc="1.0"), -32600, "raw"),
        ("an id that is an object", call("message/send", {"message": message}, id={}), -32600, None),
        ("an unknown method", call("no/such/method", {}), -32601, "raw"),
        ("a method of A2A 1.0", call("SendMessage", {"message": message}), -32601, "raw"),
        ("no message", call("message/send", {}), -32602, "raw"),
        ("params that are a text", call("message/send", "text"), -32602, "raw"),
        ("a message without an id", call("message/send", {"message": without("messageId")}), -32602, "raw"),
        ("a message without parts", call("message/send", {"message": without("parts")}), -32602, "raw"),
        ("a negative history", call("tasks/get", {"id": "none", "historyLength": -1}), -32602, "raw"),
        ("an unknown task", call("tasks/get", {"id": "none"}), -32001, "raw"),
        ("an unknown task to cancel", call("tasks/cancel", {"id": "none"}), -32001, "raw"),
        ("streaming", call("message/stream", {"message": message}), -32004, "raw"),
        ("a stream to come back to", call("tasks/resubscribe", {"id": "none"}), -32004, "raw"),
        ("an extended card", call("agent/getAuthenticatedExtendedCard", {}), -32007, "raw"),
    ]
    for what, body, code, number in rows:
        answer = await rpc(http, url, body)
        check(f"{what}: HTTP 200", answer.status_code == 200, answer.status_code)
        told = answer.json()
        check(f"{what}: {code}", told.get("error", {}).get("code") == code, told)
        check(f"{what}: its id", told.get("id") == number, told)
    answer = await rpc(http, url, call("message/send", {"message": message}), **{"A2A-Version": "7.5"})
    check("an unknown version: -32009", answer.json().get("error", {}).get("code") == -32009, answer.text)


def run(story) -> None:
    """Runs `story(url, mode)` with the script's arguments."""
    if len(sys.argv) != 3 or sys.argv[2] not in ("message", "task"):
        sys.exit("usage: client_….py URL message|task")
    asyncio.run(asyncio.wait_for(story(sys.argv[1], sys.argv[2]), 120))
    print("all checks passed")
