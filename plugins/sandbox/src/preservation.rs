//! Files of preserved data, where Heka has them.

use std::path::PathBuf;
use std::sync::Arc;

use heka_plugin::{Durability, StartContext, Storage};
use heka_sandbox::Kind;

/// Directory below `base_dir`.
const DIRECTORY: &str = "sandbox_preservation";

/// The file of one plugin's data.
#[derive(Debug, Clone)]
pub(crate) struct PreservedFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
}

impl PreservedFile {
    pub(crate) fn new(kind: Kind, context: &StartContext) -> Self {
        let stem = match kind {
            // Decoders and encoders are called as they are.
            Kind::Decoder | Kind::Encoder => context.name.replace('/', "_"),
            Kind::Filter | Kind::Input | Kind::Output => plain_name(&context.name),
        };
        let path = context.in_base_dir(DIRECTORY).join(format!("{stem}.data"));
        Self { storage: Arc::clone(&context.storage), path }
    }

    /// What was preserved; `None` if nothing was.
    pub(crate) fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        self.storage.read(&self.path)
    }

    /// Replaces it whole, so that a crash leaves the old or the new data.
    pub(crate) fn write(&self, data: &[u8]) -> std::io::Result<()> {
        self.storage.replace(&self.path, data, Durability::PowerCut)
    }
}

/// A name with everything but letters, digits and `_` replaced, as Heka names files of filters.
pub(crate) fn plain_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() || it == '_' { it } else { '_' }).collect()
}
