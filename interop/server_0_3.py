"""A server on a2a-sdk 0.3.26 that answers each message with its text: beside it the bench measures, and against it the
checks of the kit were checked. With the argument `task` its answer is a task that stays open.
"""

import sys

from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, Part, TaskState, TextPart
from a2a.utils import new_agent_text_message, new_task

from serving import serve


class Echo(AgentExecutor):
    async def execute(self, context, event_queue) -> None:
        text = f"you wrote: {context.get_user_input()}"
        if "task" not in sys.argv:
            await event_queue.enqueue_event(new_agent_text_message(text))
            return
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.add_artifact([Part(root=TextPart(text=text))])
        await updater.update_status(TaskState.input_required, final=True)

    async def cancel(self, context, event_queue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(url: str):
    card = AgentCard(
        name="echo", description="answers with what was said", url=url, version="1", skills=[],
        capabilities=AgentCapabilities(), default_input_modes=["text/plain"], default_output_modes=["text/plain"],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore())
    return A2AStarletteApplication(agent_card=card, http_handler=handler).build()


serve(application)
