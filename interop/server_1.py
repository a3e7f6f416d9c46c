"""A server on a2a-sdk 1.3.0, with its compatibility with A2A 0.3, that answers each message with its text.

A text of one of these words is answered otherwise: `task` by a completed task, `open` by one that waits for input,
`fail` by an error, `empty` by a message whose text is empty.
"""

from a2a.helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from starlette.applications import Starlette

from serving import serve


class Echo(AgentExecutor):
    async def execute(self, context, event_queue) -> None:
        text = context.get_user_input()
        if text == "fail":
            raise RuntimeError("the executor's own trouble")
        if text not in ("task", "open"):
            said = "" if text == "empty" else f"you wrote: {text}"
            await event_queue.enqueue_event(new_text_message(said))
            return
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.add_artifact([Part(text=f"you wrote: {text}")])
        await (updater.complete() if text == "task" else updater.requires_input())

    async def cancel(self, context, event_queue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(url: str):
    interfaces = [
        AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version) for version in ("1.0", "0.3")
    ]
    skill = AgentSkill(id="echo", name="echo", description="answers with what was said", tags=["echo"])
    card = AgentCard(
        name="echo", description="answers with what was said", supported_interfaces=interfaces, version="1",
        skills=[skill], capabilities=AgentCapabilities(), default_input_modes=["text/plain"], default_output_modes=["text/plain"],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
    return Starlette(routes=[
        *create_agent_card_routes(agent_card=card),
        *create_jsonrpc_routes(request_handler=handler, rpc_url="/", enable_v0_3_compat=True),
    ])


serve(application)
