"""The official client of the Model Context Protocol (mcp 1.30.0 or 2.3.0) against `molecule mcp`.

    MOLECULE=…/molecule PEER_ID=… FILE=… python mcp_client.py session|client

`session` is the client with a handshake, `client` the one of 2.3.0 without. The environment of the workspace (`WORKSPACE_ID` …)
is passed on. The test that runs this has started the peer, written a message of a person, and put the plugin `helper` into the
registry. Prints a line for each check, and ends with status 1 after the first that fails.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = {
    "delegate_task",
    "delegate_task_async",
    "check_task_status",
    "list_peers",
    "get_workspace_info",
    "send_message_to_user",
    "reply_to_workspace",
    "broadcast_message",
    "create_request",
    "create_approval",
    "list_inbox",
    "check_requests",
    "get_request",
    "respond_request",
    "add_request_message",
    "cancel_request",
    "commit_memory",
    "recall_memory",
    "wait_for_message",
    "inbox_peek",
    "inbox_pop",
    "chat_history",
    "update_agent_card",
    "install_plugin",
}


def check(what: str, holds: bool, found: object = "") -> None:
    """Prints the check, or ends the script with what was found instead."""
    if not holds:
        sys.exit(f"FAILED: {what}: {found!r}")
    print(f"ok: {what}")


async def story(client, revision: str) -> None:
    """Calls each tool. `client` is a session, or a client: both have the same two methods."""
    listed = await client.list_tools()
    names = {tool.name for tool in listed.tools}
    check("the tools are listed", names == TOOLS, names ^ TOOLS)
    called = set()

    async def call(tool: str, **arguments) -> tuple[str, bool]:
        called.add(tool)
        result = await client.call_tool(tool, arguments)
        is_error = result.is_error if hasattr(result, "is_error") else result.isError
        check(f"{tool}: one text", len(result.content) == 1 and result.content[0].type == "text", result)
        return result.content[0].text, bool(is_error)

    async def good(tool: str, **arguments) -> str:
        text, is_error = await call(tool, **arguments)
        check(f"{tool}: no error", not is_error, text)
        return text

    async def as_json(tool: str, **arguments):
        return json.loads(await good(tool, **arguments))

    own, peer = os.environ["WORKSPACE_ID"], os.environ["PEER_ID"]
    info = await as_json("get_workspace_info")
    check("the workspace is the own one", info["id"] == own, info)
    message = await as_json("wait_for_message", timeout_secs=60)
    check("a message comes", message["kind"] == "canvas_user" and f"hello {revision}" in message["text"], message)
    waiting = await as_json("inbox_peek", limit=10)
    check("it waits", [one["activity_id"] for one in waiting] == [message["activity_id"]], waiting)
    answered = await as_json("reply_to_workspace", text=f"answer {revision}", activity_id=message["activity_id"])
    check("it is answered", answered["status"] == "sent", answered)
    popped = await as_json("inbox_pop", activity_id=message["activity_id"])
    check("and done", popped["removed"] is False, popped)
    told = await as_json("send_message_to_user", message=f"note {revision}", attachments=[os.environ["FILE"]])
    check("the user is told", told["status"] == "sent", told)
    check("the peer is listed", peer in await good("list_peers"))
    answer = await good("delegate_task", workspace_id=peer, task=f"task {revision}")
    check("the peer answers", f"task {revision}" in answer and answer.startswith("[UNTRUSTED CONTENT"), answer)
    begun = await as_json("delegate_task_async", workspace_id=peer, task="later")
    shown = await as_json("check_task_status", task_id=begun["delegation_id"])
    check("the delegation is shown", shown["delegation_id"] == begun["delegation_id"], shown)
    history = await as_json("chat_history", peer_id=peer, limit=50)
    check("the history has the task", f"task {revision}" in json.dumps(history), history)
    kept = await as_json("commit_memory", content=f"memory {revision}")
    check("the note is kept", kept["success"] is True, kept)
    check("and found", f"memory {revision}" in await good("recall_memory", query="memory"))
    check("the card is replaced", (await as_json("update_agent_card", card={"name": "official"}))["success"])
    raised = await as_json("create_request", kind="task", title="look")
    check("the request is raised", raised["status"] == "pending", raised)
    check("the approval, too", "request_id" in await as_json("create_approval", action="deploy"))
    listed = await as_json("check_requests")
    check("both are listed", raised["request_id"] in [one["id"] for one in listed], listed)
    written = await as_json("add_request_message", request_id=raised["request_id"], message="soon, please")
    check("its thread is written to", written["status"] == "created", written)
    thread = await as_json("get_request", request_id=raised["request_id"])
    check("and shown", "soon, please" in json.dumps(thread), thread)
    text, is_error = await call("respond_request", request_id=raised["request_id"], action="done")
    check("what is for the user is not this workspace's to answer, or is answered", bool(text), text)
    text, is_error = await call("cancel_request", request_id=raised["request_id"])
    check("it is taken back, if it is open", bool(text), text)
    check("nothing waits for this workspace", await as_json("list_inbox") == [])
    text, is_error = await call("broadcast_message", message="hear")
    check("a broadcast is refused with the reason", is_error and "may not broadcast" in text, text)
    installed = await as_json("install_plugin", source="helper")
    check("the plugin is installed", installed["name"] == "helper", installed)
    text, is_error = await call("delegate_task", workspace_id="seven", task="x")
    check("an id that is none is an error of the tool", is_error and "UUID" in text, text)
    check("each tool was called", called == TOOLS, called ^ TOOLS)


async def main(way: str) -> None:
    passed_on = ("WORKSPACE_ID", "PLATFORM_URL", "HOME", "PATH")
    env = {name: value for name, value in os.environ.items() if name in passed_on or name.startswith("MOLECULE_")}
    server = StdioServerParameters(command=os.environ["MOLECULE"], args=["mcp"], env=env)
    if way == "client":
        from mcp import Client

        async with Client(server) as client:
            check("the revision is the one without a handshake", client.protocol_version == "2026-07-28", client.protocol_version)
            check("the server is named", client.server_info is None or client.server_info.name == "molecule", client.server_info)
            await story(client, "without a handshake")
        return
    async with stdio_client(server) as (reads, writes), ClientSession(reads, writes) as session:
        about = await session.initialize()
        version = about.protocol_version if hasattr(about, "protocol_version") else about.protocolVersion
        named = about.server_info if hasattr(about, "server_info") else about.serverInfo
        check("the revision is the last with a handshake", version == "2025-11-25", version)
        check("the server is named", named.name == "molecule", named)
        await story(session, "with a handshake")


if len(sys.argv) != 2 or sys.argv[1] not in ("session", "client"):
    sys.exit("usage: mcp_client.py session|client")
asyncio.run(asyncio.wait_for(main(sys.argv[1]), 180))
print("all checks passed")
