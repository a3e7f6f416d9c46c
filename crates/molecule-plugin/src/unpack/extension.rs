//! Extension headers: pax records and GNU long names, for values that do not fit into the header of the next entry.

use std::str;

use super::header::ExtensionKind;
use crate::{InstallLimits, Refusal, Rule, escaped};

/// The values of the extension headers before one entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    headers: u32,
    bytes: u64,
    pax: Option<Pax>,
    long_name: Option<Vec<u8>>,
    long_link: bool,
    /// The content of the header that is being read.
    body: Vec<u8>,
}

/// The values of a pax header that matter here.
#[derive(Debug, Default)]
struct Pax {
    path: Option<String>,
    size: Option<u64>,
    has_linkpath: bool,
}

impl Extensions {
    /// Counts a header of this kind and size against the limits, before any of its content is read.
    pub(super) fn begin(&mut self, kind: ExtensionKind, size: u64, limits: &InstallLimits) -> Result<(), Refusal> {
        self.headers += 1;
        if self.headers > limits.max_metadata_headers {
            let most = limits.max_metadata_headers;
            return Err(Refusal::new(Rule::MetadataHeaders, format!("it has more than {most} extension headers")));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > limits.max_metadata_bytes {
            let most = limits.max_metadata_bytes;
            return Err(Refusal::new(
                Rule::MetadataBytes,
                format!("its extension headers have more than {most} bytes"),
            ));
        }
        let repeated = match kind {
            ExtensionKind::Pax => self.pax.is_some(),
            ExtensionKind::LongName => self.long_name.is_some(),
            ExtensionKind::LongLink => self.long_link,
            ExtensionKind::Global => false,
        };
        if repeated {
            return Err(Refusal::new(Rule::ExtensionRepeated, "it has two extension headers of one kind"));
        }
        if kind == ExtensionKind::Global && self.dangle() {
            // Some readers attach the earlier headers to the global one.
            let detail = "a global pax header stands between an extension header and its entry";
            return Err(Refusal::new(Rule::ExtensionDangling, detail));
        }
        self.body.clear();
        Ok(())
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.body.extend_from_slice(piece);
    }

    /// Reads the header's content, which is whole now.
    pub(super) fn end(&mut self, kind: ExtensionKind) -> Result<(), Refusal> {
        match kind {
            ExtensionKind::Pax => self.pax = Some(pax(&self.body, Scope::Entry)?),
            ExtensionKind::Global => {
                pax(&self.body, Scope::Global)?;
            }
            ExtensionKind::LongName => self.long_name = Some(long(&self.body)?.to_vec()),
            ExtensionKind::LongLink => {
                long(&self.body)?;
                self.long_link = true;
            }
        }
        if self.long_name.is_some() && self.pax.as_ref().is_some_and(|pax| pax.path.is_some()) {
            return Err(Refusal::new(Rule::ExtensionConflict, "a pax header and a GNU long name both name it"));
        }
        Ok(())
    }

    /// The entry's name, where an extension header gives one.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let pax = self.pax.as_ref().and_then(|pax| pax.path.as_deref());
        pax.map(str::as_bytes).or(self.long_name.as_deref())
    }

    /// The entry's size, where an extension header gives one.
    pub(super) fn size(&self) -> Option<u64> {
        self.pax.as_ref().and_then(|pax| pax.size)
    }

    /// Whether they give the target of a link.
    pub(super) fn has_link_target(&self) -> bool {
        self.long_link || self.pax.as_ref().is_some_and(|pax| pax.has_linkpath)
    }

    /// Whether an entry must follow them. Global headers belong to no entry.
    pub(super) fn dangle(&self) -> bool {
        self.pax.is_some() || self.long_name.is_some() || self.long_link
    }

    /// Forgets all values, for the next entry.
    pub(super) fn clear(&mut self) {
        if self.headers > 0 {
            let body = std::mem::take(&mut self.body);
            *self = Self { body, ..Self::default() };
        }
    }
}

/// A GNU long name: the bytes up to the first NUL. Only NULs may follow.
fn long(body: &[u8]) -> Result<&[u8], Refusal> {
    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    if name.is_empty() {
        return Err(Refusal::new(Rule::LongName, "a GNU long name is empty"));
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Refusal::new(Rule::LongName, "a GNU long name goes on behind its end"));
    }
    Ok(name)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Entry,
    Global,
}

fn pax(mut body: &[u8], scope: Scope) -> Result<Pax, Refusal> {
    let mut pax = Pax::default();
    let mut keys = Vec::new();
    while !body.is_empty() {
        let Record { key, value, rest } = record(body)?;
        body = rest;
        keys.push(key);
        judge(&mut pax, key, value, scope)?;
    }
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refusal::new(Rule::PaxDuplicate, format!("a pax header has `{}` twice", escaped(pair[0])))),
        None => Ok(pax),
    }
}

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    /// What follows the record.
    rest: &'a [u8],
}

/// The first record: `length key=value` and a line end. The length is that of the whole record.
fn record(body: &[u8]) -> Result<Record<'_>, Refusal> {
    let wrong = |what: &str| Refusal::new(Rule::PaxRecord, format!("a pax record {what}"));
    let space =
        body.iter().take(20).position(|byte| *byte == b' ').ok_or_else(|| wrong("does not begin with its length"))?;
    let length = decimal(&body[..space]).ok_or_else(|| wrong("does not begin with its length"))?;
    if body[0] == b'0' {
        return Err(wrong("has a zero before its length"));
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= body.len() && *length > space + 1);
    let length = length.ok_or_else(|| wrong("is not as long as it says"))?;
    let (record, rest) = body.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(|| wrong("does not end where its length says"))?;
    let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(|| wrong("has no `=`"))?;
    let key = &record[..equals];
    if key.is_empty() || key.iter().any(u8::is_ascii_control) {
        return Err(wrong("has no key, or none that every reader can read"));
    }
    Ok(Record { key, value: &record[equals + 1..], rest })
}

/// Other keys do not change what is unpacked and are ignored: times, owners, comments, attributes, keys of vendors.
fn judge(pax: &mut Pax, key: &[u8], value: &[u8], scope: Scope) -> Result<(), Refusal> {
    if scope == Scope::Global && (matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.")) {
        return Err(Refusal::new(Rule::PaxGlobal, format!("a global pax header holds `{}`", escaped(key))));
    }
    match key {
        b"path" => {
            let path = str::from_utf8(value).ok().filter(|path| !path.is_empty() && !path.contains('\0'));
            let path = path.ok_or_else(|| Refusal::new(Rule::PaxPath, "a pax `path` is empty, or no text"))?;
            pax.path = Some(path.to_owned());
        }
        b"size" => {
            let size = decimal(value).filter(|size| *size < 1 << 62);
            let size = size.ok_or_else(|| Refusal::new(Rule::PaxSize, "a pax `size` is no number of bytes"))?;
            pax.size = Some(size);
        }
        b"linkpath" => pax.has_linkpath = true,
        b"hdrcharset" if !matches!(value, b"ISO-IR 10646 2000 UTF-8" | b"UTF-8") => {
            let detail = format!("a pax header is in the character set `{}`", escaped(value));
            return Err(Refusal::new(Rule::PaxCharset, detail));
        }
        _ if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" => {
            return Err(Refusal::new(Rule::Sparse, "a pax header makes the entry sparse"));
        }
        _ => {}
    }
    Ok(())
}

/// Digits and nothing else.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}
