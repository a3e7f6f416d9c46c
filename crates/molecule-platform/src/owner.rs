//! The acts of a workspace's owner as methods, so that tests and demos need no administrator and no HTTP for them.

use std::collections::BTreeMap;

use molecule_proto::{DeliveryMode, Dialect, Now, Token, TokenId, WorkspaceId, WorkspaceStatus};
use serde_json::json;

use crate::platform::Platform;
use crate::tokens::TokenKind;
use crate::url_rules;
use crate::workspace::{StoredSecret, Workspace};

/// Why a workspace was not paused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PauseRefused {
    /// The workspace is unknown, removed or already paused.
    NotFound,
    /// The workspace has these descendants, and `cascade` was `false` (current server).
    Descendants(Vec<WorkspaceId>),
}

/// Why a workspace was not resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeRefused {
    /// The workspace is unknown or not paused.
    NotPaused,
    /// The server cannot start containers; the workspace stays paused.
    NoProvisioner,
    /// The parent workspace is paused.
    ParentPaused,
    /// The workspace has these paused descendants, and `cascade` was `false`.
    Descendants(Vec<WorkspaceId>),
}

/// Why a workspace was not created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateRefused {
    /// The parent does not exist.
    NoParent,
    /// The URL is not accepted; the text is the reason (current server).
    UnsafeUrl(String),
}

/// The properties of a new workspace.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) runtime: String,
    pub(crate) url: String,
    pub(crate) delivery_mode: Option<DeliveryMode>,
    pub(crate) parent: Option<WorkspaceId>,
    pub(crate) role: Option<String>,
    pub(crate) tier: Option<i64>,
    /// Whether it is not external, but a container that cannot be started.
    pub(crate) managed: bool,
}

impl Platform {
    /// Creates an external workspace without a URL and returns its token, as `POST /workspaces` does.
    pub fn create_workspace(&mut self, now: Now, name: &str) -> (WorkspaceId, Token) {
        let now = self.settle(now);
        let id = self
            .create(now, Plan { name: name.to_owned(), runtime: "external".to_owned(), ..Plan::default() })
            .expect("a workspace without a parent and a URL of its own is never refused");
        let token = self.tokens.mint(&mut self.random, now.unix, &id, TokenKind::Instance);
        (id, token)
    }

    /// Creates an external workspace with a URL. It is `online` before any agent has sent a request. The first
    /// register, without a bearer, mints its token.
    ///
    /// # Errors
    /// [`CreateRefused::UnsafeUrl`] if the current server refuses the URL; April's checks none.
    pub fn create_workspace_at(&mut self, now: Now, name: &str, url: &str) -> Result<WorkspaceId, CreateRefused> {
        let now = self.settle(now);
        let (name, url) = (name.to_owned(), url.to_owned());
        self.create(now, Plan { name, url, runtime: "external".to_owned(), ..Plan::default() })
    }

    /// Creates an external workspace below another one, and returns its token.
    ///
    /// # Errors
    /// [`CreateRefused::NoParent`] if the parent does not exist.
    pub fn create_workspace_below(
        &mut self,
        now: Now,
        name: &str,
        parent: &WorkspaceId,
    ) -> Result<(WorkspaceId, Token), CreateRefused> {
        let now = self.settle(now);
        let (name, parent) = (name.to_owned(), Some(parent.clone()));
        let id = self.create(now, Plan { name, parent, runtime: "external".to_owned(), ..Plan::default() })?;
        let token = self.tokens.mint(&mut self.random, now.unix, &id, TokenKind::Instance);
        Ok((id, token))
    }

    pub(crate) fn create(&mut self, now: Now, plan: Plan) -> Result<WorkspaceId, CreateRefused> {
        let dialect = self.config.dialect;
        if dialect == Dialect::Current && !plan.url.is_empty() {
            url_rules::check_push(&self.config, &plan.url).map_err(CreateRefused::UnsafeUrl)?;
        }
        if plan.parent.as_ref().is_some_and(|parent| !self.workspaces.contains_key(parent)) {
            return Err(CreateRefused::NoParent);
        }
        let parent = plan.parent.or_else(|| self.root.clone());
        let name = match dialect {
            Dialect::April => plan.name,
            Dialect::Current => self.free_name(parent.as_ref(), plan.name),
        };
        let status = match dialect {
            _ if plan.managed => WorkspaceStatus::Failed,
            _ if !plan.url.is_empty() => WorkspaceStatus::Online,
            // The answer says `awaiting_agent`, a status that April's database does not have.
            Dialect::April => WorkspaceStatus::Provisioning,
            Dialect::Current => WorkspaceStatus::AwaitingAgent,
        };
        let id = self.random.workspace_id();
        let mut row = Workspace::new(id.clone(), name, status, now);
        row.parent = parent;
        row.runtime = plan.runtime;
        row.url = plan.url;
        row.role = plan.role;
        row.tier = plan.tier.unwrap_or(row.tier);
        row.delivery_mode = plan.delivery_mode.unwrap_or(row.delivery_mode);
        self.workspaces.insert(id.clone(), row);
        Ok(id)
    }

    /// Makes a name that no sibling has: the second `a` becomes `a (2)`.
    fn free_name(&self, parent: Option<&WorkspaceId>, name: String) -> String {
        let siblings = || self.workspaces.values().filter(|row| row.parent.as_ref() == parent && !row.is_removed());
        let taken = |name: &str| siblings().any(|row| row.name == name);
        if !taken(&name) {
            return name;
        }
        let numbered = (2u32..).map(|number| format!("{name} ({number})")).find(|candidate| !taken(candidate));
        numbered.unwrap_or(name)
    }

    /// Stores a secret; returns `false` if there is no such workspace.
    pub fn set_secret(&mut self, now: Now, id: &WorkspaceId, key: &str, value: &str) -> bool {
        let now = self.settle(now);
        let Some(row) = self.workspaces.get_mut(id) else { return false };
        let created = row.secrets.get(key).map_or(now.unix, |stored| stored.created);
        let stored = StoredSecret { value: value.to_owned(), created, updated: now.unix };
        row.secrets.insert(key.to_owned(), stored);
        true
    }

    /// Removes a secret; returns `false` if there is none.
    pub fn remove_secret(&mut self, id: &WorkspaceId, key: &str) -> bool {
        self.workspaces.get_mut(id).is_some_and(|row| row.secrets.remove(key).is_some())
    }

    /// Pauses a workspace and, with `cascade`, its descendants; April's server always includes them. Returns the number
    /// of paused workspaces.
    ///
    /// # Errors
    /// [`PauseRefused`] with the reason.
    pub fn pause(&mut self, now: Now, id: &WorkspaceId, cascade: bool) -> Result<u64, PauseRefused> {
        let now = self.settle(now);
        let can = |row: &Workspace| !row.is_removed() && row.status != WorkspaceStatus::Paused;
        if !self.workspaces.get(id).is_some_and(can) {
            return Err(PauseRefused::NotFound);
        }
        let below = self.descendants(id);
        if !below.is_empty() && !cascade && self.config.dialect == Dialect::Current {
            return Err(PauseRefused::Descendants(below));
        }
        let ids: Vec<WorkspaceId> = std::iter::once(id.clone()).chain(below).collect();
        ids.iter().for_each(|id| self.urls.forget(id));
        let paused: Vec<&WorkspaceId> = ids.iter().filter(|id| self.workspaces.get(id).is_some_and(can)).collect();
        paused.into_iter().for_each(|id| self.emit(now, id, "WORKSPACE_PAUSED", || json!({})));
        Ok(self.change(ids.into_iter(), can, |row| row.pause(now)))
    }

    /// Resumes a paused workspace and, with `cascade`, its descendants. Returns the number of resumed workspaces.
    ///
    /// # Errors
    /// [`ResumeRefused`] with the reason.
    pub fn resume(&mut self, now: Now, id: &WorkspaceId, cascade: bool) -> Result<u64, ResumeRefused> {
        let now = self.settle(now);
        let paused = |row: &Workspace| row.status == WorkspaceStatus::Paused;
        let row = self.workspaces.get(id).filter(|row| paused(row)).ok_or(ResumeRefused::NotPaused)?;
        if !self.config.provisioner {
            return Err(ResumeRefused::NoProvisioner);
        }
        if row.parent.as_ref().and_then(|parent| self.workspaces.get(parent)).is_some_and(paused) {
            return Err(ResumeRefused::ParentPaused);
        }
        let mut below = self.descendants(id);
        below.retain(|id| self.workspaces.get(id).is_some_and(paused));
        if !below.is_empty() && !cascade {
            return Err(ResumeRefused::Descendants(below));
        }
        Ok(self.change(std::iter::once(id.clone()).chain(below), paused, |row| row.resume(now)))
    }

    /// Deletes a workspace and its descendants, and revokes their tokens; `purge` removes the rows too. Returns the
    /// number of deleted descendants, or `None` if there is no such workspace.
    pub fn delete(&mut self, now: Now, id: &WorkspaceId, purge: bool) -> Option<u64> {
        let now = self.settle(now);
        self.workspaces.get(id)?;
        let below = self.descendants(id);
        let cascade = below.len() as u64;
        for id in below.iter().chain([id]) {
            self.tokens.revoke_all(id);
            self.urls.forget(id);
            self.emit(now, id, "WORKSPACE_REMOVED", || json!({}));
            if purge {
                self.feed.forget(id);
                self.workspaces.remove(id);
            } else if let Some(row) = self.workspaces.get_mut(id) {
                row.remove(now);
            }
        }
        Some(cascade)
    }

    /// Hibernates a workspace until its first message; returns `false` if there is no such workspace. On April's server
    /// it has no effect.
    pub fn hibernate(&mut self, now: Now, id: &WorkspaceId) -> bool {
        let now = self.settle(now);
        let Some(row) = self.workspaces.get_mut(id).filter(|row| !row.is_removed()) else { return false };
        if self.config.dialect == Dialect::Current {
            row.hibernate(now);
            self.urls.forget(id);
        }
        true
    }

    /// Sets the most that a workspace may spend in a month, in US cents. Calls to a workspace that has reported this
    /// much are refused. `None` removes the limit. Returns `false` if there is no such workspace.
    pub fn set_budget(&mut self, id: &WorkspaceId, limit: Option<i64>) -> bool {
        self.workspaces.get_mut(id).map(|row| row.budget_limit = limit).is_some()
    }

    /// Allows a workspace to talk to others and to delegate, or forbids it (current server). Returns `false` if there
    /// is no such workspace.
    pub fn set_can_delegate(&mut self, id: &WorkspaceId, can: bool) -> bool {
        self.workspaces.get_mut(id).map(|row| row.abilities.delegate = can).is_some()
    }

    /// Allows a workspace to broadcast, or forbids it, which is the default (current server). Returns `false` if there
    /// is no such workspace.
    pub fn set_can_broadcast(&mut self, id: &WorkspaceId, can: bool) -> bool {
        self.workspaces.get_mut(id).map(|row| row.abilities.broadcast = can).is_some()
    }

    /// Allows a workspace to send messages to its user, or forbids it (current server). Returns `false` if there is no
    /// such workspace.
    pub fn set_can_talk_to_user(&mut self, id: &WorkspaceId, can: bool) -> bool {
        self.workspaces.get_mut(id).map(|row| row.abilities.talk_to_user = can).is_some()
    }

    fn change(
        &mut self,
        ids: impl Iterator<Item = WorkspaceId>,
        can: impl Fn(&Workspace) -> bool,
        act: impl Fn(&mut Workspace),
    ) -> u64 {
        let mut changed = 0;
        for id in ids {
            if let Some(row) = self.workspaces.get_mut(&id).filter(|row| can(row)) {
                act(row);
                changed += 1;
            }
        }
        changed
    }

    /// Mints another token; returns `None` if there is no such workspace.
    pub fn mint_token(&mut self, now: Now, id: &WorkspaceId, kind: TokenKind) -> Option<Token> {
        let now = self.settle(now);
        self.workspaces.get(id)?;
        Some(self.tokens.mint(&mut self.random, now.unix, id, kind))
    }

    /// Revokes every token of a workspace and mints one; returns `None` if there is no such workspace.
    pub fn rotate(&mut self, now: Now, id: &WorkspaceId) -> Option<Token> {
        self.workspaces.get(id)?;
        self.tokens.revoke_all(id);
        self.emit(now, id, "EXTERNAL_CREDENTIALS_ROTATED", || json!({}));
        self.mint_token(now, id, TokenKind::Instance)
    }

    /// Revokes every token of a workspace; returns how many there were.
    pub fn revoke_tokens(&mut self, id: &WorkspaceId) -> usize {
        self.tokens.revoke_all(id)
    }

    /// Revokes the token with this row id; returns `false` if there is none.
    pub fn revoke_token(&mut self, id: &WorkspaceId, row: &TokenId) -> bool {
        self.tokens.revoke(id, row)
    }
}

/// The descendants of a workspace that are not removed, nearest first.
pub(crate) fn descendants(rows: &BTreeMap<WorkspaceId, Workspace>, id: &WorkspaceId) -> Vec<WorkspaceId> {
    let mut found: Vec<WorkspaceId> = Vec::new();
    let mut parent = id.clone();
    let mut next = 0;
    loop {
        let children = rows.values().filter(|row| row.parent.as_ref() == Some(&parent) && !row.is_removed());
        found.extend(children.map(|row| row.id.clone()));
        match found.get(next) {
            Some(id) => parent = id.clone(),
            None => return found,
        }
        next += 1;
    }
}
