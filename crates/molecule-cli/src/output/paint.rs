//! Colours, on terminals alone. `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM=dumb` count as everywhere.

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shade {
    Plain,
    /// It is as it should be.
    Good,
    Warning,
    Fault,
    /// It is the same on many lines.
    Dim,
}

/// Whether a stream gets colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn none() -> Self {
        Self(false)
    }

    pub(crate) fn of_stdout() -> Self {
        Self(AutoStream::choice(&io::stdout()) != ColorChoice::Never)
    }

    pub(crate) fn of_stderr() -> Self {
        Self(AutoStream::choice(&io::stderr()) != ColorChoice::Never)
    }

    /// The text as this stream shows it.
    pub(crate) fn shade(self, shade: Shade, text: &str) -> String {
        let style = match shade {
            Shade::Plain => return text.to_owned(),
            Shade::Good => AnsiColor::Green.on_default(),
            Shade::Warning => AnsiColor::Yellow.on_default(),
            Shade::Fault => AnsiColor::Red.on_default().bold(),
            Shade::Dim => Style::new().dimmed(),
        };
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_colours_gets_the_bare_text() {
        assert_eq!(Paint(false).shade(Shade::Fault, "x"), "x");
        assert_eq!(Paint(true).shade(Shade::Plain, "x"), "x");
        assert_eq!(Paint(true).shade(Shade::Warning, "x"), "\u{1b}[33mx\u{1b}[0m");
    }
}
