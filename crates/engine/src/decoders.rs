//! Decoder sections by name, for inputs and for decoders that contain others.

use std::collections::BTreeMap;

use heka_plugin::{Decoder, MakeDecoder, StartContext, StartError};

use crate::plan::Part;

/// All decoder sections.
#[derive(Default)]
pub(crate) struct Decoders {
    pub(crate) sections: BTreeMap<String, Part<dyn Decoder>>,
}

impl MakeDecoder for Decoders {
    fn make_decoder(
        &self,
        name: &str,
        context: &StartContext,
    ) -> Result<Box<dyn Decoder>, StartError> {
        match self.sections.get(name) {
            Some(part) => part.prepared.start(context),
            None => Err(StartError::new(format!("there is no decoder section '{name}'"))),
        }
    }
}
