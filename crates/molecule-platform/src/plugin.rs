//! Plugins that the platform was given: what they are, what of them is listed, how they are fetched and packed (contract
//! section 15; April 9 and 14).

mod archive;
mod integrity;
mod manifest;
mod registry;
mod source;
mod tree;
mod yaml;

pub(crate) use archive::pack;
pub(crate) use registry::{Fetched, Plugins};
pub use source::SourceRefused;
pub(crate) use source::{is_plugin_name, schemes};
pub use tree::{Entry, PluginTree};
