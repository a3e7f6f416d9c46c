//! The acts of the page: a form becomes an [`Act`], and its outcome a line for whoever sent the form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use maud::Markup;
use molecule_platform::{Act, Acted, RequestKind};
use molecule_proto::{DeliveryMode, FileContent, Message, Part, WorkspaceId};

use super::form::Form;
use super::html::{self, count};
use super::{plugins, workspace};

/// The longest text of a field, in bytes.
const LONGEST: usize = 1 << 20;

/// What an act gave: the status of the answer, and a fragment of HTML.
pub(crate) type Outcome = (StatusCode, Markup);

/// What the acts need of the world.
pub(crate) trait Owner {
    /// Performs an act, and records it.
    fn act(&self, act: Act) -> Acted;
    /// The platform's base URL, without a slash at its end.
    fn url(&self) -> String;
    /// The name of a workspace and how messages reach its agent; `None` if there is no such workspace.
    fn about(&self, id: &WorkspaceId) -> Option<(String, Option<DeliveryMode>)>;
}

/// Performs the act of a form.
pub(crate) fn perform(owner: &dyn Owner, name: &str, form: &Form) -> Outcome {
    match performed(owner, name, form) {
        Ok(markup) => (StatusCode::OK, markup),
        Err(Trouble::Missing(what)) => {
            (StatusCode::BAD_REQUEST, html::refused(&format!("{what} is missing or makes no sense.")))
        }
        Err(Trouble::TooLong(what)) => {
            let why = format!("{what} is too long: a text has at most {LONGEST} bytes. Send more as a file.");
            (StatusCode::PAYLOAD_TOO_LARGE, html::refused(&why))
        }
        Err(Trouble::Refused(why)) => (StatusCode::CONFLICT, html::refused(&sentence(&why))),
        Err(Trouble::Unknown) => (StatusCode::NOT_FOUND, html::refused("There is no such act.")),
    }
}

/// Why an act was not performed.
pub(crate) enum Trouble {
    /// A field is missing or cannot be read; its name, as a sentence begins with it.
    Missing(&'static str),
    /// A field is longer than [`LONGEST`]; its name.
    TooLong(&'static str),
    /// The platform refused it.
    Refused(String),
    Unknown,
}

fn performed(owner: &dyn Owner, name: &str, form: &Form) -> Result<Markup, Trouble> {
    let workspace = || form.workspace("workspace").ok_or(Trouble::Missing("The workspace"));
    let named = |id: &WorkspaceId| owner.about(id).map_or_else(|| id.to_string(), |(name, _)| html::name(&name));
    match name {
        "create" => create(owner, form),
        "pause" | "resume" => {
            let (id, cascade) = (workspace()?, form.is_set("cascade"));
            let what = if name == "pause" { "Paused" } else { "Resumed" };
            let (named, act) =
                (named(&id), if name == "pause" { Act::Pause { id, cascade } } else { Act::Resume { id, cascade } });
            match accepted(owner.act(act))? {
                Acted::Count { count: number } if number > 1 => {
                    Ok(html::done(&format!("{what} {named} and {} below it.", number - 1)))
                }
                _ => Ok(html::done(&format!("{what} {named}."))),
            }
        }
        "rotate" => {
            let id = workspace()?;
            match accepted(owner.act(Act::Rotate { id: id.clone() }))? {
                Acted::Token { token } => {
                    Ok(workspace::issued(&owner.url(), &id, &token, "A new token; those before are revoked"))
                }
                _ => Err(Trouble::Refused("no token was made".to_owned())),
            }
        }
        "delete" => {
            let id = workspace()?;
            let name = named(&id);
            accepted(owner.act(Act::Delete { id, purge: form.is_set("purge") }))?;
            Ok(html::done(&format!("Deleted {name}. Its tokens are revoked.")))
        }
        "set-secret" => {
            let key = field(form, "key", "The secret's name")?;
            let value = field(form, "value", "The secret's value")?;
            accepted(owner.act(Act::SetSecret { id: workspace()?, key: key.trim().to_owned(), value }))?;
            Ok(html::done("Set. The agent gets it with its next pull."))
        }
        "remove-secret" => {
            let key = form.text("key").and_then(html::decoded).ok_or(Trouble::Missing("The secret's name"))?;
            accepted(owner.act(Act::RemoveSecret { id: workspace()?, key }))?;
            Ok(html::done("Removed."))
        }
        "message" => message(owner, form, workspace()?),
        "request" => {
            let kind = match form.text("kind") {
                Some("approval") => RequestKind::Approval,
                Some("task") => RequestKind::Task,
                _ => return Err(Trouble::Missing("The kind")),
            };
            let title = field(form, "title", "The title")?;
            accepted(owner.act(Act::RaiseRequest { to: workspace()?, kind, title }))?;
            Ok(html::done("Asked. The agent hears of it on its event stream, or with a nudge."))
        }
        "respond" => {
            let request = field(form, "request", "The request")?;
            let action = field(form, "action", "The decision")?;
            accepted(owner.act(Act::RespondToRequest { request, action: action.clone() }))?;
            Ok(html::done(&format!("The request is {}.", html::short(&action, 40))))
        }
        "ability" => {
            let (id, can) = (workspace()?, Some(form.is_set("can")));
            let (broadcast, talk_to_user) = match form.text("ability") {
                Some("broadcast") => (can, None),
                Some("talk_to_user") => (None, can),
                _ => return Err(Trouble::Missing("The ability")),
            };
            accepted(owner.act(Act::SetAbilities { id, delegate: None, broadcast, talk_to_user }))?;
            Ok(html::done(if can == Some(true) { "Allowed." } else { "Forbidden." }))
        }
        "nudge" => {
            accepted(owner.act(Act::Nudge { id: workspace()? }))?;
            Ok(html::done("The nudge comes with the agent's next idle heartbeat."))
        }
        "add-plugin" => {
            let plugin = plugins::read(form).map_err(Trouble::Refused)?;
            let name = html::name(plugin.name());
            accepted(owner.act(Act::AddPlugin { plugin }))?;
            Ok(html::done(&format!("{name} is in the registry.")))
        }
        "remove-plugin" => {
            let name = form.text("name").and_then(html::decoded).ok_or(Trouble::Missing("The plugin's name"))?;
            accepted(owner.act(Act::RemovePlugin { name }))?;
            Ok(html::done("Removed."))
        }
        _ => Err(Trouble::Unknown),
    }
}

fn field(form: &Form, name: &str, what: &'static str) -> Result<String, Trouble> {
    let text = form.text(name).ok_or(Trouble::Missing(what))?;
    if text.len() <= LONGEST { Ok(text.to_owned()) } else { Err(Trouble::TooLong(what)) }
}

fn accepted(acted: Acted) -> Result<Acted, Trouble> {
    match acted {
        Acted::Refused { why } => Err(Trouble::Refused(why)),
        acted => Ok(acted),
    }
}

fn create(owner: &dyn Owner, form: &Form) -> Result<Markup, Trouble> {
    let name = field(form, "name", "The name")?;
    let parent = match form.text("parent") {
        Some(text) => Some(text.parse().map_err(|_| Trouble::Missing("The workspace above it"))?),
        None => None,
    };
    let url = form.text("url").map(|url| url.trim().to_owned());
    match accepted(owner.act(Act::CreateWorkspace { name: name.clone(), url, parent }))? {
        Acted::Created { id, token: Some(token) } => {
            Ok(workspace::issued(&owner.url(), &id, &token, &format!("Created {}", html::name(&name))))
        }
        Acted::Created { id, token: None } => Ok(maud::html! {
            h3 { "Created " (html::name(&name)) }
            p { "It has no token yet: the first register of its agent makes one. " a href={ "#/workspace/" (id) } { "Open it" } }
        }),
        _ => Err(Trouble::Refused("no workspace was created".to_owned())),
    }
}

/// Sends a message of the user, or of another agent, with its files. A poll agent fetches the user's files from the platform; every
/// other file goes with its bytes in the message.
fn message(owner: &dyn Owner, form: &Form, to: WorkspaceId) -> Result<Markup, Trouble> {
    let text = match form.text("text") {
        Some(_) => Some(field(form, "text", "The message")?),
        None if form.files.is_empty() => return Err(Trouble::Missing("The message")),
        None => None,
    };
    let (_, mode) = owner.about(&to).ok_or_else(|| Trouble::Refused("there is no such workspace".to_owned()))?;
    let from = match form.text("from") {
        Some(from) => Some(from.parse::<WorkspaceId>().map_err(|_| Trouble::Missing("The sender"))?),
        None => None,
    };
    let mut parts: Vec<Part> = text.map(Part::text).into_iter().collect();
    for file in &form.files {
        let content = if mode == Some(DeliveryMode::Poll) && from.is_none() {
            let (name, mime_type) = (file.name.clone(), file.content_type.clone());
            let upload = Act::Upload { to: to.clone(), name, mime_type, content: file.content.clone() };
            match accepted(owner.act(upload))? {
                Acted::Uploaded { uri } => FileContent::at(uri),
                _ => return Err(Trouble::Refused("the file was not uploaded".to_owned())),
            }
        } else {
            FileContent::base64(STANDARD.encode(&file.content))
        };
        parts.push(Part::file(content.name(&file.name).mime_type(&file.content_type)));
    }
    let message = Message::new(parts);
    accepted(owner.act(match from {
        Some(from) => Act::SendAgentMessage { from, to, message },
        None => Act::SendUserMessage { to, message },
    }))?;
    let files =
        if form.files.is_empty() { String::new() } else { format!(", with {}", count(form.files.len(), "file")) };
    Ok(html::done(&format!("Sent{files}.")))
}

/// A reason as a sentence.
fn sentence(why: &str) -> String {
    let why = html::short(why, 500);
    let mut letters = why.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if why.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use bytes::Bytes;
    use molecule_platform::{Config, Dialect, Now, Platform};

    use super::super::form::File;
    use super::*;

    struct House(RefCell<Platform>);

    impl Owner for House {
        fn act(&self, act: Act) -> Acted {
            self.0.borrow_mut().act(Now::default(), act)
        }

        fn url(&self) -> String {
            "http://127.0.0.1:7420".to_owned()
        }

        fn about(&self, id: &WorkspaceId) -> Option<(String, Option<DeliveryMode>)> {
            let platform = self.0.borrow();
            platform.workspace(id).map(|view| (view.name, platform.delivery_mode(id)))
        }
    }

    fn house() -> (House, WorkspaceId) {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        let (id, _token) = platform.create_workspace(Now::default(), "a");
        (House(RefCell::new(platform)), id)
    }

    fn act(house: &House, name: &str, fields: &str) -> (u16, String) {
        let (status, markup) = perform(house, name, &Form::of_query(fields).unwrap());
        (status.as_u16(), markup.into_string())
    }

    #[test]
    fn a_workspace_is_created_paused_resumed_rotated_and_deleted() {
        let (house, _) = house();
        let (status, said) = act(&house, "create", "name=%3Cscript%3Eb&parent=&url=");
        assert_eq!(status, 200);
        assert!(said.contains("Created &lt;script&gt;b") && !said.contains("<script"), "{said}");
        let id = said.split("id=\"token-").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let token = said.split("tabindex=\"0\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let workspace: WorkspaceId = id.parse().unwrap();
        let is_live = |token: &str| house.0.borrow().is_live(&workspace, &molecule_proto::Token::new(token).unwrap());
        assert!(is_live(&token));

        let of = format!("workspace={id}");
        assert_eq!(act(&house, "pause", &of), (200, "<p class=\"good\">Paused &lt;script&gt;b.</p>".to_owned()));
        let (status, said) = act(&house, "pause", &of);
        assert!(status == 409 && said.contains("already paused"), "{said}");
        // The configuration of the model has no provisioner by default, and the reason is said.
        let (status, said) = act(&house, "resume", &of);
        assert!(status == 200 || said.contains("stays paused"), "{said}");
        let (status, said) = act(&house, "rotate", &of);
        assert!(status == 200 && !said.contains(&token) && !is_live(&token));
        assert_eq!(act(&house, "delete", &format!("{of}&purge=true")).0, 200);
        assert!(house.0.borrow().workspace(&workspace).is_none());
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_happens() {
        let (house, id) = house();
        let before = format!("{:?}", house.0.borrow());
        for (name, fields, status, word) in [
            ("create", "name=+", 400, "The name"),
            ("create", "name=a&parent=nonsense", 400, "The workspace above it"),
            ("pause", "workspace=nonsense", 400, "The workspace"),
            ("message", &format!("workspace={id}&text="), 400, "The message"),
            ("message", &format!("workspace={id}&text=a&from=nobody"), 400, "The sender"),
            (
                "message",
                &format!("workspace={id}&text=a&from=7fda77bf-a467-441c-9fab-7d8aba8e6040"),
                409,
                "does not exist",
            ),
            ("ability", &format!("workspace={id}&ability=fly&can=true"), 400, "The ability"),
            ("set-secret", &format!("workspace={id}&key=K"), 400, "The secret&#39;s value"),
            ("request", &format!("workspace={id}&kind=wish&title=t"), 400, "The kind"),
            ("pause", "workspace=7fda77bf-a467-441c-9fab-7d8aba8e6040", 409, "unknown"),
            ("explode", "", 404, "no such act"),
        ] {
            let (found, said) = act(&house, name, fields);
            assert!(found == status && said.replace("'", "&#39;").contains(word), "{name} {fields}: {found} {said}");
        }
        assert_eq!(format!("{:?}", house.0.borrow()), before);
    }

    #[test]
    fn another_agent_writes_and_an_ability_is_given_and_taken() {
        let (house, id) = house();
        let (other, _token) = house.0.borrow_mut().create_workspace(Now::default(), "b");
        assert_eq!(act(&house, "message", &format!("workspace={id}&from={other}&text=hi")).0, 200);
        assert_eq!(house.0.borrow().activity(&id)[0].source_id.as_ref(), Some(&other));

        let talks = || house.0.borrow().workspace(&id).unwrap().talk_to_user_enabled;
        assert_eq!(talks(), Some(true));
        assert_eq!(
            act(&house, "ability", &format!("workspace={id}&ability=talk_to_user&can=false")).1,
            "<p class=\"good\">Forbidden.</p>"
        );
        assert_eq!(talks(), Some(false));
        assert_eq!(act(&house, "ability", &format!("workspace={id}&ability=talk_to_user&can=true")).0, 200);
        assert_eq!(talks(), Some(true));
    }

    #[test]
    fn a_message_has_its_files_by_name_for_a_poll_agent_and_by_bytes_for_a_push_agent() {
        let (house, id) = house();
        let mut form = Form::of_query(&format!("workspace={id}&text=hello")).unwrap();
        let file = || File {
            name: "a.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            content: Bytes::from_static(b"abc"),
        };
        form.files.push(file());
        let sent = |house: &House| {
            let platform = house.0.borrow();
            let rows = platform.activity(&id);
            rows.iter()
                .find_map(|row| row.request_body.as_ref()?.pointer("/params/message/parts/1/file").cloned())
                .unwrap()
        };
        // An agent is a push agent until it registers as another one.
        assert_eq!(perform(&house, "message", &form).0, 200);
        assert_eq!(sent(&house)["bytes"], "YWJj");

        let token =
            house.0.borrow_mut().mint_token(Now::default(), &id, molecule_platform::TokenKind::Instance).unwrap();
        let register = format!("{{\"id\":\"{id}\",\"delivery_mode\":\"poll\",\"agent_card\":{{}}}}");
        let request = http::Request::post("/registry/register").header("authorization", token.bearer());
        let request = request.body(Bytes::from(register)).unwrap();
        assert_eq!(house.0.borrow_mut().handle(Now::default(), None, request).ready().unwrap().status(), 200);
        assert_eq!(perform(&house, "message", &form).0, 200);
        let uri = sent(&house)["uri"].as_str().unwrap().to_owned();
        let platform = house.0.borrow();
        assert_eq!(platform.uploaded(uri.rsplit('/').next().unwrap()).unwrap().content, &file().content);
    }
}
