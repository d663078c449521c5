//! The world outside as a running script reaches it.

use heka_message::{Record, RecordBuilder};

use crate::settings::ConfigValue;

/// What a script makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected<'a> {
    /// `inject_payload`: a text with its type (`txt` where the script gives none) and name.
    Payload {
        /// What the text is, as a file extension.
        payload_type: &'a [u8],
        /// Its name, empty where the script gives none.
        name: &'a [u8],
        /// The text, never empty.
        text: &'a [u8],
    },
    /// `inject_message` with a table: a message, encoded as protobuf; complete.
    Message(&'a [u8]),
    /// `inject_message` with a string: as the script has it, which may be anything.
    Encoded(&'a [u8]),
}

/// Why something was not injected; the script gets an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The string is no message.
    Undecodable,
    /// More messages than a call may make.
    Count,
    /// The message that caused it went through too many filters.
    Loops,
    /// It would come back to the filter that made it.
    Circular,
    /// The daemon is stopping.
    Aborted,
    /// It could not be stored.
    Unknown,
}

impl Refusal {
    /// As Heka says it, after the name of the function.
    pub fn text(self) -> &'static str {
        match self {
            Self::Undecodable => " protobuf unmarshal failed",
            Self::Count => " exceeded InjectMessage count",
            Self::Loops => " exceeded MaxMsgLoops",
            Self::Circular => {
                " creates a circular reference (matches this plugin's message_matcher)"
            }
            Self::Aborted => " aborted",
            Self::Unknown => " unknown error",
        }
    }
}

/// Why a message was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EditError(pub String);

/// A change of a message that `write_message` asks for; made on the message itself.
pub type Edit<'a> = &'a mut dyn FnMut(&mut RecordBuilder<'_>) -> Result<(), EditError>;

/// What a script may do to the world while one call of it runs.
pub trait Exchange {
    /// Takes what the script makes.
    ///
    /// # Errors
    /// Why not.
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal>;

    /// Takes the place that an input's script names with a message, to be given to it after a restart once the message is
    /// safe.
    fn place(&mut self, place: ConfigValue) {
        let _place = place;
    }

    /// An output's script has dealt with messages that it kept: all up to this one, or all of them; so many of them could
    /// not be delivered.
    fn settled(&mut self, sequence: Option<f64>, failures: u64) {
        let _unused = (sequence, failures);
    }

    /// Shows the current message, if it is one that can change; else does nothing.
    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        let _look = look;
    }

    /// Changes the current message.
    ///
    /// # Errors
    /// If there is none that can change, or the change is refused.
    fn write(&mut self, edit: Edit<'_>) -> Result<(), EditError> {
        let _edit = edit;
        Err(EditError("there is no message to write".to_owned()))
    }
}
