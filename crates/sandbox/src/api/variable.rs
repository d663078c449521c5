//! Names of a message's variables.

/// A variable of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable<'a> {
    Uuid,
    Timestamp,
    Type,
    Logger,
    Severity,
    Payload,
    EnvVersion,
    Pid,
    Hostname,
    /// The message as it is encoded.
    Raw,
    /// The same in a frame, which Heka's successor has.
    Framed,
    /// Bytes of the encoded message, which Heka's successor has.
    Size,
    /// A field.
    Field(&'a [u8]),
}

impl<'a> Variable<'a> {
    /// The variable of a name.
    pub(super) fn parse(name: &'a [u8]) -> Option<Self> {
        if let Some(field) = name.strip_prefix(b"Fields[") {
            return field.strip_suffix(b"]").map(Self::Field);
        }
        Some(match name {
            b"Uuid" => Self::Uuid,
            b"Timestamp" => Self::Timestamp,
            b"Type" => Self::Type,
            b"Logger" => Self::Logger,
            b"Severity" => Self::Severity,
            b"Payload" => Self::Payload,
            b"EnvVersion" => Self::EnvVersion,
            b"Pid" => Self::Pid,
            b"Hostname" => Self::Hostname,
            b"raw" => Self::Raw,
            b"framed" => Self::Framed,
            b"size" => Self::Size,
            _ => return None,
        })
    }
}
