//! The generator of ids, tokens and secrets, which has a seed.

use std::time::Duration;

use molecule_proto::{ActivityId, DelegationId, InboundSecret, QueueId, Token, TokenId, WorkspaceId};

use crate::platform::Platform;

/// The platform's only source of randomness.
#[derive(Clone)]
pub(crate) struct Random {
    ids: fastrand::Rng,
    /// The generator of tokens and secrets; `None` if ids and they share one.
    credentials: Option<fastrand::Rng>,
    /// The number of tokens and secrets so far.
    minted: usize,
}

/// The tokens and secrets that a platform with this [`credential_seed`](crate::Config::credential_seed) mints, in their
/// order: 43 characters each.
///
/// ```
/// use molecule_platform::{Config, Dialect, Now, Platform, credentials};
///
/// let mut platform = Platform::new(Config::new(Dialect::Current).credential_seed(7));
/// let (_id, token) = platform.create_workspace(Now::default(), "mine");
/// assert_eq!(platform.credentials_minted(), 1);
/// assert_eq!(credentials(7).next().as_deref(), Some(token.expose()));
/// ```
pub fn credentials(credential_seed: u64) -> impl Iterator<Item = String> {
    let mut random = Random::new(0, Some(credential_seed));
    std::iter::repeat_with(move || random.text())
}

impl Platform {
    /// The number of tokens and secrets that the platform has minted, those that were revoked meanwhile included.
    pub fn credentials_minted(&self) -> usize {
        self.random.minted
    }
}

impl Random {
    pub(crate) fn new(seed: u64, credential_seed: Option<u64>) -> Self {
        let credentials = credential_seed.map(fastrand::Rng::with_seed);
        Self { ids: fastrand::Rng::with_seed(seed), credentials, minted: 0 }
    }

    /// A random duration between zero and `most`.
    pub(crate) fn within(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.ids.f64())
    }

    pub(crate) fn workspace_id(&mut self) -> WorkspaceId {
        WorkspaceId::from_random(self.bytes())
    }

    pub(crate) fn token_id(&mut self) -> TokenId {
        TokenId::from_random(self.bytes())
    }

    pub(crate) fn activity_id(&mut self) -> ActivityId {
        ActivityId::from_random(self.bytes())
    }

    pub(crate) fn queue_id(&mut self) -> QueueId {
        QueueId::from_random(self.bytes())
    }

    pub(crate) fn delegation_id(&mut self) -> DelegationId {
        DelegationId::from_random(self.bytes())
    }

    /// A UUID for values without an id type of their own.
    pub(crate) fn uuid(&mut self) -> String {
        self.workspace_id().to_string()
    }

    pub(crate) fn token(&mut self) -> Token {
        Token::new(&self.text()).expect("base64url is visible ASCII")
    }

    pub(crate) fn inbound_secret(&mut self) -> InboundSecret {
        InboundSecret::new(&self.text()).expect("base64url of 32 bytes is not blank")
    }

    /// 32 bytes in base64url without padding: 43 characters.
    fn text(&mut self) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.minted += 1;
        let mut bytes = [0; 32];
        self.credentials.as_mut().unwrap_or(&mut self.ids).fill(&mut bytes);
        let mut text = String::with_capacity(43);
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for place in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
            }
        }
        text
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ids.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_43_characters_of_base64url() {
        let mut random = Random::new(7, None);
        let token = random.token();
        assert_eq!(token.expose().len(), 43);
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_ne!(random.token(), token);
        assert_eq!(Random::new(7, None).token(), token);
    }

    #[test]
    fn a_seed_of_credentials_changes_credentials_alone() {
        let ids = |credentials| {
            let mut random = Random::new(7, Some(credentials));
            (random.uuid(), random.token(), random.uuid())
        };
        let (one, other) = (ids(1), ids(2));
        assert_eq!((&one.0, &one.2), (&other.0, &other.2));
        assert_ne!(one.1, other.1);
    }
}
