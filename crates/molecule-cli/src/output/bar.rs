//! The progress of a plugin's download, on terminals alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use molecule_async::Event;

/// How often it turns while nothing else changes.
const TURN: Duration = Duration::from_millis(120);

/// The progress of what runs now, on stderr.
#[derive(Debug)]
pub(crate) struct Bar {
    is_wanted: bool,
    shown: Mutex<Option<ProgressBar>>,
}

impl Bar {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, shown: Mutex::new(None) }
    }

    fn shown(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the progress that an event tells. The platform says nothing of an archive's length beforehand.
    pub(super) fn follow(&self, event: &Event) {
        if !self.is_wanted {
            return;
        }
        match event {
            Event::PluginProgress { plugin, progress, .. } => {
                let mut shown = self.shown();
                let bar = shown.get_or_insert_with(|| {
                    let style = "{spinner} {wide_msg}  {bytes} ({bytes_per_sec})";
                    let style =
                        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_spinner());
                    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                    bar.set_style(style.tick_chars("|/-\\ "));
                    bar.enable_steady_tick(TURN);
                    bar
                });
                bar.set_message(plugin.to_string());
                bar.set_position(progress.received);
            }
            Event::PluginSetup(plugin) => {
                if let Some(bar) = &*self.shown() {
                    bar.set_style(ProgressStyle::default_spinner().tick_chars("|/-\\ "));
                    bar.set_message(format!("{plugin}  setup.sh is run"));
                }
            }
            _ => {}
        }
    }

    /// Removes the progress from the terminal.
    pub(super) fn end(&self) {
        if let Some(bar) = self.shown().take() {
            bar.finish_and_clear();
        }
    }

    /// Writes something else meanwhile.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.shown() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}
