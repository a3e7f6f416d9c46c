//! The view of faults on purpose: what is provoked now, and how another fault is added.

use maud::{Markup, html};
use molecule_proto::WorkspaceStatus;

use super::form::Form;
use super::html;
use super::scene::Scene;
use crate::{Chaos, ChaosRule, Fault};

/// The faults, with their names in forms and what they do.
const FAULTS: [(&str, &str); 7] = [
    ("rate_limited", "429 with Retry-After"),
    ("unavailable", "503"),
    ("slow", "slow"),
    ("half", "answer cut at its half"),
    ("lost", "answer lost after the platform acted"),
    ("html", "HTML page of a proxy"),
    ("database_down", "database down"),
];
/// The longest delay, and the longest `Retry-After`, in seconds.
const LONGEST: u64 = 3600;

pub(crate) fn page(scene: Scene<'_>, chaos: &Chaos) -> Markup {
    html! {
        h1 { "Chaos" }
        section class="panel" aria-label="Faults" { (list(scene, chaos)) }
        section class="panel" {
            h2 { "Provoke a fault" }
            p class="muted small" { "It meets the requests of one agent, or of all, whose path has this end. The first rule that fits counts. Each change is a line of the log." }
            form class="line" hx-post="/dev/chaos/add" hx-target="#notice" {
                label { "Fault" select name="fault" { @for (name, label) in FAULTS { option value=(name) { (label) } } } }
                label class="narrow" { "Seconds (429, slow)" input type="number" name="seconds" min="0" max=(LONGEST) step="any" value="5"; }
                label { "End of the path" input name="path" type="text" autocomplete="off" placeholder="all, or /registry/heartbeat" list="paths"; }
                datalist id="paths" { @for path in ["/registry/heartbeat", "/registry/register", "/activity", "/activity/ack", "/state", "/notify", "/a2a", "/secrets/values"] { option value=(path) {} } }
                label { "Agent"
                    select name="workspace" {
                        option value="" { "all" }
                        @for view in scene.workspaces().iter().filter(|view| view.status != WorkspaceStatus::Removed) { option value=(view.id) { (html::name(&view.name)) } }
                    }
                }
                button class="main" type="submit" disabled[!scene.is_live()] { "Provoke" }
            }
        }
    }
}

/// The rules, live.
pub(crate) fn list(scene: Scene<'_>, chaos: &Chaos) -> Markup {
    html::live(
        "faults",
        "/dev/chaos/list",
        html! {
            @if chaos.rules.is_empty() {
                (html::empty("All is well.", "No fault is provoked. Add one below, and watch what your agent makes of it."))
            } @else {
                ul class="rows plain" {
                    @for (index, rule) in chaos.rules.iter().enumerate() {
                        li {
                            span class="pulse bad" aria-hidden="true" {}
                            div class="name" { (words(rule.fault)) }
                            div class="mono small" { (rule.path.as_deref().map_or_else(|| "every path".to_owned(), |path| html::short(path, 120))) }
                            div class="small muted" { (rule.workspace.as_ref().map_or_else(|| "every agent".to_owned(), |id| scene.name_of(id))) }
                            form hx-post="/dev/chaos/remove" hx-target="#notice" {
                                input type="hidden" name="index" value=(index);
                                input type="hidden" name="of" value=(chaos.rules.len());
                                button type="submit" disabled[!scene.is_live()] aria-label={ "End fault " (index + 1) } { "End" }
                            }
                        }
                    }
                }
                form hx-post="/dev/chaos/clear" hx-target="#notice" { button type="submit" disabled[!scene.is_live()] { "End all" } }
            }
        },
    )
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::RateLimited { retry_after_s } => format!("429, Retry-After: {retry_after_s}"),
        Fault::Unavailable => "503".to_owned(),
        Fault::Html => "HTML page of a proxy".to_owned(),
        Fault::Slow { ms } => format!("slow, {} s", ms as f64 / 1000.0),
        Fault::Half => "cut at half".to_owned(),
        Fault::Lost => "answer lost".to_owned(),
        Fault::DatabaseDown => "database down".to_owned(),
    }
}

/// The faults after an act of the page.
///
/// # Errors
/// Why it makes no sense, as a sentence.
pub(crate) fn changed(mut chaos: Chaos, act: &str, form: &Form) -> Result<(Chaos, &'static str), &'static str> {
    match act {
        "add" => {
            chaos.rules.push(rule(form)?);
            Ok((chaos, "The fault is there from now on."))
        }
        "remove" => {
            let index = form.number("index").and_then(|index| usize::try_from(index).ok());
            // Another tab may have changed the list since this one was drawn.
            let is_same = form.number("of") == Some(chaos.rules.len() as u64);
            match index.filter(|index| *index < chaos.rules.len() && is_same) {
                Some(index) => {
                    chaos.rules.remove(index);
                    Ok((chaos, "The fault is over."))
                }
                None => Err("The faults were changed meanwhile; look at the list again."),
            }
        }
        "clear" => Ok((Chaos::none(), "All faults are over.")),
        _ => Err("There is no such act."),
    }
}

fn rule(form: &Form) -> Result<ChaosRule, &'static str> {
    let seconds = || {
        let seconds = form.text("seconds").and_then(|text| text.trim().parse::<f64>().ok());
        let fits = |seconds: &f64| (0.0..=LONGEST as f64).contains(seconds);
        seconds.filter(fits).ok_or("The seconds are a number from 0 to 3600.")
    };
    let fault = match form.text("fault") {
        Some("rate_limited") => Fault::RateLimited { retry_after_s: seconds()?.ceil() as u32 },
        Some("unavailable") => Fault::Unavailable,
        Some("slow") => Fault::Slow { ms: (seconds()? * 1000.0) as u64 },
        Some("half") => Fault::Half,
        Some("lost") => Fault::Lost,
        Some("html") => Fault::Html,
        Some("database_down") => Fault::DatabaseDown,
        _ => return Err("The fault is missing."),
    };
    let mut rule = ChaosRule::new(fault);
    if let Some(path) = form.text("path") {
        let path = path.trim();
        if path.len() > 1000 || !path.starts_with('/') {
            return Err("The end of a path begins with a slash, such as /activity.");
        }
        rule = rule.path(path);
    }
    if let Some(id) = form.text("workspace") {
        rule = rule.workspace(Some(id.parse().map_err(|_| "The agent is none that is here.")?));
    }
    Ok(rule)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn change(chaos: &Chaos, act: &str, fields: &str) -> Result<Chaos, &'static str> {
        changed(chaos.clone(), act, &Form::of_query(fields).unwrap()).map(|(chaos, _)| chaos)
    }

    #[test]
    fn each_fault_of_the_form_is_one() {
        for (name, label) in FAULTS {
            let chaos = change(&Chaos::none(), "add", &format!("fault={name}&seconds=1.5")).unwrap();
            assert_eq!(chaos.rules.len(), 1, "{label}");
        }
        let chaos = change(&Chaos::none(), "add", "fault=rate_limited&seconds=1.5&path=%2Factivity").unwrap();
        assert_eq!(chaos.rules, [ChaosRule::new(Fault::RateLimited { retry_after_s: 2 }).path("/activity")]);
        let chaos = change(&Chaos::none(), "add", "fault=slow&seconds=1.5").unwrap();
        assert_eq!(chaos.rules[0].fault, Fault::Slow { ms: 1500 });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for fields in [
            "",
            "fault=nonsense",
            "fault=slow",
            "fault=slow&seconds=-1",
            "fault=slow&seconds=NaN",
            "fault=half&path=activity",
            "fault=half&workspace=x",
        ] {
            assert!(change(&Chaos::none(), "add", fields).is_err(), "{fields}");
        }
        let one = change(&Chaos::none(), "add", "fault=half").unwrap();
        let two = change(&one, "add", "fault=lost").unwrap();
        assert!(change(&two, "remove", "index=0&of=1").is_err(), "the list was another one");
        assert!(change(&two, "remove", "index=2&of=2").is_err());
        assert_eq!(change(&two, "remove", "index=0&of=2").unwrap().rules, [ChaosRule::new(Fault::Lost)]);
        assert_eq!(change(&two, "clear", "").unwrap(), Chaos::none());
    }
}
