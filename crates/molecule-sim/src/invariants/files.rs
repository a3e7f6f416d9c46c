//! Invariant: files that are handed over are stored as a whole.

use super::{Invariant, KnownSecrets};
use crate::served::{Delivery, Reaction};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct FilesAreStoredWhole;

impl Invariant for FilesAreStoredWhole {
    fn name(&self) -> &'static str {
        "files are stored whole"
    }

    fn sentence(&self) -> &'static str {
        "an agent's own server that says that it has taken the files of a form has every one of them on its disk as it was sent, and \
         it keeps none of a form that it refuses"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Reacted(delivery, reaction) = &sight.seen else { return Ok(()) };
        let Some(sent) = sent(delivery) else { return Ok(()) };
        let disk = sight.facts.agents[delivery.target].disk.files();
        match reaction {
            Reaction::Answers(status, body) if status.is_success() => {
                let listed = body["files"].as_array().map_or(&[][..], Vec::as_slice);
                let stored = |file: &serde_json::Value| disk.get(file["uri"].as_str().unwrap_or_default());
                let is_whole = listed.len() == sent.len()
                    && listed.iter().zip(&sent).all(|(file, sent)| stored(file).is_some_and(|content| content == sent));
                if !is_whole {
                    return Err(format!(
                        "{} files are said to be taken, and the disk has not what was sent",
                        sent.len()
                    ));
                }
            }
            // Another form of the same files may have been taken; a copy, for instance.
            Reaction::Answers(..) if !delivery.is_copy && is_cut(delivery) => {
                if let Some((uri, _)) = disk.iter().find(|(_, content)| sent.contains(content)) {
                    return Err(format!("the form is refused, and {uri} is left of it"));
                }
            }
            Reaction::Answers(..) | Reaction::Cuts => {}
        }
        Ok(())
    }
}

/// The contents of the files of a form that is complete or not.
fn sent(delivery: &Delivery) -> Option<Vec<String>> {
    if !delivery.path.ends_with("/uploads/ingest") {
        return None;
    }
    let text = String::from_utf8_lossy(&delivery.content).into_owned();
    let parts = text.split("--sim\r\n").skip(1);
    let contents = parts.filter_map(|part| {
        let (_, content) = part.split_once("\r\n\r\n")?;
        Some(content.split("\r\n").next().unwrap_or_default().to_owned())
    });
    Some(contents.collect())
}

/// Returns whether the form ends before its end.
fn is_cut(delivery: &Delivery) -> bool {
    !delivery.content.ends_with(b"--sim--\r\n")
}
