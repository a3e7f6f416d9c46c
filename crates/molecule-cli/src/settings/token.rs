//! The token that was given for a workspace.

use std::fmt;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::vars::Vars;
use crate::exit::Failure;

/// What the platform writes in place of a token that it does not show again.
const PLACEHOLDER: &str = "ROTATE_TO_REVEAL_TOKEN";

/// The most bytes of a file with a token.
const MAX_BYTES: u64 = 64 * 1024;

/// A token that was given. `Debug` does not show it.
#[derive(Clone)]
pub(super) struct GivenToken {
    text: Zeroizing<String>,
    /// Where it comes from, for people.
    place: String,
}

impl fmt::Debug for GivenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl GivenToken {
    pub(super) fn new(text: &str, place: &str) -> Result<Self, Failure> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        if text.contains(PLACEHOLDER) {
            return Err(Failure::usage(format!(
                "{place} holds the placeholder of a token, since the platform shows a token once; rotate the token of the \
                 workspace, and give the new one"
            )));
        }
        if text.is_empty() || text.chars().any(char::is_whitespace) {
            let what = if text.is_empty() { "is empty" } else { "holds more than one word" };
            return Err(Failure::usage(format!(
                "{place} {what}; it must be the token alone, as the platform showed it"
            )));
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), place: place.to_owned() })
    }

    /// Reads a file, or standard input for `-`.
    pub(super) fn from_file(file: &Path) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            return read(std::io::stdin().lock(), "standard input");
        }
        let place = format!("the token's file {}", file.display());
        let opened = std::fs::File::open(file);
        read(opened.map_err(|error| Failure::usage(format!("{place} cannot be read: {error}")))?, &place)
    }

    /// The token of a single workspace. A file that a variable names is not passed over if it is unusable.
    pub(super) fn from_vars(vars: &Vars) -> Result<Option<Self>, Failure> {
        if let Some(token) = vars.get(&["MOLECULE_WORKSPACE_TOKEN"]) {
            return Self::new(&Zeroizing::new(token), "MOLECULE_WORKSPACE_TOKEN").map(Some);
        }
        vars.get(&["MOLECULE_WORKSPACE_TOKEN_FILE"]).map(|file| Self::from_file(Path::new(&file))).transpose()
    }

    pub(super) fn take(self) -> Zeroizing<String> {
        self.text
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn expose(&self) -> &str {
        &self.text
    }
}

fn read(from: impl Read, place: &str) -> Result<GivenToken, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = from.take(MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("{place} cannot be read: {error}")))?;
    GivenToken::new(&text, place)
}
