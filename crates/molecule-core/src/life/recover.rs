//! The recovery machine: it gets a new token with an administrator's credential, or by rotating the agent's own.

use molecule_proto::{Token, TokenId, TokenList};
use serde::Serialize;

use crate::call::Call;
use crate::effect::{HostOp, HostResult};
use crate::endpoint::{Existence, ListTokens, MintToken, RevokeToken, Rotate, View};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::life::load_token::{Damaged, load_token};
use crate::life::save_token::SaveToken;
use crate::session::{Auth, Dialect, Session};

const OPERATION: &str = "recover";

/// The remedy for a rotation that may have revoked every token, and whose answer brought none.
const AFTER_LOSS: &str = "the old tokens may be revoked by now: recover once more, with an admin credential";

/// The remedy for a mint whose answer was lost: the old token is still valid.
const LOST_MINT: &str = "recover once more: a token may have been made, and its answer is lost";

/// The credential that authorizes a new token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// An administrator's credential: the platform's `ADMIN_TOKEN` or an organisation token. It is used for this call
    /// only and never stored.
    Admin(Token),
    /// The agent's own token, which the new one replaces.
    Own,
}

impl Recovery {
    /// Makes a recovery with an administrator's credential.
    ///
    /// # Errors
    /// `Config` if the text cannot be a credential.
    pub fn admin(credential: &str) -> Result<Self> {
        let token = Token::new(credential).map_err(|error| {
            Error::config(format!("the admin credential: {error}"), "give the platform's admin token").during(OPERATION)
        })?;
        Ok(Self::Admin(token))
    }
}

/// The result of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovered {
    /// All earlier tokens were revoked and one was minted (the current server).
    Rotated,
    /// An additional token was minted (April's server, which has no rotation).
    Minted {
        /// Whether the earlier token was revoked.
        old_revoked: bool,
    },
}

/// Gets a new token for the agent and stores it before anything else.
///
/// On the current server the token is rotated, which revokes **all** tokens. The request is therefore sent again only
/// if it was never sent or the platform itself turned it away. The view is asked first, since a removed workspace would
/// be answered with a dead token. On April's server an additional token is minted; then the old one is revoked, found
/// by its visible prefix.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Recover(Flow<Result<Recovered>>);

impl Recover {
    /// Makes a recovery with this credential.
    pub fn new(recovery: Recovery) -> Self {
        Self(Flow::new(OPERATION, move |line| async move {
            Sequence { line, recovery }.recover().await.map_err(|error| error.during(OPERATION))
        }))
    }
}

machine_of_flow!(Recover, Result<Recovered>);

/// The steps of a recovery.
struct Sequence {
    line: Line,
    recovery: Recovery,
}

impl Sequence {
    async fn recover(self) -> Result<Recovered> {
        // A recovery with an admin credential is the remedy for a damaged token.
        let damaged = if self.recovery == Recovery::Own { Damaged::Fails } else { Damaged::IsNone };
        load_token(&self.line, OPERATION, damaged).await?;
        self.prepare().await?;
        let _turn = self.line.turn("take the turn").await?;
        let existence = self.line.run("look at the view", Call::new(View), Parting::give_up()).await?;
        self.line.check()?;
        match self.line.with(|cx| self.dialect_of(cx.session, &existence))? {
            Dialect::Current => self.rotate().await,
            Dialect::April => self.mint().await,
        }
    }

    async fn prepare(&self) -> Result<()> {
        let prepared = self.line.host("prepare the store", HostOp::Prepare).await?;
        if let HostResult::SetRight(said) = prepared.map_err(|fault| Error::from_fault(OPERATION, fault))? {
            said.into_iter().for_each(|said| self.line.tell(Event::Warning(said)));
        }
        Ok(())
    }

    fn dialect_of(&self, session: &mut Session, existence: &Existence) -> Result<Dialect> {
        match existence {
            Existence::Removed => Err(Error::new(ErrorKind::Removed, OPERATION, "the workspace was deleted")
                .remedy("create a new one on the platform and use its id")),
            Existence::NotFound => {
                let cause = format!("there is no workspace {}", session.workspace_id());
                Err(Error::new(ErrorKind::NotCreated, OPERATION, cause)
                    .remedy("check the workspace's id: the builder's, or MOLECULE_WORKSPACE_ID with from_env()"))
            }
            Existence::Present(_) if self.recovery == Recovery::Own && session.held().is_none() => {
                Err(Session::no_token(OPERATION))
            }
            Existence::Present(view) => Ok(session.learn_dialect(view.kind.is_some())),
        }
    }

    fn auth(&self) -> Auth {
        match &self.recovery {
            Recovery::Admin(token) => Auth::Admin(token.clone()),
            Recovery::Own => Auth::Bearer,
        }
    }

    /// Rotates the token. If the caller cancels while the request is in flight, the answer is awaited and its token
    /// stored.
    async fn rotate(&self) -> Result<Recovered> {
        match self.line.run("rotate the token", Call::new(Rotate(self.auth())), Call::wait_if_sent()).await {
            Ok(answer) => {
                let no_token = || Error::new(ErrorKind::Protocol, OPERATION, "the answer carried no token");
                let token = answer.connection.auth_token.ok_or_else(|| no_token().remedy(AFTER_LOSS))?;
                self.save(token).await?;
                Ok(Recovered::Rotated)
            }
            // The lost answer of a rotation carried the only live token. A web page does not show what the server
            // behind it has done, so it counts as a lost answer here.
            Err(error) if error.may_have_acted() || error.kind() == ErrorKind::Routing => Err(error.remedy(AFTER_LOSS)),
            Err(error) => Err(refused_admin(error, &self.recovery)),
        }
    }

    /// Mints an additional token and revokes the old one. If the caller cancels while the mint is in flight, its answer
    /// is awaited.
    async fn mint(&self) -> Result<Recovered> {
        let old = self.line.with(|cx| cx.session.held().map(|held| held.token.clone()));
        match self.line.run("mint a token", Call::new(MintToken(self.auth())), Call::wait_if_sent()).await {
            Ok(answer) => self.save(answer.auth_token).await?,
            Err(error) if error.may_have_acted() => return Err(error.remedy(LOST_MINT)),
            Err(error) => return Err(refused_admin(error, &self.recovery)),
        }
        let old_revoked = match old {
            Some(old) if !self.line.is_cancelled() => self.revoke(&old).await.unwrap_or_else(|error| {
                // The new token works, so an old one that could not be revoked is only a warning.
                self.line.tell(Event::Warning(format!("the old token could not be revoked: {error}")));
                false
            }),
            Some(_) | None => false,
        };
        Ok(Recovered::Minted { old_revoked })
    }

    async fn save(&self, token: Token) -> Result<()> {
        self.line.run("store the token", SaveToken::minted(OPERATION, token), Parting::finish()).await
    }

    /// Revokes the old token. Returns whether it was found and revoked.
    async fn revoke(&self, old: &Token) -> Result<bool> {
        let list = Call::new(ListTokens(Auth::Bearer));
        let list = self.line.run("list the tokens", list, Parting::give_up()).await?;
        let held = self.line.with(|cx| cx.session.held().map(|held| held.token.clone()));
        match row(old, held.as_ref(), &list) {
            Some(row) if !self.line.is_cancelled() => {
                let revoke = Call::new(RevokeToken(row, Auth::Bearer));
                self.line.run("revoke the old token", revoke, Parting::give_up()).await?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

/// Returns the id of the old token's row, if exactly one row has its prefix. Rows show only the first eight characters
/// of a token.
fn row(old: &Token, held: Option<&Token>, list: &TokenList) -> Option<TokenId> {
    let prefix = |token: &Token| token.expose().chars().take(8).collect::<String>();
    let old = prefix(old);
    if held.is_some_and(|held| prefix(held) == old) {
        return None;
    }
    let mut rows = list.tokens.iter().filter(|row| row.prefix == old);
    let row = rows.next()?;
    rows.next().is_none().then(|| row.id.clone())
}

fn refused_admin(error: Error, recovery: &Recovery) -> Error {
    match (error.kind(), recovery) {
        (ErrorKind::Unauthorized, Recovery::Admin(_)) => {
            error.remedy("check the admin credential: the platform's admin token, or an organisation token")
        }
        (ErrorKind::Unauthorized, Recovery::Own) => error.remedy("recover with an admin credential"),
        (_, Recovery::Admin(_) | Recovery::Own) => error,
    }
}
