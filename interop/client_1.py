"""The official client of A2A 1.0 (a2a-sdk 1.3.0), which falls back to 0.3 by the card, against the example `a2a-server`.

    A2A_BEARER=… python client_1.py http://127.0.0.1:PORT/ message|task
"""

import asyncio
from uuid import uuid4

from a2a.client import ClientConfig, create_client
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import (
    A2AError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from checks import bearer, check, check_raw_errors, client, run


def said(text: str, **more) -> SendMessageRequest:
    message = {"message_id": str(uuid4()), "role": Role.ROLE_USER, "parts": [Part(text=text)], **more}
    return SendMessageRequest(message=Message(**message))


def texts(parts) -> str:
    return "".join(part.text for part in parts)


async def sent(agent, request: SendMessageRequest):
    """The one answer to a message: a Message, or a Task."""
    answers = [answer async for answer in agent.send_message(request)]
    assert len(answers) == 1, answers
    return answers[0].task if answers[0].HasField("task") else answers[0].message


async def failure(act) -> Exception | None:
    try:
        await act
    except A2AError as error:
        return error
    return None


async def story(url: str, mode: str) -> None:
    if bearer():
        async with client() as http:
            agent = await create_client(url, ClientConfig(httpx_client=http))
            error = await failure(sent(agent, said("let me in")))
            check("without its credential nobody is served", isinstance(error, A2AClientError) and "401" in str(error), error)
    for streaming in (False, True):
        async with client(headers=bearer()) as http:
            agent = await create_client(url, ClientConfig(httpx_client=http, streaming=streaming))
            interfaces = list(agent._card.supported_interfaces)
            check("the card names its one interface", [it.url for it in interfaces] == [url], interfaces)
            check("the card says 0.3", interfaces[0].protocol_version.startswith("0.3"), interfaces)
            check("the card offers no stream", not agent._card.capabilities.streaming, agent._card)
            await (messages(agent, streaming) if mode == "message" else tasks(agent, streaming))
            await forced(agent, mode)
    # Without the version that the SDK's client puts into its HTTP client.
    async with client(headers=bearer()) as http:
        await check_raw_errors(http, url)


async def messages(agent, streaming: bool) -> None:
    how = f"streaming={streaming}"
    asked = said("hello, Grüße, 你好, \U0001f980")
    answer = await sent(agent, asked)
    check(f"{how}: the answer is a message of the agent", answer.role == Role.ROLE_AGENT, answer)
    check(f"{how}: it has the text", texts(answer.parts) == "you wrote: hello, Grüße, 你好, \U0001f980", answer)
    again = await sent(agent, asked)
    check(f"{how}: the same message again gets the kept answer", again == answer, again)
    in_context = await sent(agent, said("and now", context_id="conversation-1"))
    check(f"{how}: the answer stays in its context", in_context.context_id == "conversation-1", in_context)
    answers = await asyncio.gather(*(sent(agent, said(f"number {number}")) for number in range(50)))
    expected = [f"you wrote: number {number}" for number in range(50)]
    check(f"{how}: fifty at once", [texts(answer.parts) for answer in answers] == expected, answers)
    mixed = [
        Part(text="with a file"),
        Part(url="https://files.example/a.txt", filename="a.txt", media_type="text/plain"),
        Part(raw=b"bytes", filename="b.bin", media_type="application/octet-stream"),
    ]
    answer = await sent(agent, said("", parts=mixed))
    check(f"{how}: all kinds of parts", texts(answer.parts).startswith("you wrote: with a file"), answer)


async def tasks(agent, streaming: bool) -> None:
    how = f"streaming={streaming}"
    task = await sent(agent, said("first"))
    check(f"{how}: the answer is a task", bool(task.id and task.context_id), task)
    check(f"{how}: which is open", task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED, task.status)
    check(f"{how}: with the reply among its artifacts", texts(task.artifacts[-1].parts) == "you wrote: first", task)
    more = await sent(agent, said("second", task_id=task.id, context_id=task.context_id))
    check(f"{how}: a second message continues it", more.id == task.id, more)
    of_user = [texts(message.parts) for message in more.history if message.role == Role.ROLE_USER]
    check(f"{how}: both are in the history, in order", of_user == ["first", "second"], more.history)
    whole = await agent.get_task(GetTaskRequest(id=task.id))
    check(f"{how}: tasks/get has the same history", len(whole.history) == len(more.history), whole)
    cut = await agent.get_task(GetTaskRequest(id=task.id, history_length=1))
    newest = [whole.history[-1].message_id]
    check(f"{how}: the newest message", [message.message_id for message in cut.history] == newest, cut)
    error = await failure(agent.get_task(GetTaskRequest(id=task.id, history_length=-1)))
    check(f"{how}: a negative length", isinstance(error, InvalidParamsError), error)
    canceled = await agent.cancel_task(CancelTaskRequest(id=task.id))
    check(f"{how}: a cancel", canceled.status.state == TaskState.TASK_STATE_CANCELED, canceled)
    error = await failure(agent.cancel_task(CancelTaskRequest(id=task.id)))
    check(f"{how}: cannot be done twice", isinstance(error, TaskNotCancelableError), error)
    error = await failure(sent(agent, said("too late", task_id=task.id)))
    check(f"{how}: and ends the task for messages", isinstance(error, InvalidParamsError), error)
    done = await sent(agent, said("done"))
    check(f"{how}: the handler completes a task", done.status.state == TaskState.TASK_STATE_COMPLETED, done)


async def forced(agent, mode: str) -> None:
    """What the card does not offer, asked for all the same."""
    acts = [
        ("tasks/get", agent.get_task(GetTaskRequest(id="no-such-task"))),
        ("tasks/cancel", agent.cancel_task(CancelTaskRequest(id="no-such-task"))),
    ]
    if mode == "task":
        # A server without tasks takes the id for one of its caller's.
        acts.append(("message/send", sent(agent, said("to nothing", task_id="no-such-task"))))
    for name, act in acts:
        error = await failure(act)
        check(f"{name} of an unknown task", isinstance(error, TaskNotFoundError), error)
    push = TaskPushNotificationConfig(task_id="no-such-task", url="https://hook.example/")
    error = await failure(agent.create_task_push_notification_config(push))
    check("push notifications are refused", isinstance(error, PushNotificationNotSupportedError), error)

    async def stream():
        async for _ in agent._transport.send_message_streaming(said("stream")):
            pass

    error = await failure(stream())
    refused = isinstance(error, (UnsupportedOperationError, A2AClientError))
    check("a stream that the card does not offer is refused", refused, error)


run(story)
