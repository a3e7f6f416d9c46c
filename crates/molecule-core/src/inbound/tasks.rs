//! Tasks: the conversations of a server that answers with them (A2A 0.3). They live as long as the process.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Message, Now, RpcError, Time, UnixTime};
use serde_json::{Map, Value, json};

use super::admit::Who;
use crate::config::server::ServerLimits;
use crate::session::key::Key;

/// The most messages of a task's history, and the most artifacts, that are kept. The oldest go first.
const MOST_HISTORY: usize = 200;

/// The most bytes of all tasks, as JSON. Those that were changed longest ago go first.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The tasks that are kept.
#[derive(Debug)]
pub(super) struct Tasks {
    tasks: BTreeMap<String, Task>,
    /// By the order of their last changes.
    order: BTreeMap<u64, String>,
    changes: u64,
    bytes: usize,
    most: usize,
    age: Duration,
}

#[derive(Debug)]
struct Task {
    owner: Who,
    context_id: String,
    state: State,
    since: UnixTime,
    history: Vec<Value>,
    artifacts: Vec<Value>,
    /// The messages of it that wait or are being handled.
    runs: Vec<Key>,
    change: u64,
    changed_at: Time,
    bytes: usize,
}

/// The states in which a task of this server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Working,
    InputRequired,
    Completed,
    Canceled,
    Failed,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input-required",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    fn is_terminal(self) -> bool {
        match self {
            Self::Working | Self::InputRequired => false,
            Self::Completed | Self::Canceled | Self::Failed => true,
        }
    }
}

impl Tasks {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        Self {
            tasks: BTreeMap::new(),
            order: BTreeMap::new(),
            changes: 0,
            bytes: 0,
            most: limits.tasks,
            age: limits.task_age,
        }
    }

    /// Adds a message to the task that it names, or to a new one under `fresh`. Writes the task's ids into the message, and
    /// returns the task's id.
    ///
    /// # Errors
    /// The message names a task that is unknown, another caller's, or ended.
    pub(super) fn receive(
        &mut self,
        now: Now,
        owner: &Who,
        message: &mut Map<String, Value>,
        run: Key,
        mut fresh: impl FnMut() -> String,
    ) -> Result<String, RpcError> {
        self.expire(now.mono);
        let text = |key: &str| message.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = match text("taskId") {
            Some(id) => {
                let id = id.to_owned();
                if self.of(owner, &id)?.state.is_terminal() {
                    return Err(RpcError::new(RpcError::INVALID_PARAMS, "the task has ended and takes no message"));
                }
                id
            }
            None => {
                let id = fresh();
                let context_id = text("contextId").map_or_else(&mut fresh, str::to_owned);
                self.tasks.insert(id.clone(), Task::new(owner.clone(), context_id, now));
                id
            }
        };
        if let Some(task) = self.tasks.get_mut(&id) {
            message.insert("taskId".to_owned(), id.as_str().into());
            message.insert("contextId".to_owned(), task.context_id.as_str().into());
            message.insert("kind".to_owned(), "message".into());
            let written = Message::try_from(Value::Object(message.clone())).map(Value::from).unwrap_or_default();
            task.runs.push(run);
            task.set(State::Working, now);
            let before = task.bytes;
            task.say(written);
            self.bytes = self.bytes - before + task.bytes;
        }
        self.touch(&id, now.mono);
        Ok(id)
    }

    /// Ends the run of a message, with the agent's message, if there is one. A task that was cancelled meanwhile stays so.
    pub(super) fn answered(&mut self, now: Now, id: &str, run: Key, state: State, said: Option<Map<String, Value>>) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.runs.retain(|other| *other != run);
        if task.state == State::Canceled {
            return;
        }
        let is_last = task.runs.is_empty();
        if is_last || state.is_terminal() {
            task.set(state, now);
        }
        if let Some(mut said) = said {
            said.insert("taskId".to_owned(), id.into());
            said.insert("contextId".to_owned(), task.context_id.as_str().into());
            let parts = said.get("parts").cloned().unwrap_or_default();
            let artifact = json!({"artifactId": said.get("messageId"), "parts": parts});
            let before = task.bytes;
            task.say(said.into());
            task.show(artifact);
            self.bytes = self.bytes - before + task.bytes;
        }
        self.touch(id, now.mono);
    }

    /// Forgets that a message of a task waits, which is not handled.
    pub(super) fn left(&mut self, now: Now, id: &str, run: Key) {
        self.answered(now, id, run, State::InputRequired, None);
    }

    /// The task as its caller sees it, with the newest messages of its history.
    pub(super) fn view(&self, id: &str, history_length: Option<usize>) -> Option<Value> {
        let task = self.tasks.get(id)?;
        let from = history_length.map_or(0, |length| task.history.len().saturating_sub(length));
        let mut view = json!({
            "kind": "task",
            "id": id,
            "contextId": task.context_id,
            "status": {"state": task.state.as_str(), "timestamp": task.since.to_string()},
            "history": task.history[from..],
        });
        if !task.artifacts.is_empty() {
            view["artifacts"] = task.artifacts.as_slice().into();
        }
        Some(view)
    }

    /// Returns the task, for whoever began it.
    ///
    /// # Errors
    /// It is unknown, or another caller's, which is not told apart.
    pub(super) fn get(
        &mut self,
        now: Now,
        owner: &Who,
        id: &str,
        history_length: Option<usize>,
    ) -> Result<Value, RpcError> {
        self.expire(now.mono);
        self.of(owner, id)?;
        self.view(id, history_length).ok_or_else(not_found)
    }

    /// Cancels the task. Returns the messages of it that wait or are being handled.
    ///
    /// # Errors
    /// As for [`get`](Self::get); or it has ended.
    pub(super) fn cancel(&mut self, now: Now, owner: &Who, id: &str) -> Result<Vec<Key>, RpcError> {
        self.expire(now.mono);
        if self.of(owner, id)?.state.is_terminal() {
            return Err(RpcError::new(RpcError::TASK_NOT_CANCELABLE, "the task has ended"));
        }
        let Some(task) = self.tasks.get_mut(id) else { return Err(not_found()) };
        task.set(State::Canceled, now);
        let runs = std::mem::take(&mut task.runs);
        self.touch(id, now.mono);
        Ok(runs)
    }

    /// Returns the message of the task that must be handled first.
    pub(super) fn first(&self, id: &str) -> Option<Key> {
        self.tasks.get(id)?.runs.first().copied()
    }

    fn of(&self, owner: &Who, id: &str) -> Result<&Task, RpcError> {
        self.tasks.get(id).filter(|task| task.owner == *owner).ok_or_else(not_found)
    }

    fn touch(&mut self, id: &str, now: Time) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        self.changes += 1;
        self.order.remove(&task.change);
        (task.change, task.changed_at) = (self.changes, now);
        self.order.insert(self.changes, id.to_owned());
        self.expire(now);
    }

    /// Drops tasks that are too old or too many. One of which something runs stays.
    fn expire(&mut self, now: Time) {
        let mut from = 0;
        while let Some((change, id)) = self.order.range(from..).next() {
            let (change, id) = (*change, id.clone());
            from = change + 1;
            let Some(task) = self.tasks.get(&id) else { continue };
            let is_old = now.since(task.changed_at) >= self.age;
            if !is_old && self.tasks.len() <= self.most && self.bytes <= MOST_BYTES {
                return;
            }
            if task.runs.is_empty() {
                self.bytes -= task.bytes;
                self.tasks.remove(&id);
                self.order.remove(&change);
            }
        }
    }
}

impl Task {
    fn new(owner: Who, context_id: String, now: Now) -> Self {
        Self {
            owner,
            context_id,
            state: State::Working,
            since: now.unix,
            history: Vec::new(),
            artifacts: Vec::new(),
            runs: Vec::new(),
            change: 0,
            changed_at: now.mono,
            bytes: 0,
        }
    }

    fn set(&mut self, state: State, now: Now) {
        (self.state, self.since) = (state, now.unix);
    }

    fn say(&mut self, message: Value) {
        self.bytes += push(&mut self.history, message);
        self.bytes -= trim(&mut self.history);
    }

    fn show(&mut self, artifact: Value) {
        self.bytes += push(&mut self.artifacts, artifact);
        self.bytes -= trim(&mut self.artifacts);
    }
}

/// Adds an entry. Returns its bytes.
fn push(list: &mut Vec<Value>, entry: Value) -> usize {
    let bytes = entry.to_string().len();
    list.push(entry);
    bytes
}

/// Drops the oldest entry of a list that is too long. Returns its bytes.
fn trim(list: &mut Vec<Value>) -> usize {
    if list.len() > MOST_HISTORY { list.remove(0).to_string().len() } else { 0 }
}

fn not_found() -> RpcError {
    RpcError::new(RpcError::TASK_NOT_FOUND, "there is no such task")
}
