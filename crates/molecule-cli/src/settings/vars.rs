//! The variables: those of the process, and those of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::Failure;

/// The variables. An empty one counts as absent. `Debug` shows no value.
pub(super) struct Vars {
    of_process: fn(&str) -> Option<String>,
    of_file: BTreeMap<String, Zeroizing<String>>,
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.of_file.keys()).finish()
    }
}

impl Vars {
    /// Reads a file of variables, if there is one.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let mut vars = Self { of_process: |name| std::env::var(name).ok(), of_file: BTreeMap::new() };
        let Some(file) = file else { return Ok(vars) };
        let place = file.display();
        let text = std::fs::read_to_string(file).map(Zeroizing::new);
        let text = text.map_err(|error| Failure::usage(format!("--env-file {place} cannot be read: {error}")))?;
        for (number, line) in text.lines().enumerate() {
            // The line is not quoted: it may hold a token.
            let wrong = || Failure::usage(format!("--env-file {place}: line {} is not `NAME=value`", number + 1));
            if let Some((name, value)) = entry(line).map_err(|()| wrong())? {
                vars.of_file.insert(name.to_owned(), Zeroizing::new(value.to_owned()));
            }
        }
        Ok(vars)
    }

    /// The first of these variables that is set.
    pub(super) fn get(&self, names: &[&str]) -> Option<String> {
        let of_file = |name: &str| self.of_file.get(name).map(|value| String::clone(value));
        let set = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut of_process = names.iter().filter_map(|name| (self.of_process)(name).and_then(set));
        of_process.next().or_else(|| names.iter().find_map(|name| of_file(name).and_then(set)))
    }

    #[cfg(test)]
    pub(super) fn of(vars: &[(&str, &str)]) -> Self {
        let of_file = vars.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
        Self { of_process: |_| None, of_file: of_file.collect() }
    }
}

/// Reads a line: a name and a value, or nothing. `export` and quotes are those of shells.
fn entry(line: &str) -> Result<Option<(&str, &str)>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or(())?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    if is_name { Ok(Some((name, quoted.unwrap_or(value)))) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_that_a_shell_reads() {
        for (line, expected) in [
            ("A=b", Ok(Some(("A", "b")))),
            ("  export A_1 = \"b = c\" ", Ok(Some(("A_1", "b = c")))),
            ("A='b'", Ok(Some(("A", "b")))),
            ("A=\"b", Ok(Some(("A", "\"b")))),
            ("A=", Ok(Some(("A", "")))),
            ("", Ok(None)),
            (" # A=b", Ok(None)),
            ("A", Err(())),
            ("=b", Err(())),
            ("A B=c", Err(())),
        ] {
            assert_eq!(entry(line), expected, "{line}");
        }
    }
}
