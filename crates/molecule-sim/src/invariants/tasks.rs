//! Invariant: tasks are told truly, to whoever began them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::EffectId;
use molecule_proto::{RpcError, TASKS_CANCEL, TASKS_GET, Time};
use serde_json::Value;

use super::credentials::is_open;
use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::served::{Delivery, Reaction};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct TasksAreToldTruly {
    tasks: BTreeMap<(usize, String), Task>,
    /// By process and message: its task.
    messages: BTreeMap<(usize, String), String>,
    running: BTreeMap<(usize, EffectId), String>,
}

/// What a process has told of a task.
#[derive(Debug)]
struct Task {
    /// The credential of whoever began it.
    owner: Option<String>,
    /// The last state that it ended in.
    ended: Option<String>,
    is_cancelled: bool,
    /// When it was told last, by the agent's clock.
    told_at: Time,
    /// The messages whose handlers ran when it was cancelled.
    to_stop: BTreeSet<String>,
}

/// For how long a server certainly knows a task after its last change. It keeps a task for an hour.
const KNOWN: Duration = Duration::from_secs(3500);

impl Invariant for TasksAreToldTruly {
    fn name(&self) -> &'static str {
        "tasks are told truly"
    }

    fn sentence(&self) -> &'static str {
        "a server in task mode knows a task for an hour and shows it to whoever began it alone; one that has ended stays as it is, one \
         that is cancelled is not handled, and a handler that has it is told; a history is no longer than was asked for"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let process = sight.who.process;
        match &sight.seen {
            TraceEvent::Reacted(delivery, Reaction::Answers(_, body)) => return self.told(sight, delivery, body),
            TraceEvent::Offered(id, message) if sight.who.kind == JobKind::Serve => {
                let Some(message) = message.message_id() else { return Ok(()) };
                if self.task_of(process, message).is_some_and(|task| task.is_cancelled) {
                    return Err(format!("message {message} is handled, and its task was cancelled before"));
                }
                self.running.insert((process, *id), message.to_owned());
            }
            TraceEvent::HandlerEnds(id, message) => {
                let Some(name) = self.running.remove(&(process, *id)) else { return Ok(()) };
                let was_to_stop = self.task_of(process, &name).is_some_and(|task| task.to_stop.contains(&name));
                if was_to_stop && !message.is_cancelled() {
                    return Err(format!("the handler of message {name} was not told that the task is cancelled"));
                }
            }
            TraceEvent::Landed(landing, _) => drop(self.running.remove(&(process, landing.id))),
            seen if is_dead(seen) => {
                self.tasks.retain(|(of, _), _| *of != process);
                self.messages.retain(|(of, _), _| *of != process);
                self.running.retain(|(of, _), _| *of != process);
            }
            _ => {}
        }
        Ok(())
    }
}

impl TasksAreToldTruly {
    fn task_of(&self, process: usize, message: &str) -> Option<&Task> {
        let id = self.messages.get(&(process, message.to_owned()))?;
        self.tasks.get(&(process, id.clone()))
    }

    fn told(&mut self, sight: &Sight<'_>, delivery: &Delivery, body: &Value) -> Result<(), String> {
        let (process, now) = (sight.who.process, sight.clock.mono);
        let method = delivery.body["method"].as_str().unwrap_or_default();
        let params = &delivery.body["params"];
        let asked = params["id"].as_str().unwrap_or_default();
        let is_asked = matches!(method, TASKS_GET | TASKS_CANCEL);
        let result = &body["result"];
        if let (true, Some(code)) = (is_asked, body["error"]["code"].as_i64()) {
            let known = self.tasks.get(&(process, asked.to_owned()));
            let known = known.filter(|task| task.owner == delivery.bearer && now.since(task.told_at) < KNOWN);
            // Whoever comes without a credential that counts is somebody else once one counts.
            if let Some(task) = known.filter(|_| !is_open(sight, delivery.target))
                && code == RpcError::TASK_NOT_FOUND
            {
                return Err(format!("task {asked} is not found by whoever began it: {task:?}"));
            }
            return Ok(());
        }
        let (Some("task"), Some(id)) = (result["kind"].as_str(), result["id"].as_str()) else { return Ok(()) };
        let is_open = is_open(sight, delivery.target);
        let task = self.tasks.entry((process, id.to_owned())).or_insert_with(|| Task {
            owner: delivery.bearer.clone(),
            ended: None,
            is_cancelled: false,
            told_at: now,
            to_stop: BTreeSet::new(),
        });
        task.told_at = now;
        if !delivery.message.is_empty() {
            self.messages.insert((process, delivery.message.clone()), id.to_owned());
        }
        if task.owner != delivery.bearer && !is_open {
            return Err(format!("task {id} is shown to somebody else than whoever began it"));
        }
        // A message may be answered with the task as it was before it waited for the disk.
        if !is_asked {
            return Ok(());
        }
        if id != asked {
            return Err(format!("task {asked} was asked for, and {id} is shown"));
        }
        let state = result["status"]["state"].as_str().unwrap_or_default();
        if let Some(before) = task.ended.as_ref().filter(|before| *before != state) {
            return Err(format!("task {id} is {state}, and was {before}"));
        }
        if method == TASKS_CANCEL {
            if task.ended.is_some() || state != "canceled" {
                return Err(format!("task {id} is cancelled, and is {state}, and was {:?}", task.ended));
            }
            task.is_cancelled = true;
            let of_it = self.messages.iter().filter(|((of, _), task)| *of == process && *task == id);
            let of_it: BTreeSet<&String> = of_it.map(|((_, message), _)| message).collect();
            let running = self.running.iter().filter(|((of, _), message)| *of == process && of_it.contains(message));
            task.to_stop = running.map(|(_, message)| message.clone()).collect();
        }
        if matches!(state, "canceled" | "completed" | "failed") {
            task.ended = Some(state.to_owned());
        }
        let most = params["historyLength"].as_u64().unwrap_or(u64::MAX);
        let history = result["history"].as_array().map_or(0, Vec::len) as u64;
        if history > most {
            return Err(format!("task {id} is shown with {history} messages, and {most} were asked for"));
        }
        Ok(())
    }
}
