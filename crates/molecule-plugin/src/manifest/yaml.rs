//! A reader of a YAML document's root mapping, from the parser's events. It builds no tree of values, so that aliases
//! cannot make it grow.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use crate::refusal::{Refusal, escaped};
use crate::rule::Rule;

const DEPTH: usize = 64;
const ALIAS_NODES: usize = 10_000;

/// A value of the root mapping.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    Collection,
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// Shared, so that a text with many aliases is in memory once.
    pub(super) text: Rc<str>,
    plain: bool,
    tag: ScalarTag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScalarTag {
    None,
    Text,
    Other,
}

impl Scalar {
    /// Whether YAML reads the value as null.
    pub(super) fn is_null(&self) -> bool {
        self.is_resolved() && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether a reader of YAML 1.1 or 1.2 reads the value as a number.
    pub(super) fn is_number(&self) -> bool {
        let digits = self.text.replace('_', "");
        let based = digits.get(..2).is_some_and(|prefix| matches!(prefix, "0b" | "0o" | "0x"));
        self.is_resolved() && (digits.parse::<f64>().is_ok() || based)
    }

    /// Whether a tag gives it another type than text.
    pub(super) fn has_other_tag(&self) -> bool {
        self.tag == ScalarTag::Other
    }

    /// Whether YAML derives its type from its text.
    fn is_resolved(&self) -> bool {
        self.plain && self.tag == ScalarTag::None
    }
}

/// The keys of the root mapping with their values, in order.
pub(super) fn root(bytes: &[u8]) -> Result<Vec<(Rc<str>, Value)>, Refusal> {
    let text = str::from_utf8(bytes).map_err(|_| Refusal::new(Rule::ManifestUtf8, "`plugin.yaml` is not UTF-8"))?;
    if let Some(char) = text.chars().find(|char| !is_printable(*char)) {
        let detail = format!("`plugin.yaml` holds the character U+{:04X}, which YAML does not allow", u32::from(char));
        return Err(Refusal::new(Rule::ManifestYaml, detail));
    }
    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|error| invalid(&error))?;
        reader.read(event)?;
    }
    match reader.documents {
        0 => Err(Refusal::new(Rule::ManifestMapping, "`plugin.yaml` is empty")),
        _ => Ok(reader.pairs),
    }
}

fn invalid(error: &ScanError) -> Refusal {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    let what = escaped(error.info().as_bytes());
    Refusal::new(Rule::ManifestYaml, format!("`plugin.yaml` is no valid YAML: line {line}, column {column}: {what}"))
}

/// YAML 1.2, production 1. Readers do not agree on other characters: some stop at them.
fn is_printable(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{1_0000}'..)
}

/// The state of reading, after the events so far.
#[derive(Default)]
struct Reader {
    documents: usize,
    frames: Vec<Frame>,
    /// Complete nodes that have an anchor.
    anchors: BTreeMap<usize, Anchored>,
    alias_nodes: usize,
    /// The key of the root mapping whose value comes next.
    key: Option<Rc<str>>,
    pairs: Vec<(Rc<str>, Value)>,
}

/// A collection that is open.
struct Frame {
    anchor: usize,
    /// The keys of a mapping that are plain values.
    keys: Option<BTreeSet<Rc<str>>>,
    /// Whether the next node of a mapping is a key.
    key_next: bool,
    size: Size,
}

/// The size of a node. An alias counts as the node that it stands for.
#[derive(Debug, Clone, Copy)]
struct Size {
    nodes: usize,
    depth: usize,
}

struct Anchored {
    size: Size,
    value: Value,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentEnd | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Refusal::new(Rule::ManifestYaml, "`plugin.yaml` holds more than one document"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text = Rc::from(&*text);
                let scalar = Scalar { text, plain: style == ScalarStyle::Plain, tag: scalar_tag(tag.as_deref()) };
                let size = Size { nodes: 1, depth: 0 };
                let value = Value::Scalar(scalar);
                if anchor != 0 {
                    self.anchors.insert(anchor, Anchored { size, value: value.clone() });
                }
                self.node(value, size)
            }
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    return Err(Refusal::new(
                        Rule::ManifestAliases,
                        "an alias in `plugin.yaml` stands for what it is in",
                    ));
                };
                let (size, value) = (anchored.size, anchored.value.clone());
                self.alias_nodes = self.alias_nodes.saturating_add(size.nodes);
                if self.alias_nodes > ALIAS_NODES {
                    let detail = format!("the aliases in `plugin.yaml` stand for more than {ALIAS_NODES} nodes");
                    return Err(Refusal::new(Rule::ManifestAliases, detail));
                }
                if self.frames.len() + size.depth > DEPTH {
                    return Err(too_deep());
                }
                self.node(value, size)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, None),
            Event::MappingStart(anchor, tag) => {
                let plain = tag.is_none_or(|tag| is_core(&tag, "map"));
                if self.frames.is_empty() && !plain {
                    return Err(Refusal::new(
                        Rule::ManifestMapping,
                        "`plugin.yaml` is tagged as something else than a mapping",
                    ));
                }
                self.begin(anchor, Some(BTreeSet::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, anchor: usize, keys: Option<BTreeSet<Rc<str>>>) -> Result<(), Refusal> {
        if self.frames.is_empty() && keys.is_none() {
            return Err(Refusal::new(Rule::ManifestMapping, "`plugin.yaml` is a list"));
        }
        if self.frames.len() >= DEPTH {
            return Err(too_deep());
        }
        let size = Size { nodes: 1, depth: 1 };
        self.frames.push(Frame { anchor, key_next: keys.is_some(), keys, size });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        if frame.anchor != 0 {
            self.anchors.insert(frame.anchor, Anchored { size: frame.size, value: Value::Collection });
        }
        if self.frames.is_empty() { Ok(()) } else { self.node(Value::Collection, frame.size) }
    }

    /// Adds a complete node to the collection around it.
    fn node(&mut self, value: Value, size: Size) -> Result<(), Refusal> {
        let is_root = self.frames.len() == 1;
        let Some(frame) = self.frames.last_mut() else {
            return Err(Refusal::new(Rule::ManifestMapping, "`plugin.yaml` is a single value"));
        };
        frame.size.nodes = frame.size.nodes.saturating_add(size.nodes);
        frame.size.depth = frame.size.depth.max(size.depth + 1);
        let Some(keys) = &mut frame.keys else { return Ok(()) };
        let is_key = frame.key_next;
        frame.key_next = !is_key;
        match value {
            Value::Scalar(scalar) if is_key => {
                if is_root && (scalar.has_other_tag() || scalar.is_resolved() && &*scalar.text == "<<") {
                    // A merge key adds keys that this reader does not see.
                    let detail =
                        format!("the key `{}` of `plugin.yaml` is no plain text", escaped(scalar.text.as_bytes()));
                    return Err(Refusal::new(Rule::ManifestMapping, detail));
                }
                if is_root {
                    self.key = Some(scalar.text.clone());
                }
                if let Some(twice) = keys.replace(scalar.text) {
                    let detail = format!("`plugin.yaml` has the key `{}` twice", escaped(twice.as_bytes()));
                    return Err(Refusal::new(Rule::ManifestDuplicate, detail));
                }
            }
            Value::Collection if is_key && is_root => {
                return Err(Refusal::new(Rule::ManifestMapping, "a key of `plugin.yaml` is a collection"));
            }
            Value::Collection if is_key => {}
            Value::Scalar(_) | Value::Collection if is_root => {
                if let Some(key) = self.key.take() {
                    self.pairs.push((key, value));
                }
            }
            Value::Scalar(_) | Value::Collection => {}
        }
        Ok(())
    }
}

fn too_deep() -> Refusal {
    Refusal::new(Rule::ManifestDepth, format!("`plugin.yaml` is nested more than {DEPTH} deep"))
}

fn scalar_tag(tag: Option<&Tag>) -> ScalarTag {
    match tag {
        None => ScalarTag::None,
        // A lone `!` turns a plain scalar into text.
        Some(tag) if is_core(tag, "str") || (tag.handle.is_empty() && tag.suffix == "!") => ScalarTag::Text,
        Some(_) => ScalarTag::Other,
    }
}

/// Whether it is this tag of YAML's core schema, in any spelling.
fn is_core(tag: &Tag, name: &str) -> bool {
    [tag.handle.as_str(), tag.suffix.as_str()].concat().strip_prefix("tag:yaml.org,2002:") == Some(name)
}
