//! The register machine: it asks the view first, registers only a workspace that may be registered, and stores a minted
//! token before anything else.

use molecule_proto::{DeliveryMode, RegisterAnswer, RegisterRequest, Time, Token, WorkspaceStatus, WorkspaceView};
use serde::Serialize;

use crate::call::Call;
use crate::effect::{HostOp, HostResult, Slot};
use crate::endpoint::refusal::is_the_platforms_401;
use crate::endpoint::{Existence, RegisterOnce, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::life::beat::SaveInbound;
use crate::life::load_inbound::load_inbound;
use crate::life::load_token::{Damaged, load_token};
use crate::life::save_token::{SaveToken, given_not_saved};
use crate::machine::Cx;
use crate::session::credential::read_token;
use crate::session::delivery::PushState;
use crate::session::{Dialect, Session};
use crate::text::remedy::give_token;

/// The URL that a poll agent registers on April's server, which requires one. It has a path, since a local URL without
/// one could never be replaced later (contract section 4.6).
const PLACEHOLDER: &str = "http://localhost:9/no-inbound";

const OPERATION: &str = "register";

/// Registers the agent, unless its workspace is paused or deleted.
///
/// The steps, in order:
///
/// 1. Load the token.
/// 2. Prepare the store, since a minted token would be lost on a full disk.
/// 3. Wait for another call of the session that may get a token.
/// 4. Ask the open view: a register for a removed id is answered 200 with a dead token, and on April's server a register
///    un-pauses a paused workspace.
/// 5. Send the register, and store a token that it mints before anything else.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Register(Flow<Result<Registration>>);

/// The result of a register that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registration {
    /// Whether the workspace is paused. No register was sent then, since it might end the pause.
    pub paused: bool,
    /// The token that the agent registered with.
    pub token: TokenUse,
    /// How messages reach the agent; `None` on April's server, and for a paused workspace.
    pub delivery_mode: Option<DeliveryMode>,
    /// The server's dialect.
    pub dialect: Dialect,
}

/// The token that an agent registered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenUse {
    /// The token that the agent held.
    Held,
    /// A new token, which is stored.
    Minted,
}

impl Register {
    /// Makes a register with the usual retries.
    pub fn new() -> Self {
        Self::with(true)
    }

    /// Makes a register that sends each request once, for the loop: its lane repeats the register instead.
    pub(crate) fn once() -> Self {
        Self::with(false)
    }

    fn with(retries: bool) -> Self {
        Self(Flow::new(OPERATION, move |line| async move {
            let sequence = Sequence { line, retries, is_prepared: false };
            sequence.register().await.map_err(|error| error.during(OPERATION))
        }))
    }

    /// Returns whether a register is in flight, or a token is being stored.
    pub(crate) fn must_be_finished(&self) -> bool {
        self.0.must_be_finished()
    }
}

machine_of_flow!(Register, Result<Registration>);

/// The steps of a register.
struct Sequence {
    line: Line,
    retries: bool,
    /// Whether the store can be written.
    is_prepared: bool,
}

/// How a register request was sent.
struct Attempt {
    /// The URL that it named; `None` in poll mode.
    reported_url: Option<String>,
    placeholder: bool,
    /// When it was sent for the first time.
    sent_at: Time,
}

/// The platform's answer to a register that it accepted.
struct Accepted {
    answer: RegisterAnswer,
    attempt: Attempt,
    /// The credential that the request carried.
    bearer: Option<Token>,
}

impl Sequence {
    async fn register(mut self) -> Result<Registration> {
        load_token(&self.line, OPERATION, Damaged::Fails).await?;
        // Every register announces the secret again.
        if let Err(error) = load_inbound(&self.line).await? {
            self.warn(&error);
        }
        self.prepare().await?;
        self.load_before().await?;
        let _turn = self.line.turn("take the turn").await?;
        let tried = self.save_earlier().await;
        let mut placeholder = match self.ask_view().await? {
            Viewed::Paused(registration) => return Ok(registration),
            Viewed::Present => self.line.with(|cx| cx.session.poll_refused),
        };
        loop {
            let (attempt, end) = self.send(placeholder).await?;
            match end {
                Ok((answer, bearer)) => return self.accepted(Accepted { answer, attempt, bearer }, tried).await,
                Err(error) => placeholder = self.refused(error, &attempt)?,
            }
        }
    }

    async fn prepare(&mut self) -> Result<()> {
        match self.line.host("prepare the store", HostOp::Prepare).await? {
            Ok(result) => {
                if let HostResult::SetRight(said) = result {
                    said.into_iter().for_each(|said| self.line.tell(Event::Warning(said)));
                }
                self.is_prepared = true;
                Ok(())
            }
            Err(fault) => {
                let (is_given, is_held) =
                    self.line.with(|cx| (cx.session.given_token_to_store().is_some(), cx.session.held().is_some()));
                let error =
                    if is_given { given_not_saved(OPERATION, fault) } else { Error::from_fault(OPERATION, fault) };
                if !is_held {
                    return Err(error);
                }
                // An agent that holds a token hardly ever gets a minted one, so a full disk must not take it offline.
                self.warn(&error);
                Ok(())
            }
        }
    }

    /// Records what the store holds before the platform accepts the token that the owner gave.
    async fn load_before(&self) -> Result<()> {
        if self.line.with(|cx| cx.session.given_token_to_store().is_none()) {
            return Ok(());
        }
        let loaded = self.line.load("load the token before", Slot::Token).await?;
        let before =
            loaded.ok().and_then(|stored| stored.map(|stored| read_token(OPERATION, &stored)).transpose().ok());
        self.line.with(|cx| cx.session.store_before = before);
        Ok(())
    }

    /// Stores a token that an earlier register could not store. Returns whether that failed again. The session still
    /// holds the token then, so that the register itself needs no disk.
    async fn save_earlier(&self) -> bool {
        let Some(save) = self.line.with(|cx| SaveToken::unsaved(OPERATION, cx.session)) else { return false };
        let saved = self.line.run("store the earlier token", save, Parting::finish()).await;
        saved.inspect_err(|error| self.warn(error)).is_err()
    }

    async fn ask_view(&self) -> Result<Viewed> {
        self.line.check()?;
        let call = if self.retries { Call::new(View) } else { Call::once(View) };
        let existence = self.line.run("look at the view", call, Parting::give_up()).await?;
        self.line.with(|cx| match existence {
            Existence::Removed => Err(removed()),
            Existence::NotFound if cx.session.held().is_some() => Err(removed()),
            Existence::NotFound => {
                let cause = format!("there is no workspace {}", cx.session.workspace_id());
                Err(Error::new(ErrorKind::NotCreated, OPERATION, cause).remedy(
                    "create it on the platform first, as an external workspace, and check its id: the builder's, or \
                     MOLECULE_WORKSPACE_ID with from_env()",
                ))
            }
            Existence::Present(view) => Ok(self.present(cx, &view)),
        })
    }

    fn present(&self, cx: &mut Cx<'_>, view: &WorkspaceView) -> Viewed {
        let dialect = cx.session.learn_dialect(view.kind.is_some());
        if cx.session.vitals.set_status(&view.status) {
            self.line.tell(Event::StatusChanged(view.status.clone()));
        }
        match view.status {
            WorkspaceStatus::Paused => {
                Viewed::Paused(Registration { paused: true, token: TokenUse::Held, delivery_mode: None, dialect })
            }
            _ => Viewed::Present,
        }
    }

    /// Sends the register. If the caller cancels while it is in flight, its answer is awaited, since it may carry a
    /// minted token.
    async fn send(&self, placeholder: bool) -> Result<(Attempt, Result<(RegisterAnswer, Option<Token>)>)> {
        self.line.check()?;
        let (sent_at, request) = self.line.with(|cx| (cx.now.mono, request(cx.session, placeholder)));
        let (request, reported_url) = request?;
        let call = if self.retries { Call::new(RegisterOnce(request)) } else { Call::once(RegisterOnce(request)) };
        // The view was asked just before.
        let call = call.asking_the_view(false);
        let (call, end) = self.line.run_and_keep("send the register", call, Call::wait_if_sent()).await;
        Ok((Attempt { reported_url, placeholder, sent_at }, end.map(|answer| (answer, call.accepted_with().cloned()))))
    }

    /// Stores the token, if it is to be stored, before anything else. `tried` says that a save of an earlier token
    /// failed in this register.
    async fn accepted(&self, accepted: Accepted, tried: bool) -> Result<Registration> {
        let Accepted { answer, attempt, bearer } = accepted;
        let is_minted = answer.auth_token.is_some();
        // Another lane may meanwhile have replaced the bearer by one that only memory holds.
        let (dialect, save, save_inbound) = self.line.with(|cx| {
            let dialect = cx.session.learn_dialect(is_current(&answer));
            let save = match answer.auth_token.clone() {
                Some(token) => Some(SaveToken::minted(OPERATION, token)),
                None if tried => None,
                None => SaveToken::unsaved(OPERATION, cx.session).or_else(|| save_given(cx.session, bearer.as_ref())),
            };
            (dialect, save, SaveInbound::new(cx, answer.platform_inbound_secret.clone()))
        });
        if let Some(save) = save
            && let Err(error) = self.line.run("store the token", save, Parting::finish()).await
        {
            if is_minted {
                // The platform accepted the register; only the save failed.
                self.line.with(|cx| cx.session.vitals.registered(cx.now, attempt.sent_at, attempt.reported_url));
                return Err(error);
            }
            // An unwritable store was already reported by `prepare`.
            if self.is_prepared {
                self.warn(&error);
            }
        }
        let token = if is_minted { TokenUse::Minted } else { TokenUse::Held };
        Ok(self.registered(answer.delivery_mode, attempt, (token, dialect), save_inbound).await)
    }

    /// Reports the register, and stores the inbound secret. `shown` is the dialect that the answer has shown.
    async fn registered(
        &self,
        delivery_mode: Option<DeliveryMode>,
        attempt: Attempt,
        (token, shown): (TokenUse, Dialect),
        save_inbound: SaveInbound,
    ) -> Registration {
        let minted = token == TokenUse::Minted;
        self.line.tell(Event::Registered { delivery_mode: delivery_mode.clone(), minted });
        if attempt.placeholder {
            self.line.tell(Event::PollUnsupported { placeholder: PLACEHOLDER.to_owned() });
        }
        let dialect = self.line.with(|cx| {
            cx.session.vitals.registered(cx.now, attempt.sent_at, attempt.reported_url);
            // A heartbeat that was answered while the token was stored has shown the newer one.
            cx.session.dialect.unwrap_or(shown)
        });
        self.line.run("store the inbound secret", save_inbound, Parting::finish()).await;
        Registration { paused: false, token, delivery_mode, dialect }
    }

    /// Judges a refused register. If it is worth another try, returns whether that one has the placeholder.
    fn refused(&self, error: Error, attempt: &Attempt) -> Result<bool> {
        let unnamed = error.status() == Some(http::StatusCode::BAD_REQUEST)
            && error.server_message() == Some("invalid request body");
        if unnamed && attempt.reported_url.is_none() && !attempt.placeholder {
            // April's server answers this to every register without a URL, since it has no poll mode (contract section
            // 20).
            self.line.with(|cx| cx.session.poll_refused = true);
            return Ok(true);
        }
        if error.kind() == ErrorKind::Refused && self.polls_instead(&error, attempt) {
            return Ok(self.line.with(|cx| cx.session.poll_refused));
        }
        Err(explain(error, self.line.with(|cx| cx.session.held().is_some()), unnamed))
    }

    /// Has the agent poll if the platform refused the URL of its own server, and the plan allows it. Returns whether it does.
    fn polls_instead(&self, error: &Error, attempt: &Attempt) -> bool {
        let is_bad = error.status() == Some(http::StatusCode::BAD_REQUEST);
        self.line.with(|cx| {
            let delivery = &mut cx.session.delivery;
            let is_of_server =
                attempt.reported_url.is_some() && attempt.reported_url.as_deref() == delivery.served_url();
            if !is_bad || !is_of_server || !delivery.is_auto() {
                return false;
            }
            let state = PushState::refused(error);
            if let PushState::Unreachable(why) = &state {
                let why = why.clone();
                if delivery.set_state(state) {
                    self.line.tell(Event::PushUnreachable { why });
                }
            }
            true
        })
    }

    fn warn(&self, error: &Error) {
        self.line.tell(Event::Warning(error.to_string()));
    }
}

/// The state of the workspace, as the view shows it.
enum Viewed {
    /// The workspace may be registered.
    Present,
    /// The workspace is paused; no register is sent.
    Paused(Registration),
}

/// Returns the body of a register, and the URL that it names; `None` in poll mode.
fn request(session: &Session, placeholder: bool) -> Result<(RegisterRequest, Option<String>)> {
    let config = session.config();
    let reported_url = session.url_to_register().map(str::to_owned);
    let (mode, url) = match &reported_url {
        Some(url) => (DeliveryMode::Push, url.as_str()),
        None if placeholder => (DeliveryMode::Poll, PLACEHOLDER),
        None => (DeliveryMode::Poll, ""),
    };
    let agent_card = serde_json::to_value(&config.card)
        .map_err(|_| Error::config("the card is not JSON", "use text keys and finite numbers"))?;
    let request = RegisterRequest::new(session.workspace_id().clone(), agent_card).url(url).delivery_mode(mode);
    Ok((request, reported_url))
}

/// Returns the save of a given token that the platform has accepted as `bearer`. Another lane may meanwhile have
/// replaced the session's bearer by one that was refused, so both are compared.
fn save_given(session: &Session, bearer: Option<&Token>) -> Option<SaveToken> {
    let given = session.given_token_to_store().filter(|given| bearer == Some(given))?;
    Some(SaveToken::given(OPERATION, given))
}

/// Makes the error of a refused register: what the refusal means, and its remedy.
fn explain(error: Error, held: bool, unnamed: bool) -> Error {
    let again = |kind, cause: &str, remedy: String| {
        let message = error.server_message().map(str::to_owned);
        let told = Error::new(kind, OPERATION, cause).remedy(remedy).with_body(error.code(), message.as_deref());
        let told = told.with_attempts(error.attempts());
        match error.status() {
            Some(status) => told.with_status(status),
            None => told,
        }
    };
    // A 401 of a gateway before the platform says nothing about the token.
    let is_refused = is_the_platforms_401(&error);
    match error.kind() {
        ErrorKind::Unauthorized if is_refused && held => again(
            ErrorKind::Revoked,
            "the token that is held was revoked, or belongs to another workspace",
            format!("take a live token: {}; or recover with an admin credential", give_token()),
        ),
        ErrorKind::Unauthorized if is_refused => again(
            ErrorKind::TokenNotHeld,
            "the platform already issued a token for this workspace and none is stored here",
            format!(
                "take the token shown when the workspace was created: {}; or ask an admin to rotate it (recover with an admin \
                 credential)",
                give_token()
            ),
        ),
        _ if error.may_have_acted() => error.remedy(
            "register again; should the platform then ask for a token that is not held here, the lost answer carried it: \
             recover with an admin credential",
        ),
        ErrorKind::Refused if unnamed => again(
            ErrorKind::Refused,
            "the platform refused the reported URL without saying why",
            "check reported_url(…), or MOLECULE_REPORTED_URL: it must be reachable from the platform, and for this machine \
             older servers take localhost alone, not 127.0.0.1"
                .to_owned(),
        ),
        _ => error,
    }
}

fn removed() -> Error {
    Error::new(ErrorKind::Removed, OPERATION, "the workspace was deleted")
        .remedy("create a new one on the platform and use its id")
}

/// Returns whether an answer is the current server's: only that one states the delivery mode or an inbound secret.
fn is_current(answer: &RegisterAnswer) -> bool {
    answer.delivery_mode.is_some() || answer.platform_inbound_secret.is_some()
}

impl Default for Register {
    fn default() -> Self {
        Self::new()
    }
}
