//! Decoder sections by name, for inputs and for decoders that contain others.

use std::collections::BTreeMap;
use std::sync::Arc;

use heka_plugin::{Decoder, MakeDecoder, Prepared, StartContext, StartError};

/// All decoder sections.
#[derive(Default)]
pub(crate) struct Decoders {
    pub(crate) sections: BTreeMap<String, Arc<dyn Prepared<dyn Decoder>>>,
}

impl MakeDecoder for Decoders {
    fn make_decoder(
        &self,
        name: &str,
        context: &StartContext,
    ) -> Result<Box<dyn Decoder>, StartError> {
        match self.sections.get(name) {
            Some(prepared) => prepared.start(context),
            None => Err(StartError::new(format!("there is no decoder section '{name}'"))),
        }
    }
}
