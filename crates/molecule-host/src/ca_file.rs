//! The file of certificate authorities in the environment.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use molecule_core::{Error, Options, Result};

/// The first line of every certificate in PEM.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The most bytes that are read; the bundles of operating systems have a quarter of it.
const LARGEST: u64 = 1024 * 1024;

/// Adds the certificate authorities of the file in `MOLECULE_CA_FILE`, if the options were made with
/// [`or_vars`](Options::or_vars).
///
/// # Errors
/// `Config` if there is no such file, or it has no certificate in PEM.
pub fn with_ca_file(options: Options) -> Result<Options> {
    let Some(path) = options.ca_file() else { return Ok(options) };
    let refused = |cause: String| {
        Error::config(
            format!("MOLECULE_CA_FILE names {}, {cause}", path.display()),
            "name a file with certificates in PEM that this user can read, or unset it",
        )
    };
    let pem = read_regular(path).map_err(|error| refused(format!("which cannot be read: {error}")))?;
    if !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN) {
        return Err(refused("which holds no certificate in PEM".to_owned()));
    }
    Ok(options.extra_ca(pem))
}

/// Reads a whole regular file. Anything else could block its reader forever.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::env;
    use std::process;

    use super::*;

    /// Options from an environment with this file.
    fn naming(path: &Path) -> Result<Options> {
        let vars = |name: &str| (name == "MOLECULE_CA_FILE").then(|| path.display().to_string());
        with_ca_file(Options::new("https://host.example", "7fda77bf-a467-441c-9fab-7d8aba8e6040").or_vars(vars))
    }

    #[test]
    fn a_file_is_read_as_a_whole_and_what_is_none_is_named_with_its_variable() {
        let path = env::temp_dir().join(format!("molecule-ca-{}.pem", process::id()));
        let pem = "# ours\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        fs::write(&path, pem).unwrap();
        assert_eq!(naming(&path).unwrap().transport().extra_ca, [pem.as_bytes()]);
        let refused = |path: &Path, cause: &str| {
            let error = naming(path).unwrap_err().to_string();
            assert!(error.contains(&format!("MOLECULE_CA_FILE names {}, which", path.display())), "{error}");
            assert!(error.contains(cause) && error.contains("; name a file"), "{error}");
        };
        fs::write(&path, "a key, perhaps").unwrap();
        refused(&path, "holds no certificate");
        fs::write(&path, vec![b' '; LARGEST as usize + 1]).unwrap();
        refused(&path, "larger than");
        fs::remove_file(&path).unwrap();
        refused(&path, "cannot be read");
        refused(&env::temp_dir(), "it is no file");
    }
}
