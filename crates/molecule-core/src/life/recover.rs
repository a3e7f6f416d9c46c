//! A new token: with an administrator's credential, or by rotating one's own.

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

/// What to do where a rotation may have revoked every token and its answer brought none.
const AFTER_LOSS: &str = "the old tokens may be revoked by now: recover once more, with an admin credential";

/// What to do where a token may have been minted and its answer is lost: the old one lives on.
const LOST_MINT: &str = "recover once more: a token may have been made, and its answer is lost";

/// With which credential a new token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// An administrator's: the platform's `ADMIN_TOKEN` or an organisation token. Used for this call alone, never stored.
    Admin(Token),
    /// The agent's own token, which is replaced.
    Own,
}

impl Recovery {
    /// With an administrator's credential.
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

/// What a recovery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovered {
    /// Every earlier token was revoked and one minted (the current server).
    Rotated,
    /// One more token was minted (April's server, which has no rotation).
    Minted {
        /// Whether the token that was held before is revoked.
        old_revoked: bool,
    },
}

/// Gets the agent a new token and stores it before anything else.
///
/// On the current server by rotation: it revokes **all** tokens, so its request is sent again only if it was never sent or the
/// platform itself turned it away, and the view is asked
/// first (a removed workspace would be answered with a dead token). On April's: one more token, then the old one is revoked
/// by its visible prefix.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Recover(Flow<Result<Recovered>>);

impl Recover {
    /// A recovery with this credential.
    pub fn new(recovery: Recovery) -> Self {
        Self(Flow::new(OPERATION, move |line| async move {
            Sequence { line, recovery }.recover().await.map_err(|error| error.during(OPERATION))
        }))
    }
}

machine_of_flow!(Recover, Result<Recovered>);

/// A recovery on its way.
struct Sequence {
    line: Line,
    recovery: Recovery,
}

impl Sequence {
    async fn recover(self) -> Result<Recovered> {
        // A damaged token is what a recovery with an admin credential is for.
        let damaged = if self.recovery == Recovery::Own { Damaged::Fails } else { Damaged::IsNone };
        load_token(&self.line, OPERATION, damaged).await?;
        self.prepare().await?;
        let _turn = self.line.turn("take the turn").await?;
        let existence = self.line.run("look at the view", Call::new(View), Parting::give_up()).await?;
        self.line.check()?;
        match self.line.with(|cx| self.looked(cx.session, &existence))? {
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

    fn looked(&self, session: &mut Session, existence: &Existence) -> Result<Dialect> {
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

    /// A rotation that is under way when the caller goes is waited for, and its token stored.
    async fn rotate(&self) -> Result<Recovered> {
        match self.line.run("rotate the token", Call::new(Rotate(self.auth())), Call::wait_if_sent()).await {
            Ok(answer) => {
                let no_token = || Error::new(ErrorKind::Protocol, OPERATION, "the answer carried no token");
                let token = answer.connection.auth_token.ok_or_else(|| no_token().remedy(AFTER_LOSS))?;
                self.save(token).await?;
                Ok(Recovered::Rotated)
            }
            // A lost answer of a rotation carried the only live token. A web page says nothing about what stands behind it, and
            // here much is at stake.
            Err(error) if error.may_have_acted() || error.kind() == ErrorKind::Routing => Err(error.remedy(AFTER_LOSS)),
            Err(error) => Err(refused_admin(error, &self.recovery)),
        }
    }

    /// Gets one more token, and revokes the one before. A mint that is under way when the caller goes is waited for.
    async fn mint(&self) -> Result<Recovered> {
        let old = self.line.with(|cx| cx.session.held().map(|held| held.token.clone()));
        match self.line.run("mint a token", Call::new(MintToken(self.auth())), Call::wait_if_sent()).await {
            Ok(answer) => self.save(answer.auth_token).await?,
            Err(error) if error.may_have_acted() => return Err(error.remedy(LOST_MINT)),
            Err(error) => return Err(refused_admin(error, &self.recovery)),
        }
        let old_revoked = match old {
            Some(old) if !self.line.is_cancelled() => self.revoke(&old).await.unwrap_or_else(|error| {
                // The new token works; an old one that lives on is worth a warning and no more.
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

    /// Returns whether the old token is revoked.
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

/// The old token's row, if exactly one has its prefix: rows show no more of a token than its first eight characters.
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
