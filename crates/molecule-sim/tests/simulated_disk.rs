//! The simulated disk passes the same conformance suite for stores as a real disk.

use std::sync::Arc;

use molecule_conformance::host::{self, Condition, TestDisk};
use molecule_host::Store;
use molecule_sim::{Disk, Mood};

struct Simulated(Disk);

impl TestDisk for Simulated {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    fn set_condition(&mut self, condition: Condition) {
        self.0.set_mood(match condition {
            Condition::Fine => Mood::Fine,
            Condition::Full => Mood::Full,
            Condition::ReadOnly => Mood::ReadOnly,
            Condition::Broken => Mood::Broken,
        });
    }
}

#[test]
fn the_simulated_disk_does_what_a_real_one_does() {
    let courses = host::all();
    let complaints: Vec<String> =
        courses.iter().flat_map(|course| course.run(&mut Simulated(Disk::default()))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
