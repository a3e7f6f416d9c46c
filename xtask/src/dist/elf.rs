//! Whether a program is static: it needs neither a loader nor libraries of the machine.

use object::elf::{DT_NEEDED, PT_INTERP};
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};

use crate::Failure;

/// Refuses a program that asks for a loader or a library, and names them.
pub(super) fn check_static(program: &[u8]) -> Result<(), Failure> {
    let wants = wants(program)?;
    match wants.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "dist: the program is not static: it wants {}; is a crate there that links a library of the system?",
            wants.join(", ")
        )),
    }
}

/// The loader and the libraries that a program names. The loader reads the segments, so these decide; the names of libraries
/// are in a section, which a program can lack.
fn wants(program: &[u8]) -> Result<Vec<String>, Failure> {
    let unreadable = |error: object::read::Error| format!("dist: the program is no 64-bit ELF file: {error}");
    let file: ElfFile64<'_> = ElfFile64::parse(program).map_err(unreadable)?;
    let endian = file.endian();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let sections = file.elf_header().sections(endian, program).map_err(unreadable)?;
    let names = match sections.dynamic(endian, program).map_err(unreadable)? {
        Some((_, link)) => sections.strings(endian, program, link).map_err(unreadable)?,
        None => object::read::StringTable::default(),
    };
    let mut wants = Vec::new();
    for header in file.elf_program_headers() {
        if header.p_type(endian) == PT_INTERP {
            let loader = header.data(endian, program).map_err(|()| "dist: the program's loader has no name")?;
            wants.push(format!("the loader {}", text(loader)));
        }
        let entries = header.dynamic(endian, program).map_err(unreadable)?.unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.d_tag(endian) == DT_NEEDED) {
            let name = entry.string(endian, names).map_or_else(|_| "without a name".to_owned(), text);
            wants.push(format!("the library {name}"));
        }
    }
    Ok(wants)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
mod tests {
    use object::elf::PT_DYNAMIC;

    use super::*;

    /// The program of these tests is linked as every other one.
    #[test]
    fn a_program_that_needs_the_machine_is_refused_with_what_it_wants() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let failure = check_static(&own).unwrap_err();
        assert!(failure.contains("the loader /lib"), "{failure}");
        assert!(failure.contains("the library libc.so"), "{failure}");
    }

    /// The same program without the segments of these types.
    fn without(types: &[u32]) -> Vec<u8> {
        let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let number = |program: &[u8], at: usize| usize::from(u16::from_le_bytes([program[at], program[at + 1]]));
        let (first, size, count) = (number(&program, 32), number(&program, 54), number(&program, 56));
        for at in (0..count).map(|which| first + which * size) {
            let kind = u32::from_le_bytes(program[at..at + 4].try_into().unwrap());
            if types.contains(&kind) {
                // A segment of no type is passed over.
                program[at..at + 4].copy_from_slice(&[0; 4]);
            }
        }
        program
    }

    #[test]
    fn a_program_that_needs_nothing_is_static() {
        assert_eq!(check_static(&without(&[PT_INTERP, PT_DYNAMIC])), Ok(()));
        let failure = check_static(&without(&[PT_INTERP])).unwrap_err();
        assert!(!failure.contains("loader") && failure.contains("the library libc.so"), "{failure}");
        let failure = check_static(&without(&[PT_DYNAMIC])).unwrap_err();
        assert!(failure.contains("loader") && !failure.contains("library libc"), "{failure}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for wrong in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            assert!(check_static(wrong).unwrap_err().contains("no 64-bit ELF"), "{wrong:?}");
        }
    }
}
