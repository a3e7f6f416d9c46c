//! The message ids of replies: the same for every send of a reply, by this process or a later one, and unknown to everybody
//! else.
//!
//! The platform keeps the first message of a (target, message id) and drops the others without a word (contract section
//! 9.3). So a reply that is sent again can never become a second one. The ids are made with a secret key, since who could
//! foresee one could silence the reply with a message of that id.

use std::fmt;

use fastrand::Rng;
use molecule_proto::{ActivityId, Token, WorkspaceId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::session::key::uuid_text;

/// The length of the key in bytes.
const KEY_BYTES: usize = 32;

/// Makes the ids of one workspace's replies.
///
/// `Debug` shows no key.
pub(crate) struct ReplyIds {
    key: Zeroizing<[u8; KEY_BYTES]>,
    workspace: WorkspaceId,
}

impl ReplyIds {
    /// Takes the key from the content of its slot; `None` if that is no key.
    pub(crate) fn stored(content: &[u8], workspace: &WorkspaceId) -> Option<Self> {
        let key: [u8; KEY_BYTES] = content.try_into().ok()?;
        Some(Self { key: Zeroizing::new(key), workspace: workspace.clone() })
    }

    /// Makes a new key. The bearer is a part of what it is made from: the generator is seeded with 64 bits, and others see
    /// numbers from it, as ids of messages.
    pub(crate) fn new(rng: &mut Rng, bearer: Option<&Token>, workspace: &WorkspaceId) -> Self {
        let mut random = Zeroizing::new([0; KEY_BYTES]);
        rng.fill(random.as_mut_slice());
        let mut digest = Sha256::new_with_prefix("molecule reply key\0");
        digest.update(random.as_slice());
        digest.update(bearer.map(Token::expose).unwrap_or_default());
        Self { key: Zeroizing::new(digest.finalize().into()), workspace: workspace.clone() }
    }

    /// The key, as the content of its slot.
    pub(crate) fn content(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.key.to_vec())
    }

    /// Returns the message id of the reply with this number to the message of this row: a UUID of version 8.
    pub(crate) fn id(&self, row: &ActivityId, number: u32) -> String {
        // Ids have one length, so that no two of these texts are equal.
        let text = [self.workspace.as_str().as_bytes(), row.as_str().as_bytes(), &number.to_be_bytes()].concat();
        let code = hmac_sha256(self.key.as_slice(), &text);
        let mut bytes: [u8; 16] = *code.first_chunk().expect("a SHA-256 has 32 bytes");
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        uuid_text(u128::from_be_bytes(bytes))
    }
}

impl fmt::Debug for ReplyIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyIds({})", self.workspace)
    }
}

/// The length of SHA-256's blocks in bytes.
const BLOCK: usize = 64;

/// HMAC (RFC 2104) with SHA-256, under a key that is no longer than a block.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    debug_assert!(key.len() <= BLOCK, "a longer key has to be hashed first");
    let padded = |pad: u8| {
        let mut block = Zeroizing::new([pad; BLOCK]);
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new_with_prefix(padded(0x36).as_slice()).chain_update(text).finalize();
    Sha256::new_with_prefix(padded(0x5c).as_slice()).chain_update(inner).finalize().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const OWN: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
    const ROW: &str = "16fbce34-b9f3-4274-9310-2d6cf9256ac5";

    fn ids(key: [u8; 32], workspace: &str) -> ReplyIds {
        ReplyIds::stored(&key, &workspace.parse().unwrap()).unwrap()
    }

    /// The test cases 1 to 4 of RFC 4231, section 4; the later ones have keys of more than a block, or cut the code.
    #[test]
    fn the_code_is_that_of_rfc_4231() {
        let cases: [(Vec<u8>, Vec<u8>, &str); 4] = [
            (vec![0x0b; 20], b"Hi There".to_vec(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (vec![0xaa; 20], vec![0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            ((1..=25).collect(), vec![0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        ];
        for (key, text, code) in cases {
            assert_eq!(hex(&hmac_sha256(&key, &text)), code);
        }
    }

    #[test]
    fn an_id_is_the_same_for_ever_and_a_uuid_of_version_8() {
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let row = ROW.parse().unwrap();
        // Computed with Python's `hmac`; a version that makes other ids would send a reply twice.
        assert_eq!(ids(key, OWN).id(&row, 0), "a9c4ebb7-3efa-86fd-b15c-0751557b0325");
        assert_eq!(ids(key, OWN).id(&row, 1), "a88d11be-827f-857b-bd45-d8d960597dd0");
    }

    #[test]
    fn each_key_workspace_row_and_number_has_ids_of_its_own() {
        let [row, other]: [ActivityId; 2] = [ROW, OWN].map(|id| id.parse().unwrap());
        let mut made =
            vec![ids([1; 32], OWN).id(&row, 0), ids([2; 32], OWN).id(&row, 0), ids([1; 32], ROW).id(&row, 0)];
        made.extend([ids([1; 32], OWN).id(&other, 0), ids([1; 32], OWN).id(&row, 1), ids([1; 32], OWN).id(&row, 256)]);
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 6);
    }

    #[test]
    fn a_key_is_made_once_and_is_not_the_generators_numbers() {
        let workspace: WorkspaceId = OWN.parse().unwrap();
        let [one, two] = ["bearer-one", "bearer-two"].map(|token| Token::new(token).unwrap());
        let content = |bearer: Option<&Token>| ReplyIds::new(&mut Rng::with_seed(7), bearer, &workspace).content();
        assert_eq!(content(Some(&one)), content(Some(&one)), "one seed is one run");
        assert_ne!(content(Some(&one)), content(Some(&two)));
        let mut random = vec![0; 32];
        Rng::with_seed(7).fill(&mut random);
        assert_ne!(*content(None), random);
        let ids = ReplyIds::new(&mut Rng::with_seed(7), Some(&one), &workspace);
        let again = ReplyIds::stored(&ids.content(), &workspace).unwrap();
        assert_eq!(again.id(&ROW.parse().unwrap(), 3), ids.id(&ROW.parse().unwrap(), 3));
        for content in [&b""[..], &[0; 31], &[0; 33]] {
            assert!(ReplyIds::stored(content, &workspace).is_none());
        }
        assert!(!format!("{ids:?}").contains(&hex(&ids.content())[..8]));
    }
}
