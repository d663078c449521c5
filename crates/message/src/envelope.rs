//! What all messages of a source have in common.

/// Header values that a message has unless it sets its own; one per stream, connection or socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Section name of the input or filter that made the messages.
    pub source: Box<str>,
    /// `Type`.
    pub message_type: Option<Box<[u8]>>,
    /// `Logger`.
    pub logger: Option<Box<[u8]>>,
    /// `Hostname`.
    pub hostname: Option<Box<[u8]>>,
    /// `EnvVersion`.
    pub env_version: Option<Box<[u8]>>,
    /// `Severity`.
    pub severity: Option<i32>,
    /// `Pid`.
    pub pid: Option<i32>,
}

impl Envelope {
    /// An envelope that sets only the logger, as Heka does for a record without decoder.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), logger: Some(source.as_bytes().into()), ..Self::default() }
    }

    /// Sets `Type`.
    #[must_use]
    pub fn message_type(mut self, value: &str) -> Self {
        self.message_type = Some(value.as_bytes().into());
        self
    }

    /// Sets `Logger`.
    #[must_use]
    pub fn logger(mut self, value: &[u8]) -> Self {
        self.logger = Some(value.into());
        self
    }

    /// Sets `Hostname`.
    #[must_use]
    pub fn hostname(mut self, value: &str) -> Self {
        self.hostname = Some(value.as_bytes().into());
        self
    }

    /// Sets `Pid`.
    #[must_use]
    pub fn pid(mut self, value: i32) -> Self {
        self.pid = Some(value);
        self
    }
}
