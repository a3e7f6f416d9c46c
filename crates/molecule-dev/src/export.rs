//! What a log becomes elsewhere: a copy, a fork, a test.

use std::fmt::Write as _;
use std::io::{self, Write};

use molecule_platform::Dialect;

use crate::blank::Blank;
use crate::log::{Entry, Header, Log, Reader, Store};

/// Copies a log, with its credentials or without.
pub(crate) fn copy(reader: &mut Reader, writer: &mut dyn Write, blank: bool) -> io::Result<()> {
    if !blank {
        return reader.copy_to(None, writer);
    }
    let mut copy = Log::begin(Blank::new(&reader.header).header().clone(), Store::memory())?;
    blanked(reader, None, |entry| copy.append(&entry).map(drop))?;
    copy.reader()?.copy_to(None, writer)
}

/// Calls a function with each entry of the copy without credentials, up to a line. Returns the copy's header.
fn blanked(reader: &mut Reader, to: Option<u64>, mut see: impl FnMut(Entry) -> io::Result<()>) -> io::Result<Header> {
    let mut blank = Blank::new(&reader.header);
    let mut outcome = Ok(());
    reader.each(2..=to.unwrap_or(u64::MAX), |_, entry| {
        outcome = see(blank.entry(entry));
        outcome.is_ok()
    })?;
    outcome?;
    Ok(blank.header().clone())
}

/// A Rust test that repeats a log up to a line, without its credentials. It needs `molecule-platform` and `serde_json`.
pub(crate) fn test(reader: &mut Reader, to: Option<u64>) -> io::Result<String> {
    let mut lines = String::new();
    let header = blanked(reader, to, |entry| {
        if let Entry::Input(recorded, _) = entry {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{}", ascii(&serde_json::to_string(&recorded)?));
        }
        Ok(())
    })?;
    let hashes = hashes(&lines);
    let dialect = match header.dialect {
        Dialect::Current => "Current",
        Dialect::April => "April",
    };
    let Header { seed, credential_seed, admin_token, model, .. } = &header;
    Ok(format!(
        r##"//! What happened on `molecule dev`, again. Written by `molecule dev export --test`; the credentials in it are
//! placeholders. It needs `molecule-platform` {model} and `serde_json` under `[dev-dependencies]`.

use molecule_platform::{{Config, Dialect, Platform, Recorded, Token}};

/// An input a line: `at`, the milliseconds of both clocks; `in`, what happened; `out`, a digest of what came of it.
const LOG: &str = r{hashes}"
{lines}"{hashes};

#[test]
fn what_was_recorded_happens_again() -> Result<(), Box<dyn std::error::Error>> {{
    let config = Config::new(Dialect::{dialect}).seed({seed}).credential_seed({credential_seed}).memory_plugin(true);
    let mut platform = Platform::new(config.admin_token(Token::new("{admin}")?));
    for (number, line) in LOG.lines().enumerate().filter(|(_, line)| !line.is_empty()) {{
        let recorded: Recorded = serde_json::from_str(line)?;
        let digest = recorded.digest.clone();
        let replayed = recorded.replay(&mut platform).digest();
        let difference = digest.and_then(|digest| digest.difference(&replayed));
        assert_eq!(difference, None, "input {{number}}: {{line}}");
    }}
    Ok(())
}}
"##,
        admin = admin_token.expose(),
    ))
}

/// JSON in ASCII: a compiler refuses some characters in a program's text.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// As many `#` as a raw string needs around a text.
fn hashes(text: &str) -> String {
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    hashes
}
