//! The shapes of `--json` as the program documents them, and the comparison with what it wrote.

use std::collections::BTreeMap;

use serde_json::Value;

const PAGE: &str = include_str!("../../src/shapes.md");

/// The rows of a table: of each path the kinds that its value may have, and whether it may be missing.
pub(crate) struct Shape(BTreeMap<String, Row>);

struct Row {
    kinds: Vec<String>,
    may_be_missing: bool,
}

/// The shapes by their headings.
pub(crate) fn documented() -> BTreeMap<String, Shape> {
    let mut all = BTreeMap::new();
    for section in PAGE.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        let rows = body.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.map(|line| {
            let mut cells = line.trim_matches('|').splitn(3, '|').map(str::trim);
            let path = cells.next().unwrap().trim_matches('`').to_owned();
            let (kinds, rest) = {
                let kinds = cells.next().unwrap();
                kinds.split_once(", ").map_or((kinds, ""), |(kinds, rest)| (kinds, rest))
            };
            assert!(["", "may be missing"].contains(&rest), "{heading}: {line}");
            let kinds = kinds.split(" or ").map(str::to_owned).collect();
            (path, Row { kinds, may_be_missing: !rest.is_empty() })
        });
        all.insert(heading.trim_matches('`').to_owned(), Shape(rows.collect()));
    }
    all
}

impl Shape {
    /// Says where the value differs from what is documented.
    pub(crate) fn differences(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(".", value, &mut found);
        found
    }

    /// Compares a value with the row of a path, as the table has it.
    fn compare(&self, path: &str, value: &Value, found: &mut Vec<String>) {
        let Some(row) = self.0.get(path) else { return found.push(format!("{path} is not documented: {value}")) };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if row.kinds.iter().any(|known| known == "any") {
            return;
        }
        if !row.kinds.iter().any(|known| known == kind) {
            return found.push(format!("{path} is documented as {:?}: {value}", row.kinds));
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.compare(&join(path, "[]"), item, found)),
            Value::Object(fields) => {
                for (key, field) in fields {
                    let own = join(path, key);
                    // `*` stands for every key that has no row of its own.
                    let any = join(path, "*");
                    let path = if !self.0.contains_key(&own) && self.0.contains_key(&any) { any } else { own };
                    self.compare(&path, field, found);
                }
                let missing = self.0.iter().filter(|(known, row)| {
                    let is_own = parent(known) == path && !known.ends_with("[]") && !known.ends_with('*');
                    is_own && !row.may_be_missing && !fields.contains_key(known.rsplit('.').next().unwrap())
                });
                found.extend(missing.map(|(known, _)| format!("{known} is missing: {value}")));
            }
            _ => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    match (path, key) {
        (".", key) => key.to_owned(),
        (path, "[]") => format!("{path}[]"),
        (path, key) => format!("{path}.{key}"),
    }
}

fn parent(path: &str) -> String {
    if path == "." {
        return String::new();
    }
    let cut = match path.strip_suffix("[]") {
        Some(list) => list,
        None => path.rsplit_once('.').map_or("", |(parent, _)| parent),
    };
    if cut.is_empty() { ".".to_owned() } else { cut.to_owned() }
}
