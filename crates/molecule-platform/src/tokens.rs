//! The workspaces' bearer tokens (contract section 2.2; April 12).

use molecule_proto::{Token, TokenId, TokenRow, UnixTime, WorkspaceId};

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The two kinds of tokens on the current server. April's server has one kind, and any live token makes it require a
/// bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenKind {
    /// Minted by register, creation and rotation. While one is live, register and heartbeat require a bearer.
    Instance,
    /// Minted by an owner.
    Api,
}

/// A live token. A revoked one is removed, so that it cannot be distinguished from an unknown one.
#[derive(Clone)]
struct Row {
    id: TokenId,
    workspace: WorkspaceId,
    token: Token,
    kind: TokenKind,
    created: UnixTime,
    last_used: Option<UnixTime>,
}

/// All live tokens, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Vec<Row>);

impl Tokens {
    pub(crate) fn mint(
        &mut self,
        random: &mut Random,
        created: UnixTime,
        workspace: &WorkspaceId,
        kind: TokenKind,
    ) -> Token {
        let token = random.token();
        let id = random.token_id();
        let workspace = workspace.clone();
        self.0.push(Row { id, workspace, token: token.clone(), kind, created, last_used: None });
        token
    }

    /// The number of live tokens of a workspace.
    pub(crate) fn live(&self, workspace: &WorkspaceId) -> usize {
        self.of(workspace).count()
    }

    /// The newest live token of a workspace.
    pub(crate) fn newest(&self, workspace: &WorkspaceId) -> Option<Token> {
        self.of(workspace).next_back().map(|row| row.token.clone())
    }

    pub(crate) fn any_instance(&self, workspace: &WorkspaceId) -> bool {
        self.of(workspace).any(|row| row.kind == TokenKind::Instance)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The workspace whose token a bearer is.
    pub(crate) fn owner(&self, bearer: &str) -> Option<&WorkspaceId> {
        self.0.iter().find(|row| row.token.expose() == bearer).map(|row| &row.workspace)
    }

    pub(crate) fn mark_used(&mut self, bearer: &str, at: UnixTime) {
        if let Some(row) = self.0.iter_mut().find(|row| row.token.expose() == bearer) {
            row.last_used = Some(at);
        }
    }

    /// The row of a live bearer, and when it was last used.
    pub(crate) fn row_of(&self, bearer: &str) -> Option<(&TokenId, Option<UnixTime>)> {
        self.0.iter().find(|row| row.token.expose() == bearer).map(|row| (&row.id, row.last_used))
    }

    /// Marks a token as used at a time, unless it was used later.
    pub(crate) fn used(&mut self, id: &TokenId, at: UnixTime) {
        if let Some(row) = self.0.iter_mut().find(|row| row.id == *id) {
            row.last_used = row.last_used.max(Some(at));
        }
    }

    /// A page of a workspace's tokens, newest first.
    pub(crate) fn page(&self, workspace: &WorkspaceId, offset: usize, limit: usize) -> Vec<TokenRow> {
        let prefix = |row: &Row| row.token.expose().chars().take(8).collect::<String>();
        let row = |row: &Row| TokenRow::new(row.id.clone(), prefix(row), row.created, row.last_used);
        self.of(workspace).rev().skip(offset).take(limit).map(row).collect()
    }

    pub(crate) fn revoke(&mut self, workspace: &WorkspaceId, id: &TokenId) -> bool {
        let before = self.0.len();
        self.0.retain(|row| row.workspace != *workspace || row.id != *id);
        self.0.len() < before
    }

    pub(crate) fn revoke_all(&mut self, workspace: &WorkspaceId) -> usize {
        let before = self.0.len();
        self.0.retain(|row| row.workspace != *workspace);
        before - self.0.len()
    }

    fn of<'a>(&'a self, workspace: &'a WorkspaceId) -> impl DoubleEndedIterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.workspace == *workspace)
    }
}
