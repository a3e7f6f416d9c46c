//! A real directory, and a real disk that is full or read-only, pass the conformance suite for stores.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use molecule_conformance::host::{self, Condition, Course, TestDisk};
use molecule_host::{Storage, Store, seed};

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// A home in a temporary directory, perhaps on a small file system of its own.
struct Real {
    top: PathBuf,
    mounted: bool,
}

impl Real {
    fn new(mounted: bool) -> Self {
        let top = env::temp_dir().join(format!("molecule-conformance-{:016x}", seed()));
        fs::create_dir(&top).unwrap();
        let real = Self { top, mounted };
        if mounted {
            real.mount(&["-t", "tmpfs", "-o", "size=64k,mode=700", "none"]);
        }
        fs::create_dir(real.home()).unwrap();
        real
    }

    fn home(&self) -> PathBuf {
        self.top.join("home")
    }

    fn mount(&self, options: &[&str]) {
        assert!(Command::new("mount").args(options).arg(&self.top).status().unwrap().success(), "{options:?}");
    }
}

impl TestDisk for Real {
    fn store(&self) -> Arc<dyn Store> {
        Storage::Dir(self.home()).open(&ID.parse().unwrap()).unwrap()
    }

    fn set_condition(&mut self, condition: Condition) {
        let (filler, aside) = (self.top.join("filler"), self.top.join("aside"));
        match condition {
            Condition::Full => {
                let mut file = File::create(filler).unwrap();
                while file.write_all(&[0; 512]).is_ok() {}
            }
            Condition::ReadOnly => self.mount(&["-o", "remount,bind,ro"]),
            Condition::Broken => {
                fs::rename(self.home(), aside).unwrap();
                fs::write(self.home(), "in the way").unwrap();
            }
            Condition::Fine => {
                if self.mounted {
                    self.mount(&["-o", "remount,bind,rw"]);
                }
                if filler.exists() {
                    fs::remove_file(filler).unwrap();
                }
                if aside.exists() {
                    fs::remove_file(self.home()).unwrap();
                    fs::rename(aside, self.home()).unwrap();
                }
            }
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.top).status();
        }
        let _ = fs::remove_dir_all(&self.top);
    }
}

/// Runs each course in its own directory.
fn assert_all(courses: impl Iterator<Item = Course>, mounted: bool) {
    let complaints: Vec<String> = courses.flat_map(|course| course.run(&mut Real::new(mounted))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_real_directory() {
    assert_all(host::all().into_iter().filter(|course| !course.needs_a_disk()), false);
}

/// Needs a process that may mount file systems; prints a message where it may not.
#[test]
#[allow(clippy::print_stdout)]
fn a_real_disk_that_is_full_or_read_only() {
    let allowed = |namespace: &str| {
        let mut probe = Command::new("unshare");
        probe.args([namespace, "sh", "-c", r#"mount -t tmpfs none "$1""#, "sh"]).arg(env::temp_dir());
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(namespace) = ["-m", "-rm"].into_iter().find(|namespace| allowed(namespace)) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let mut child = Command::new("unshare");
    child.arg(namespace).arg(env::current_exe().unwrap()).args(["--exact", "child_on_a_small_disk", "--ignored"]);
    let output = child.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

#[test]
#[ignore = "started by a_real_disk_that_is_full_or_read_only"]
fn child_on_a_small_disk() {
    assert_all(host::all().into_iter(), true);
}
