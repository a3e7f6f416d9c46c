//! The first line of a log.

use std::fmt;

use molecule_platform::{Config, Dialect};
use molecule_proto::{Token, UnixTime};
use serde::{Deserialize, Serialize};

/// The format that this version writes. It reads every earlier one.
pub(crate) const FORMAT: u32 = 1;

/// The first line of a log: the configuration of the model, and who may act on it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The number of the format.
    #[serde(rename = "molecule_dev")]
    pub(crate) format: u32,
    /// The version of the model that began the log.
    pub(crate) model: String,
    pub(crate) dialect: Dialect,
    /// The seed of ids.
    pub(crate) seed: u64,
    /// The seed of tokens and secrets.
    pub(crate) credential_seed: u64,
    /// The administrator's bearer, for the page as well.
    #[serde(serialize_with = "Token::serialize")]
    pub(crate) admin_token: Token,
    pub(crate) created: UnixTime,
}

impl Header {
    /// A header with seeds and a token that nobody can guess.
    pub(crate) fn new(dialect: Dialect, created: UnixTime) -> Self {
        Self {
            format: FORMAT,
            model: env!("CARGO_PKG_VERSION").to_owned(),
            dialect,
            seed: random(),
            credential_seed: random(),
            admin_token: Token::new(&format!("dev-{:016x}{:016x}", random(), random())).expect("it is visible ASCII"),
            created,
        }
    }

    /// The configuration of the model.
    pub(crate) fn config(&self) -> Config {
        Config::new(self.dialect)
            .seed(self.seed)
            .credential_seed(self.credential_seed)
            .admin_token(self.admin_token.clone())
            .memory_plugin(true)
            // Without one no paused workspace could be resumed.
            .provisioner(true)
    }

    pub(crate) fn line(&self) -> String {
        format!("{}\n", serde_json::to_string(self).expect("a header is text and numbers"))
    }

    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let header: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if header.format > FORMAT {
            return Err(format!("its format is {}, and this version reads up to {FORMAT}", header.format));
        }
        Ok(header)
    }
}

impl fmt::Debug for Header {
    /// Leaves out what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("format", &self.format).field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

fn random() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}
