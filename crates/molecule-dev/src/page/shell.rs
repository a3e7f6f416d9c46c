//! The page's frame. It holds nothing of the platform, so that it needs no token; the page's script fills it.

use maud::{DOCTYPE, Markup, html};

use super::assets;

/// htmx: no history of its own, no styles of its own, no request to another origin.
const HTMX: &str =
    r#"{"history":false,"includeIndicatorCSS":false,"mode":"same-origin","extensions":"sse","defaultTimeout":30000}"#;

/// The views, with their names in the address's fragment.
const VIEWS: [(&str, &str); 7] = [
    ("workspaces", "Workspaces"),
    ("chat", "Chat"),
    ("inspector", "Inspector"),
    ("graph", "Graph"),
    ("plugins", "Plugins"),
    ("chaos", "Chaos"),
    ("clock", "Clock"),
];

pub(crate) fn page() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme="system" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { "molecule dev" }
                link rel="icon" type="image/svg+xml" href=(assets::path("icon.svg"));
                link rel="stylesheet" href=(assets::path("page.css"));
                @for script in ["htmx.js", "hx-sse.js", "page.js"] { script defer src=(assets::path(script)) {} }
            }
            body {
                a id="skip" href="#view" { "Skip to the view" }
                header {
                    a class="brand" href="#/workspaces" { "molecule dev" }
                    nav id="views" aria-label="Views" {
                        @for (name, label) in VIEWS { a href={ "#/" (name) } data-view=(name) { (label) } }
                    }
                    div class="state" {
                        span id="about" class="muted" {}
                        span id="connection" role="status" { "Connecting" }
                        button id="theme" class="plain" type="button" { "Colours: system" }
                    }
                }
                noscript { p class="panel" { "This page needs JavaScript: its own and htmx, both from this server." } }
                form id="signin" class="panel" hidden {
                    h1 { "The admin token, please" }
                    p { code { "molecule dev" } " printed it when it started, in the page's address behind " code { "#" }
                        ". The log on this machine holds messages and credentials, so that nobody reads it without." }
                    p id="refused" class="bad" role="alert" hidden { "The server refused the token. A fresh start of " code { "molecule dev" } " may have made another one." }
                    label { "Admin token" input id="token" type="password" autocomplete="off" required; }
                    p {} button class="main" type="submit" { "Open the page" }
                }
                main id="view" tabindex="-1" {}
                div id="notice" role="status" aria-live="polite" {}
                div id="stream" hidden {}
                footer aria-label="Time" {
                    label for="slider" { "Time" }
                    button type="button" class="plain" id="earlier" aria-label="One line earlier" { "◀" }
                    input id="slider" type="range" min="0" max="0" value="0" step="1";
                    button type="button" class="plain" id="later" aria-label="One line later" { "▶" }
                    output id="moment" for="slider" { "now" }
                    span class="muted" { "of " span id="newest" { "0" } " lines" }
                    button type="button" id="live" class="main" hidden { "Back to now" }
                    button type="button" id="fork" hidden { "Fork from here" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_no_inline_script_no_inline_style_and_loads_from_here_alone() {
        let page = page().into_string();
        for part in ["<style", " style=", "javascript:", " onclick", " hx-on", "http://", "https://", "//cdn"] {
            assert!(!page.contains(part), "{part}");
        }
        for tag in page.split("<script").skip(1) {
            let (attributes, rest) = tag.split_once('>').expect("a tag ends");
            assert!(attributes.contains(" src=\"/dev/assets/") && rest.starts_with("</script>"), "{attributes}");
        }
        assert!(page.contains("width=device-width"), "small screens need it");
        for (name, label) in VIEWS {
            assert!(page.contains(&format!("href=\"#/{name}\" data-view=\"{name}\">{label}</a>")));
        }
    }

    #[test]
    fn each_control_of_the_frame_has_a_label() {
        let page = page().into_string();
        assert!(page.contains("<label for=\"slider\">"));
        assert!(page.contains("<label>Admin token<input id=\"token\""));
        for button in page.split("<button").skip(1) {
            let (attributes, rest) = button.split_once('>').expect("a tag ends");
            let words = rest.split('<').next().unwrap_or_default();
            let is_named = words.chars().any(char::is_alphabetic) || attributes.contains("aria-label=");
            assert!(is_named, "{attributes}");
        }
    }
}
