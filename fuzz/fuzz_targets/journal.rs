//! Reads arbitrary bytes as the journal of an inbox: no panic, and whatever could be read is written, and read again, as the
//! same state.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_core::machines::Journal;
use sha2::{Digest, Sha256};

fuzz_target!(|content: &[u8]| {
    check(content);
    // Few inputs would find the header and checksums by themselves.
    let mut journal = b"\nmolecule-inbox 1".to_vec();
    for record in content.split(|byte| *byte == b'\n') {
        let sum: String = Sha256::digest(record)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        journal.extend_from_slice(format!("\n{:x} {sum} ", record.len()).as_bytes());
        journal.extend_from_slice(record);
    }
    check(&journal);
});

fn check(content: &[u8]) {
    let mut journal = match Journal::read(content) {
        Ok(journal) => journal,
        Err(damaged) => {
            assert!(damaged.to_string().len() < 200, "{damaged}");
            damaged.salvaged()
        }
    };
    let whole = journal.whole();
    let again = Journal::read(&whole).expect("it was just written");
    assert_eq!(again.whole(), whole);
    if let Some((batch, _)) = journal.batch() {
        assert_eq!(batch, whole, "what was salvaged is written as a whole");
    }
    assert!(journal.compacted().is_none_or(|compacted| compacted[..] == whole));
}
