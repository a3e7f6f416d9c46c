//! `/workspaces/:id/memory`: values under keys, with versions (contract section 18.1; April 11). It is the same on both
//! servers.
//!
//! A write that names a version is a compare-and-set. The servers make it one statement of their database, so that of several
//! writes with the same version one is stored; here requests are handled one after another.

use std::time::Duration;

use http::StatusCode;
use molecule_proto::{MemoryConflict, MemoryEntry, SetMemoryAnswer, UnixTime, refuse_nul};
use serde_json::{Value, json};

use crate::json::{Fields, holds_nul};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

/// A value of a workspace's memory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    value: Value,
    version: u64,
    expires_at: Option<UnixTime>,
    updated_at: UnixTime,
}

impl Entry {
    /// What reads show; `None` once the entry has expired. Versions count all the same.
    fn shown(&self, key: &str, now: UnixTime) -> Option<MemoryEntry> {
        let entry = MemoryEntry::new(key, self.value.clone(), self.version, self.updated_at);
        match self.expires_at {
            Some(at) if at <= now => None,
            Some(at) => Some(entry.expires_at(at)),
            None => Some(entry),
        }
    }
}

impl Platform {
    pub(crate) fn list_memory(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let entries = self.row(id).map(|row| &row.memory).into_iter().flatten();
        let shown: Vec<_> = entries.filter_map(|(key, entry)| entry.shown(key, call.now.unix)).collect();
        Ok(reply::ok(&shown))
    }

    pub(crate) fn read_memory(&mut self, call: &Call<'_>, id: &str, key: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let entry = self.row(id).and_then(|row| row.memory.get(key)?.shown(key, call.now.unix));
        entry.map(|entry| reply::ok(&entry)).ok_or(Refusal::not_found("key not found"))
    }

    /// A write without a version overwrites what is there, and so does one whose version is `null`.
    pub(crate) fn set_memory(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let fields = Fields::read(body)?;
        let (key, expected) = (fields.text("key")?, fields.optional_integer("if_match_version")?);
        let lifetime = fields.optional_integer("ttl_seconds")?;
        if key.is_empty() {
            return Err(Refusal::bad_request("key is required"));
        }
        let failed = || Refusal::internal("failed to set memory");
        let value = fields.raw("value").cloned().ok_or_else(failed)?;
        if self.database_down || holds_nul(&value) || refuse_nul("key", &key).is_err() {
            return Err(failed());
        }
        let is_race = self.memory_create_race;
        let memory = &mut self.row(id).ok_or_else(failed)?.memory;
        let current = memory.get(&key).map(|entry| entry.version);
        if let Some(expected) = expected
            && i64::try_from(current.unwrap_or(0)) != Ok(expected)
        {
            if expected == 0 && is_race {
                return Err(failed());
            }
            return Ok(reply::json(StatusCode::CONFLICT, &MemoryConflict::new(expected, current)));
        }
        let version = current.unwrap_or(0) + 1;
        let lifetime = lifetime.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        let expires_at = lifetime.map(|lifetime| call.now.unix + lifetime);
        memory.insert(key.clone(), Entry { value, version, expires_at, updated_at: call.now.unix });
        Ok(reply::ok(&SetMemoryAnswer::new(key, version)))
    }

    /// Says `deleted` for a key that is not there as well.
    pub(crate) fn delete_memory(&mut self, call: &Call<'_>, id: &str, key: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        if let Some(row) = self.row(id) {
            row.memory.remove(key);
        }
        Ok(reply::ok(&json!({"status": "deleted"})))
    }
}
