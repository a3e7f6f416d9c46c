//! Checks the rooms of the core: arrows between them point downwards, and no knot of files is large.

use super::arrows::Arrows;
use super::tree::Tree;
use super::{Finding, finding};

const SRC: &str = "crates/molecule-core/src";

/// The rooms from the lowest to the highest. A room is a folder of the core, or a file beside the folders; it may use
/// rooms of the rows above its own in this list. Rooms of one row do not use each other.
const ORDER: &[&[&str]] = &[
    // Used by every room: texts that are safe to show, remedies, errors.
    &["text"],
    // Who runs which workspace, over many machines: it knows no agent, and is used by no room.
    &["fleet"],
    &["error"],
    &["config"],
    &["effect"],
    // Events for the application, which a step of any machine may contain.
    &["event"],
    &["session"],
    &["machine"],
    &["flow"],
    &["endpoint"],
    &["call"],
    &["life", "peer", "delegation", "plugin"],
    &["inbox"],
    &["run", "inbound"],
    // Figures of all rooms, for the test that compares README with them; the list of machines; the crate's root.
    &["figures"],
    &["machines"],
    &["lib"],
];

const MOST_UP: usize = 8;
const LARGEST_KNOT: usize = 3;

pub(super) struct Rooms {
    arrows: Arrows,
}

impl Rooms {
    pub(super) fn read(tree: &Tree) -> Self {
        Self { arrows: Arrows::read(tree, SRC) }
    }

    /// One line for the terminal.
    pub(super) fn figure(&self) -> String {
        let knots = self.arrows.knots();
        let largest = knots.iter().map(Vec::len).max().unwrap_or(0);
        format!(
            "{SRC}: {} arrows up, at most {MOST_UP}; {} knots, the largest of {largest} files, at most {LARGEST_KNOT}",
            self.up().len(),
            knots.len()
        )
    }

    /// Every arrow up if there are too many, every knot that is too large, and files without a room.
    pub(super) fn check(&self) -> Vec<Finding> {
        let up = if self.up().len() > MOST_UP { self.arrows_up() } else { Vec::new() };
        [self.homeless(), up, self.knots(LARGEST_KNOT)].concat()
    }

    /// Every arrow up and every arrow of a knot, even if the limits hold.
    pub(super) fn all(&self) -> Vec<Finding> {
        [self.homeless(), self.arrows_up(), self.knots(0)].concat()
    }

    fn homeless(&self) -> Vec<Finding> {
        let homeless = self.arrows.files.iter().filter(|file| level(room(file)).is_none());
        let told = homeless.map(|file| {
            let sentence =
                format!("`{}` has no place in the order of the rooms; give it one in xtask's `ORDER`", room(file));
            finding(&format!("{SRC}/{file}"), 1, sentence)
        });
        told.collect()
    }

    fn arrows_up(&self) -> Vec<Finding> {
        let told = self.up().into_iter().map(|(line, from, to)| {
            let [from, to] = [from, to].map(|file| self.arrows.files[file].as_str());
            let sentence = format!(
                "an arrow up: room `{}` uses {to} of room `{}`, which is not below it; move one of both, at most {MOST_UP} may stay",
                room(from),
                room(to)
            );
            finding(&format!("{SRC}/{from}"), line, sentence)
        });
        told.collect()
    }

    /// The arrows of each knot with more files than `most`.
    fn knots(&self, most: usize) -> Vec<Finding> {
        let mut told = Vec::new();
        for knot in self.arrows.knots().into_iter().filter(|knot| knot.len() > most) {
            for (&(from, to), &line) in &self.arrows.arrows {
                if knot.contains(&from) && knot.contains(&to) {
                    let [from, to] = [from, to].map(|file| self.arrows.files[file].as_str());
                    let sentence = format!(
                        "a knot of {} files that use each other in a circle: this one uses {to}; take arrows away until at most {LARGEST_KNOT} files are left",
                        knot.len()
                    );
                    told.push(finding(&format!("{SRC}/{from}"), line, sentence));
                }
            }
        }
        told
    }

    /// The arrows up: line, using file, used file.
    fn up(&self) -> Vec<(usize, usize, usize)> {
        let arrows = self.arrows.arrows.iter().map(|(&(from, to), &line)| (line, from, to));
        arrows.filter(|&(_, from, to)| is_up(room(&self.arrows.files[from]), room(&self.arrows.files[to]))).collect()
    }
}

fn is_up(from: &str, to: &str) -> bool {
    from != to && level(from) <= level(to)
}

fn level(room: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&room))
}

/// The room of a file: its folder, or its own name.
fn room(file: &str) -> &str {
    let module = file.strip_suffix(".rs").unwrap_or(file);
    module.split('/').next().unwrap_or(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(files: &[(&str, &str)]) -> Rooms {
        let files: Vec<_> = files.iter().map(|(path, text)| (format!("{SRC}/{path}"), *text)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        Rooms::read(&Tree::of(&files))
    }

    fn up(files: &[(&str, &str)]) -> Vec<String> {
        rooms(files).arrows_up().iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    const LIB: &str = "mod config;\nmod life;\nmod peer;\npub use config::Config;\n";

    #[test]
    fn an_arrow_up_and_one_between_siblings_are_found_and_one_down_is_not() {
        let life = ("life.rs", "use crate::Config;\npub struct Register(Config);\n");
        let config = ("config.rs", "pub struct Config;\n");
        let peer = ("peer.rs", "");
        assert!(up(&[("lib.rs", LIB), config, life, peer]).is_empty());
        let wrong = ("config.rs", "\nuse crate::life::Register;\npub struct Config(Register);\n");
        assert_eq!(up(&[("lib.rs", LIB), wrong, life, peer]), [format!("{SRC}/config.rs:2")]);
        let sibling = ("peer.rs", "fn call() -> crate::life::Register {}\n");
        assert_eq!(up(&[("lib.rs", LIB), config, life, sibling]), [format!("{SRC}/peer.rs:1")]);
    }

    #[test]
    fn as_many_arrows_up_as_may_stay_are_no_finding() {
        let config: String = (0..=MOST_UP).map(|n| format!("mod c{n};")).collect();
        let uses: Vec<_> = (0..=MOST_UP).map(|n| format!("config/c{n}.rs")).collect();
        let all = |count: usize| {
            let mut files = vec![
                ("lib.rs", LIB),
                ("config.rs", config.as_str()),
                ("life.rs", "pub struct Register;"),
                ("peer.rs", ""),
            ];
            files.extend(uses.iter().take(count).map(|path| (path.as_str(), "use crate::life::Register;")));
            rooms(&files).check().len()
        };
        assert_eq!(all(MOST_UP), 0);
        assert_eq!(all(MOST_UP + 1), MOST_UP + 1);
    }

    #[test]
    fn a_circle_of_more_files_than_may_be_is_found_with_its_arrows() {
        let circle = |count: usize| {
            let run: String = (0..count).map(|n| format!("mod r{n};")).collect();
            let texts: Vec<_> = (0..count)
                .map(|n| (format!("run/r{n}.rs"), format!("use super::r{}::S;\npub struct S;", (n + 1) % count)))
                .collect();
            let mut files = vec![("lib.rs", "mod run;"), ("run.rs", run.as_str())];
            files.extend(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())));
            rooms(&files).check().len()
        };
        assert_eq!(circle(LARGEST_KNOT), 0);
        assert_eq!(circle(LARGEST_KNOT + 1), LARGEST_KNOT + 1);
    }

    #[test]
    fn a_room_without_a_place_is_found() {
        assert_eq!(rooms(&[("lib.rs", "mod attic;"), ("attic.rs", "")]).check().len(), 1);
    }
}
