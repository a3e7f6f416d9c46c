//! The view of the platform's clock, and the steps by which it goes forward.

use std::time::Duration;

use maud::{Markup, html};

use super::html;
use super::scene::Scene;

/// The steps, in seconds, with their names and what they are good for.
const STEPS: [(u64, &str, &str); 5] = [
    (10, "10 seconds", "a beat or two"),
    (60, "1 minute", "April's liveness limit"),
    (195, "3 min 15 s", "a silent agent is awaited again: the sweep looks every 15 seconds, for 3 minutes of silence"),
    (3600, "1 hour", "a nudge may come again"),
    (86_400, "1 day", "files that wait expire"),
];
/// The longest step, in seconds: 30 days.
pub(crate) const LONGEST: u64 = 30 * 86_400;

pub(crate) fn page(scene: Scene<'_>, forward: Duration) -> Markup {
    html! {
        h1 { "Clock" }
        section class="panel" {
            (face(scene, forward))
            p class="muted" { "The platform's clock can go forward, never back: what takes minutes or hours happens at once, for every workspace. Agents keep their own
                clocks. Each step is a line of the log." }
            form class="acts" hx-post="/dev/clock" hx-target="#notice" {
                fieldset class="acts" disabled[!scene.is_live()] {
                    @for (seconds, name, use_) in STEPS {
                        button type="submit" name="seconds" value=(seconds) title=(use_) { "+ " (name) }
                    }
                }
            }
            form class="line" hx-post="/dev/clock" hx-target="#notice" data-reset {
                label class="narrow" { "Seconds" input type="number" name="seconds" min="1" max=(LONGEST) required; }
                button type="submit" disabled[!scene.is_live()] { "Go forward" }
            }
        }
    }
}

/// The time, live.
pub(crate) fn face(scene: Scene<'_>, forward: Duration) -> Markup {
    html::live(
        "clock",
        "/dev/clock/face",
        html! {
            dl class="facts" {
                dt { "Platform's time" } dd class="mono" { (scene.now.unix) }
                dt { "Ahead of this machine" } dd { @if forward.is_zero() { "not at all" } @else { (span(forward)) } }
            }
        },
    )
}

/// A span in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use molecule_platform::{Config, Dialect, Platform};
    use molecule_proto::Now;

    use super::*;

    #[test]
    fn in_the_past_no_step_can_be_made() {
        let platform = Platform::new(Config::new(Dialect::Current));
        let mut scene = Scene { platform: &platform, now: Now::default(), at: None, url: "" };
        assert!(!page(scene, Duration::ZERO).into_string().contains("disabled"));
        scene.at = Some(1);
        let shown = page(scene, Duration::from_secs(200)).into_string();
        assert_eq!(shown.matches("disabled").count(), 2);
        assert!(shown.contains("3 min 20 s"));
    }

    #[test]
    fn spans_have_two_units() {
        let span = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([span(5), span(185), span(7260), span(90_000)], ["5 s", "3 min 5 s", "2 h 1 min", "1 d 1 h"]);
    }
}
