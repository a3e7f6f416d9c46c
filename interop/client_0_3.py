"""The official client of A2A 0.3 (a2a-sdk 0.3.26) against the example `a2a-server`.

    A2A_BEARER=… python client_0_3.py http://127.0.0.1:PORT/ message|task
"""

import asyncio
from uuid import uuid4

from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientHTTPError, A2AClientJSONRPCError
from a2a.types import (
    FilePart,
    FileWithUri,
    DataPart,
    Message,
    MessageSendConfiguration,
    MessageSendParams,
    Part,
    PushNotificationConfig,
    Role,
    Task,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TaskState,
    TextPart,
)

from checks import bearer, check, check_raw_errors, client, run


def said(text: str, **more) -> Message:
    part = Part(root=TextPart(text=text))
    return Message(**{"message_id": str(uuid4()), "role": Role.user, "parts": [part], **more})


def texts(parts: list[Part]) -> str:
    return "".join(part.root.text for part in parts if part.root.kind == "text")


async def sent(agent, message: Message, **configuration):
    """The one answer to a message: a Message, or a Task."""
    options = {"configuration": MessageSendConfiguration(**configuration)} if configuration else {}
    answers = [answer async for answer in agent.send_message(message, **options)]
    assert len(answers) == 1, answers
    return answers[0][0] if isinstance(answers[0], tuple) else answers[0]


async def code(act) -> int | None:
    """The code of the error of JSON-RPC with which an act fails."""
    try:
        await act
    except A2AClientJSONRPCError as error:
        return error.error.code
    return None


async def story(url: str, mode: str) -> None:
    async with client() as http:
        for path in (None, ".well-known/agent.json"):
            card = await A2ACardResolver(http, url).get_agent_card(relative_card_path=path)
            check("the card is read without a credential", card.url == url, card)
        check("the card says 0.3", card.protocol_version.startswith("0.3"), card.protocol_version)
        check("the card offers no stream", not card.capabilities.streaming, card.capabilities)
        check("the card offers no push", not card.capabilities.push_notifications, card.capabilities)
        if bearer():
            agent = ClientFactory(ClientConfig(httpx_client=http)).create(card)
            try:
                await sent(agent, said("let me in"))
                check("without its credential nobody is served", False)
            except A2AClientHTTPError as error:
                check("without its credential nobody is served", error.status_code == 401, error)
    async with client(headers=bearer()) as http:
        for streaming in (False, True):
            config = ClientConfig(httpx_client=http, streaming=streaming)
            agent = await ClientFactory.connect(url, client_config=config)
            await (messages(agent, streaming) if mode == "message" else tasks(agent, streaming))
            await forced(agent, mode)
        await check_raw_errors(http, url)


async def messages(agent, streaming: bool) -> None:
    how = f"streaming={streaming}"
    asked = said("hello, Grüße, 你好, \U0001f980")
    answer = await sent(agent, asked)
    check(f"{how}: the answer is a message of the agent", answer.kind == "message" and answer.role == Role.agent, answer)
    check(f"{how}: it has the text", texts(answer.parts) == "you wrote: hello, Grüße, 你好, \U0001f980", answer)
    again = await sent(agent, asked)
    check(f"{how}: the same message again gets the kept answer", again == answer, again)
    in_context = await sent(agent, said("and now", context_id="conversation-1"))
    check(f"{how}: the answer stays in its context", in_context.context_id == "conversation-1", in_context)
    answers = await asyncio.gather(*(sent(agent, said(f"number {number}")) for number in range(50)))
    expected = [f"you wrote: number {number}" for number in range(50)]
    check(f"{how}: fifty at once", [texts(answer.parts) for answer in answers] == expected, answers)
    mixed = [
        Part(root=TextPart(text="with a file")),
        Part(root=FilePart(file=FileWithUri(uri="https://files.example/a.txt", name="a.txt", mime_type="text/plain"))),
        Part(root=DataPart(data={"number": 1.5, "list": [None, True]})),
    ]
    answer = await sent(agent, said("", parts=mixed))
    check(f"{how}: all kinds of parts", texts(answer.parts).startswith("you wrote: with a file"), answer)


async def tasks(agent, streaming: bool) -> None:
    how = f"streaming={streaming}"
    task = await sent(agent, said("first"))
    check(f"{how}: the answer is a task", isinstance(task, Task) and bool(task.id and task.context_id), task)
    check(f"{how}: which is open", task.status.state == TaskState.input_required, task.status)
    check(f"{how}: with the reply among its artifacts", texts(task.artifacts[-1].parts) == "you wrote: first", task)
    check(f"{how}: and the message in its history", texts(task.history[0].parts) == "first", task.history)
    more = await sent(agent, said("second", task_id=task.id, context_id=task.context_id))
    check(f"{how}: a second message continues it", more.id == task.id and more.context_id == task.context_id, more)
    of_user = [texts(message.parts) for message in more.history if message.role == Role.user]
    check(f"{how}: both are in the history, in order", of_user == ["first", "second"], more.history)
    whole = await agent.get_task(TaskQueryParams(id=task.id))
    check(f"{how}: tasks/get has the same history", len(whole.history) == len(more.history), whole)
    for length in (1, 2):
        cut = await agent.get_task(TaskQueryParams(id=task.id, history_length=length))
        newest = [message.message_id for message in whole.history[-length:]]
        check(f"{how}: the newest {length}", [message.message_id for message in cut.history or []] == newest, cut)
    none = await agent.get_task(TaskQueryParams(id=task.id, history_length=0))
    check(f"{how}: none of the history", not none.history, none)
    third = await sent(agent, said("third", task_id=task.id), history_length=1)
    check(f"{how}: a send cuts the history too", len(third.history) == 1, third)
    wrong = await code(agent.get_task(TaskQueryParams(id=task.id, history_length=-1)))
    check(f"{how}: a negative length", wrong == -32602, wrong)
    canceled = await agent.cancel_task(TaskIdParams(id=task.id))
    check(f"{how}: a cancel", canceled.status.state == TaskState.canceled, canceled)
    seen = await agent.get_task(TaskQueryParams(id=task.id))
    check(f"{how}: stays", seen.status.state == TaskState.canceled, seen)
    wrong = await code(agent.cancel_task(TaskIdParams(id=task.id)))
    check(f"{how}: cannot be done twice", wrong == -32002, wrong)
    wrong = await code(sent(agent, said("too late", task_id=task.id)))
    check(f"{how}: and ends the task for messages", wrong == -32602, wrong)
    done = await sent(agent, said("done"))
    check(f"{how}: the handler completes a task", done.status.state == TaskState.completed, done)
    wrong = await code(sent(agent, said("too late", task_id=done.id)))
    check(f"{how}: which takes no message", wrong == -32602, wrong)
    wrong = await code(agent.cancel_task(TaskIdParams(id=done.id)))
    check(f"{how}: and no cancel", wrong == -32002, wrong)


async def forced(agent, mode: str) -> None:
    """What the card does not offer, asked for all the same."""
    acts = [
        ("tasks/get", agent.get_task(TaskQueryParams(id="no-such-task"))),
        ("tasks/cancel", agent.cancel_task(TaskIdParams(id="no-such-task"))),
    ]
    if mode == "task":
        # A server without tasks takes the id for one of its caller's.
        acts.append(("message/send", sent(agent, said("to nothing", task_id="no-such-task"))))
    for name, act in acts:
        wrong = await code(act)
        check(f"{name} of an unknown task", wrong == -32001, wrong)
    push = TaskPushNotificationConfig(
        task_id="no-such-task", push_notification_config=PushNotificationConfig(url="https://hook.example/")
    )
    wrong = await code(agent.set_task_callback(push))
    check("push notifications are refused", wrong == -32003, wrong)
    try:
        async for _ in agent._transport.send_message_streaming(MessageSendParams(message=said("stream"))):
            pass
        check("a stream that the card does not offer is refused", False)
    except (A2AClientHTTPError, A2AClientJSONRPCError) as error:
        check("a stream that the card does not offer is refused", True, error)


run(story)
