//! The plugins of a platform: their files and manifests, the lists, the sources, and the archives (contract section 15;
//! April 9 and 14).

mod archive;
mod integrity;
mod manifest;
mod registry;
mod serial;
mod source;
mod tree;
mod yaml;

pub(crate) use archive::pack;
pub(crate) use registry::{Fetched, Plugins};
pub use source::SourceRefused;
pub(crate) use source::{is_plugin_name, schemes};
pub use tree::{Entry, PluginTree};
