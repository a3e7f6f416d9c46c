//! `molecule trigger`: what the workspace's owner, its user and the world outside do, on a `molecule dev` that runs.

use std::path::PathBuf;
use std::time::Duration;

use molecule_async::core::proto::{FileContent, Message, Part, WorkspaceId, printable};
use molecule_dev::{Act, Acted, Chaos, ChaosRule, Fault, RequestKind};
use zeroize::Zeroizing;

use super::client::Client;
use crate::args::{Answer, Asked, FaultName, Trigger, TriggerAct};
use crate::commands::text_or_stdin;
use crate::exit::{self, Failure};
use crate::output::Output;

/// The result is an [`Acted`].
pub(crate) async fn run(trigger: Trigger, workspace: Option<String>, output: &Output) -> Result<u8, Failure> {
    let client = Client::find(&trigger.file)?;
    let of = Named { client: &client, workspace };
    let act = match trigger.act {
        TriggerAct::Create { name } => Act::CreateWorkspace { name, url: None, parent: None },
        TriggerAct::Message { text, from, attach } => {
            let (to, text) = (of.workspace().await?, text_or_stdin(text, "the message")?);
            match from {
                Some(from) => Act::SendAgentMessage { from: of.named(&from).await?, to, message: Message::text(text) },
                None => {
                    let mut message = Message::text(text);
                    message.parts.extend(upload(&client, &to, &attach).await?);
                    Act::SendUserMessage { to, message }
                }
            }
        }
        TriggerAct::Pause { cascade } => Act::Pause { id: of.workspace().await?, cascade },
        TriggerAct::Resume { cascade } => Act::Resume { id: of.workspace().await?, cascade },
        TriggerAct::Rotate => Act::Rotate { id: of.workspace().await? },
        TriggerAct::Delete { purge } => Act::Delete { id: of.workspace().await?, purge },
        TriggerAct::Secret { key, remove: true } => Act::RemoveSecret { id: of.workspace().await?, key },
        TriggerAct::Secret { key, remove: false } => {
            let value = Zeroizing::new(text_or_stdin(None, "the secret")?);
            Act::SetSecret { id: of.workspace().await?, key, value: value.trim_end_matches(['\n', '\r']).to_owned() }
        }
        TriggerAct::Request { title, kind } => {
            let kind = match kind {
                Asked::Task => RequestKind::Task,
                Asked::Approval => RequestKind::Approval,
            };
            Act::RaiseRequest { to: of.workspace().await?, kind, title }
        }
        TriggerAct::Respond { request, answer } => {
            let action = match answer {
                Answer::Done => "done",
                Answer::Approved => "approved",
                Answer::Rejected => "rejected",
            };
            Act::RespondToRequest { request, action: action.to_owned() }
        }
        TriggerAct::Forward { seconds } => {
            client.forward(seconds).await?;
            return tell(&Acted::Done, output);
        }
        TriggerAct::Chaos { fault, path, seconds, all } => {
            let chaos = match wanted(fault, seconds) {
                None => Chaos::none(),
                Some(fault) => {
                    let mut rule = ChaosRule::new(fault);
                    if !all {
                        rule = rule.workspace(of.workspace().await?);
                    }
                    if let Some(path) = path {
                        rule = rule.path(path);
                    }
                    client.chaos().await?.rule(rule)
                }
            };
            client.set_chaos(&chaos).await?;
            return tell(&Acted::Done, output);
        }
        TriggerAct::Act => {
            let act = text_or_stdin(None, "the act")?;
            serde_json::from_str(&act).map_err(|error| Failure::usage(format!("the act is none: {error}")))?
        }
    };
    tell(&client.act(&act).await?, output)
}

/// The fault of a name; `None` for none.
fn wanted(name: FaultName, time: Duration) -> Option<Fault> {
    Some(match name {
        // `Retry-After` has whole seconds.
        FaultName::RateLimited => {
            Fault::RateLimited { retry_after_s: u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX) }
        }
        FaultName::Unavailable => Fault::Unavailable,
        FaultName::Html => Fault::Html,
        FaultName::Slow => Fault::Slow { ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) },
        FaultName::Half => Fault::Half,
        FaultName::Lost => Fault::Lost,
        FaultName::DatabaseDown => Fault::DatabaseDown,
        FaultName::None => return None,
    })
}

fn tell(acted: &Acted, output: &Output) -> Result<u8, Failure> {
    if let Acted::Refused { why } = acted {
        return Err(Failure::new(exit::ERROR, format!("the platform refuses that: {why}")));
    }
    output.result(acted, || match acted {
        Acted::Created { id, token } => {
            let token = token.as_ref().map(|token| format!("\nexport MOLECULE_WORKSPACE_TOKEN={}", token.expose()));
            format!("export WORKSPACE_ID={id}{}", token.unwrap_or_default())
        }
        Acted::Token { token } => format!("export MOLECULE_WORKSPACE_TOKEN={}", token.expose()),
        Acted::Count { count } => format!("done: {count}"),
        Acted::Sent { message_id } => format!("sent: {message_id}"),
        Acted::Uploaded { uri } => uri.clone(),
        Acted::Raised { request } => format!("raised: {request}"),
        _ => "done".to_owned(),
    })?;
    Ok(exit::OK)
}

/// The workspaces that the arguments name.
struct Named<'a> {
    client: &'a Client,
    /// `--workspace`, or its variable.
    workspace: Option<String>,
}

impl Named<'_> {
    /// The workspace that it is about.
    async fn workspace(&self) -> Result<WorkspaceId, Failure> {
        match &self.workspace {
            Some(name) => self.named(name).await,
            None => match &*self.client.workspaces().await? {
                [one] => Ok(one.id.clone()),
                [] => Err(Failure::usage("there is no workspace: `molecule trigger create NAME` makes one")),
                all => {
                    let names = all.iter().map(|one| &*one.name).collect::<Vec<_>>().join(", ");
                    let names = printable::line(&names);
                    Err(Failure::usage(format!("there are several workspaces ({names}); choose one with --workspace")))
                }
            },
        }
    }

    /// The workspace with this id, or else with this name.
    async fn named(&self, name: &str) -> Result<WorkspaceId, Failure> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let listed = self.client.workspaces().await?;
        let all: Vec<_> = listed.iter().filter(|one| one.name == name).collect();
        match &*all {
            [one] => Ok(one.id.clone()),
            [] => Err(Failure::usage(format!("there is no workspace {name:?}"))),
            all => {
                let ids = all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(", ");
                Err(Failure::usage(format!("several workspaces are called {name:?}: choose one by its id ({ids})")))
            }
        }
    }
}

/// Uploads files of the user, and returns the parts of the message that name them.
async fn upload(client: &Client, to: &WorkspaceId, files: &[PathBuf]) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for file in files {
        let content = std::fs::read(file)
            .map_err(|error| Failure::usage(format!("--attach {} cannot be read: {error}", file.display())))?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let act = Act::Upload { to: to.clone(), name: name.clone(), mime_type: String::new(), content: content.into() };
        match client.act(&act).await? {
            Acted::Uploaded { uri } => parts.push(Part::file(FileContent::at(uri).name(name))),
            Acted::Refused { why } => {
                return Err(Failure::new(exit::ERROR, format!("{} cannot be sent: {why}", file.display())));
            }
            _ => return Err(Failure::new(exit::ERROR, "`molecule dev` is of another version")),
        }
    }
    Ok(parts)
}
