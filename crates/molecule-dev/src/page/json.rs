//! Bodies as text: JSON with its syntax in colours, anything else as it is.

use maud::{Markup, html};
use molecule_proto::printable;
use serde_json::Value;

/// The most bytes of a body that are shown; the rest can be saved.
const MOST: usize = 200_000;

/// A body, whatever its content type says.
pub(crate) fn body(bytes: &[u8]) -> Markup {
    if bytes.is_empty() {
        return html! { p class="muted" { "No body." } };
    }
    if bytes.len() <= MOST
        && let Ok(value) = serde_json::from_slice::<Value>(bytes)
    {
        return self::value(&value);
    }
    match std::str::from_utf8(&bytes[..bytes.len().min(MOST)]) {
        Ok(text) => plain(text, bytes.len()),
        // A character that the bound cuts.
        Err(error) if error.valid_up_to() + 4 > MOST => {
            plain(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]), bytes.len())
        }
        Err(_) => html! { p class="muted" { (bytes.len()) " bytes that are not text." } },
    }
}

fn plain(text: &str, all: usize) -> Markup {
    html! {
        pre tabindex="0" { (printable::lines(text)) }
        @if text.len() < all { p class="muted" { "The first " (text.len()) " of " (all) " bytes." } }
    }
}

pub(crate) fn value(value: &Value) -> Markup {
    html! { pre class="json" tabindex="0" { (indented(value, 0)) } }
}

fn indented(value: &Value, depth: usize) -> Markup {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::Object(fields) if !fields.is_empty() => html! {
            "{\n"
            @for (index, (key, value)) in fields.iter().enumerate() {
                (inner) span class="k" { (text(key)) } ": " (indented(value, depth + 1)) @if index + 1 < fields.len() { "," } "\n"
            }
            (outer) "}"
        },
        Value::Array(items) if !items.is_empty() => html! {
            "[\n"
            @for (index, value) in items.iter().enumerate() {
                (inner) (indented(value, depth + 1)) @if index + 1 < items.len() { "," } "\n"
            }
            (outer) "]"
        },
        Value::Object(_) => html! { "{}" },
        Value::Array(_) => html! { "[]" },
        Value::String(string) => html! { span class="s" { (text(string)) } },
        Value::Number(number) => html! { span class="n" { (number) } },
        Value::Bool(_) | Value::Null => html! { span class="w" { (value) } },
    }
}

/// A string in JSON's notation; what controls or disguises it is escaped as well.
fn text(text: &str) -> String {
    printable::line(&Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_json_has_colours_and_no_markup_of_its_own() {
        let shown = body(br#"{"a<b>":["</span><script>",1,true,null,{}],"c":"\u202e"}"#).into_string();
        assert!(!shown.contains("<script") && !shown.contains("<b>"));
        for part in [
            "<span class=\"k\">&quot;a&lt;b&gt;&quot;</span>",
            "<span class=\"n\">1</span>",
            "<span class=\"w\">null</span>",
            "\\u{202e}",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn what_is_not_json_is_shown_as_text_and_a_long_body_is_cut() {
        assert!(body(b"<html>").into_string().contains("&lt;html&gt;"));
        assert!(body(&[0xff, 0xfe]).into_string().contains("2 bytes that are not text"));
        let long = "ż".repeat(MOST);
        let shown = body(long.as_bytes()).into_string();
        assert!(shown.contains(&format!("of {} bytes", long.len())), "it says that it is cut");
        assert!(shown.len() < MOST + 1000);
        assert!(body(b"").into_string().contains("No body"));
    }
}
