//! `GET` and `POST /workspaces/:id/memories`: an agent's notes (contract section 18.1; April 11).
//!
//! The recordings show a note that is written and listed, a wrong scope, and the current server without its plugin. What
//! others may read, and April's search, follow the contract; April's full text search in English is a search for words
//! here.

use http::StatusCode;
use molecule_proto::{CommittedMemory, Dialect, Memory, MemoryScope, UnixTime, WorkspaceId};
use serde_json::json;

use crate::json::{Fields, Malformed};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;

/// The most notes in a list.
const MOST: usize = 50;

/// A note of a workspace.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    id: String,
    writer: WorkspaceId,
    content: String,
    scope: MemoryScope,
    created_at: UnixTime,
}

impl Platform {
    pub(crate) fn post_memory(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let fields = Fields::read(body)?;
        let (content, scope) = (fields.text("content")?, MemoryScope::from(fields.text("scope")?.as_str()));
        if content.is_empty() {
            return Err(Malformed.into());
        }
        if let MemoryScope::Other(_) = scope {
            return Err(Refusal::bad_request("scope must be LOCAL, TEAM, or GLOBAL"));
        }
        self.memory_plugin()?;
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        let (writer, is_root) = (row.id.clone(), row.parent.is_none());
        if scope == MemoryScope::Global && !is_root {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "only root workspaces can write GLOBAL memories"));
        }
        let id = self.random.uuid();
        let answer = json!({"id": id, "scope": scope, "namespace": "general"});
        debug_assert!(serde_json::from_value::<CommittedMemory>(answer.clone()).is_ok());
        self.notes.push(Note { id, writer, content, scope, created_at: call.now.unix });
        Ok(reply::json(StatusCode::CREATED, &answer))
    }

    pub(crate) fn list_memories(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        self.memory_plugin()?;
        let april = self.config.dialect == Dialect::April;
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        let (reader, parent) = (row.id.clone(), row.parent.clone());
        // The current server ignores all parameters.
        let asked = |key| router::query_text(call.query, key).filter(|text| april && !text.is_empty());
        let (scope, words) = (asked("scope").map(MemoryScope::from), asked("q").filter(|words| words.len() >= 2));
        let is_family = |writer: &WorkspaceId| {
            let of_writer = self.workspaces.get(writer).and_then(|row| row.parent.as_ref());
            Some(writer) == parent.as_ref() || of_writer.is_some() && of_writer == parent.as_ref()
        };
        let is_readable = |note: &&Note| match &scope {
            None => note.writer == reader,
            Some(scope) if note.scope != *scope => false,
            Some(MemoryScope::Global) => true,
            Some(MemoryScope::Team) => note.writer == reader || is_family(&note.writer),
            Some(_) => note.writer == reader,
        };
        let has_words = |note: &&Note| {
            let content = note.content.to_lowercase();
            words.iter().flat_map(|words| words.split_whitespace()).all(|word| content.contains(&word.to_lowercase()))
        };
        let notes = self.notes.iter().rev().filter(is_readable).filter(has_words).take(MOST);
        let shown: Vec<_> = notes.map(|note| shown(note, april)).collect();
        Ok(reply::ok(&shown))
    }

    /// Without its plugin the current server has no notes.
    fn memory_plugin(&self) -> Result<(), Refusal> {
        if self.config.dialect == Dialect::April || self.config.memory_plugin {
            return Ok(());
        }
        let error = "memory plugin is not configured (set MEMORY_PLUGIN_URL)";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))
    }
}

fn shown(note: &Note, april: bool) -> serde_json::Value {
    let content = match note.scope {
        MemoryScope::Global if april => {
            format!("[MEMORY id={} scope=GLOBAL from={}]: {}", note.id, note.writer, note.content)
        }
        _ => note.content.clone(),
    };
    let memory = Memory::new(&*note.id, content, note.scope.clone(), note.created_at);
    if !april {
        return json!(memory);
    }
    let mut shown = json!(memory.workspace_id(note.writer.as_str()));
    shown["namespace"] = json!("general");
    shown
}
