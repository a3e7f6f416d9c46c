//! Tools about notes that the platform keeps.

use molecule_async::Dialect;
use molecule_async::core::endpoint::{CommitMemory, Memories};
use molecule_async::core::proto::{Memory, MemoryScope};
use serde_json::json;

use super::{text, why};
use crate::mcp::member::Member;
use crate::mcp::params::Params;
use crate::mcp::untrusted::quote;

pub(super) async fn commit(member: &Member, params: &Params) -> Result<String, String> {
    let content = params.text("content")?;
    let scope = scope(params)?.unwrap_or(MemoryScope::Local);
    let kept = member.agent().send(&CommitMemory::new(content, scope)).await.map_err(why)?;
    Ok(text(&json!({ "success": true, "id": kept.id, "scope": kept.scope })))
}

pub(super) async fn recall(member: &Member, params: &Params) -> Result<String, String> {
    let (query, scope) = (params.optional_text("query")?, scope(params)?);
    let mut asked = Memories::default();
    if let Some(scope) = &scope {
        asked = asked.scope(scope.clone());
    }
    if let Some(query) = &query {
        asked = asked.query(query.trim());
    }
    let all = member.agent().send(&asked).await.map_err(why)?;
    // April's server searches by itself, and finds other forms of a word as well. The current one lists everything.
    let is_searched = member.agent().health().dialect == Some(Dialect::April);
    let is_meant = |memory: &&Memory| {
        is_searched
            || scope.as_ref().is_none_or(|scope| memory.scope == *scope)
                && query.as_ref().is_none_or(|query| has_words(&memory.content, query))
    };
    let lines: Vec<_> = all.rows.iter().filter(is_meant).map(line).collect();
    if lines.is_empty() {
        return Ok("No memories found.".to_owned());
    }
    // Others may have written notes of the scopes TEAM and GLOBAL, and a person's words may stand in any.
    Ok(quote("the platform's memory", &lines.join("\n")))
}

fn scope(params: &Params) -> Result<Option<MemoryScope>, String> {
    let Some(word) = params.optional_text("scope")? else { return Ok(None) };
    match MemoryScope::from(word.trim().to_ascii_uppercase()) {
        MemoryScope::Other(_) => Err("`scope` must be LOCAL, TEAM or GLOBAL".to_owned()),
        scope => Ok(Some(scope)),
    }
}

fn has_words(content: &str, query: &str) -> bool {
    let content = content.to_lowercase();
    query.split_whitespace().all(|word| content.contains(&word.to_lowercase()))
}

fn line(memory: &Memory) -> String {
    format!("[{}] {}", memory.scope, memory.content)
}
