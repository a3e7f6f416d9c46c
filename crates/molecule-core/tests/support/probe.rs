//! Endpoints for tests, one of each kind.

use bytes::Bytes;
use http::{Method, Response};
use molecule_core::Result;
use molecule_core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat, json};
use molecule_core::proto::WorkspaceId;

macro_rules! probe {
    ($(#[$doc:meta])* $name:ident, $repeat:ident, relayed: $relayed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name;

        impl Endpoint for $name {
            type Answer = serde_json::Value;
            const OPERATION: &'static str = "probe";
            const REPEAT: Repeat = Repeat::$repeat;
            const SHAPE: &'static str = "JSON";
            const RELAYED: bool = $relayed;

            fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
                Ok(Draft::new(Method::POST, "/probe", Auth::Bearer))
            }

            fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
                json(answer)
            }
        }
    };
}

probe!(
    /// May always be sent again.
    Harmless, Always, relayed: false
);
probe!(
    /// May be sent again only if it was not sent.
    Costly, OnlyUnsent, relayed: false
);
probe!(
    /// Its status may be a peer's.
    Relayed, OnlyUnsent, relayed: true
);

/// `GET` of any path, with the bearer.
#[derive(Debug, Clone)]
pub struct At(pub String);

impl Endpoint for At {
    type Answer = ();
    const OPERATION: &'static str = "probe";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "anything";

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, self.0.clone(), Auth::Bearer))
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<(), Mismatch> {
        Ok(())
    }
}
