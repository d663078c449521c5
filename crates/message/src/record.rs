//! A borrowed view of one message.

use crate::batch::{Store, Variables};
use crate::field::FieldEntry;
use crate::{Field, NameId, Span, Uuid};

/// What `Severity` reads as when nobody set it.
pub const DEFAULT_SEVERITY: i32 = 7;

/// One message as it lies in a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecordEntry {
    pub(crate) timestamp: i64,
    pub(crate) payload: Span,
    pub(crate) wire: Span,
    pub(crate) fields_start: u32,
    pub(crate) fields_end: u32,
    /// Place in `Store::headers` plus one; 0: the record sets none of them.
    pub(crate) headers: u32,
    pub(crate) severity: i32,
    pub(crate) pid: i32,
    /// What the record sets itself.
    pub(crate) own: Variables,
    /// The envelope does not apply: what the record does not set is not set.
    pub(crate) detached: bool,
    /// How often the message went through a filter.
    pub(crate) loops: u8,
}

/// Text headers that a record sets itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Headers {
    pub(crate) uuid: Span,
    pub(crate) message_type: Span,
    pub(crate) logger: Span,
    pub(crate) hostname: Span,
    pub(crate) env_version: Span,
    pub(crate) signer: Span,
}

/// A message, borrowed from its batch; reading it allocates nothing.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    store: &'a Store,
    entry: &'a RecordEntry,
    index: u32,
}

impl<'a> Record<'a> {
    pub(crate) fn new(store: &'a Store, entry: &'a RecordEntry, index: usize) -> Self {
        Self { store, entry, index: index as u32 }
    }

    /// Its place in the batch.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// True if the variable is set, by the record or by its envelope. Uuid and Timestamp of a record that was
    /// not decoded from a complete message are always set.
    #[must_use]
    pub fn is_set(&self, variable: Variables) -> bool {
        self.entry.own.contains(variable)
            || !self.entry.detached && self.store.envelope_sets().contains(variable)
    }

    /// `Uuid`: the record's own, else one derived stably. `None` if the record came as a complete message
    /// without one or with one that is not 16 bytes long.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        if self.entry.own.contains(Variables::UUID) {
            return self.uuid_bytes().try_into().ok().map(Uuid);
        }
        (!self.entry.detached).then(|| self.store.derived_id(self.index))
    }

    /// The bytes that the record itself set as `Uuid`, whatever their length.
    #[must_use]
    pub fn uuid_bytes(&self) -> &'a [u8] {
        self.own_header(Variables::UUID, |headers| headers.uuid).unwrap_or(&[])
    }

    /// `Timestamp`: nanoseconds since 1970 in UTC; 0 if not set.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        if self.entry.own.contains(Variables::TIMESTAMP) {
            self.entry.timestamp
        } else if self.entry.detached {
            0
        } else {
            self.store.timestamp
        }
    }

    /// `Type`; empty if not set.
    #[must_use]
    pub fn message_type(&self) -> &'a [u8] {
        self.header(
            Variables::TYPE,
            |headers| headers.message_type,
            &self.store.envelope.message_type,
        )
    }

    /// `Logger`; empty if not set.
    #[must_use]
    pub fn logger(&self) -> &'a [u8] {
        self.header(Variables::LOGGER, |headers| headers.logger, &self.store.envelope.logger)
    }

    /// `Hostname`; empty if not set.
    #[must_use]
    pub fn hostname(&self) -> &'a [u8] {
        self.header(Variables::HOSTNAME, |headers| headers.hostname, &self.store.envelope.hostname)
    }

    /// `EnvVersion`; empty if not set.
    #[must_use]
    pub fn env_version(&self) -> &'a [u8] {
        let common = &self.store.envelope.env_version;
        self.header(Variables::ENV_VERSION, |headers| headers.env_version, common)
    }

    /// `Severity`: syslog's, not range-checked; [`DEFAULT_SEVERITY`] if not set.
    #[must_use]
    pub fn severity(&self) -> i32 {
        if self.entry.own.contains(Variables::SEVERITY) {
            return self.entry.severity;
        }
        let common = if self.entry.detached { None } else { self.store.envelope.severity };
        common.unwrap_or(DEFAULT_SEVERITY)
    }

    /// `Pid`; 0 if not set.
    #[must_use]
    pub fn pid(&self) -> i32 {
        if self.entry.own.contains(Variables::PID) {
            return self.entry.pid;
        }
        let common = if self.entry.detached { None } else { self.store.envelope.pid };
        common.unwrap_or(0)
    }

    /// `Payload`; empty if not set.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.store.bytes(self.entry.payload)
    }

    /// The encoded protobuf message that the record was decoded from, if nothing changed it since.
    #[must_use]
    pub fn wire(&self) -> Option<&'a [u8]> {
        self.entry.own.contains(Variables::WIRE).then(|| self.store.bytes(self.entry.wire))
    }

    /// Name of the signer whose signature was verified; empty if there was none.
    #[must_use]
    pub fn signer(&self) -> &'a [u8] {
        self.own_header(Variables::SIGNER, |headers| headers.signer).unwrap_or(&[])
    }

    /// How often the message went through a filter; 0 for messages of inputs.
    #[must_use]
    pub fn loops(&self) -> u8 {
        self.entry.loops
    }

    /// Section name of the input or filter that made it.
    #[must_use]
    pub fn source(&self) -> &'a str {
        &self.store.envelope.source
    }

    /// All fields in order; names may repeat.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + use<'a> {
        let store = self.store;
        self.entries().iter().map(move |entry| Field::new(store, entry))
    }

    /// Number of fields.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.entries().len()
    }

    /// The first field with this name.
    #[must_use]
    pub fn field(&self, name: NameId) -> Option<Field<'a>> {
        self.nth_field(name, 0)
    }

    /// Field number `nth` (from 0) of those with this name.
    #[must_use]
    pub fn nth_field(&self, name: NameId, nth: usize) -> Option<Field<'a>> {
        let mut named = self.entries().iter().filter(|entry| entry.name == name);
        named.nth(nth).map(|entry| Field::new(self.store, entry))
    }

    /// The first field with this name, found by its bytes; slower than by id.
    #[must_use]
    pub fn field_named(&self, name: &[u8]) -> Option<Field<'a>> {
        self.fields().find(|field| field.name() == name)
    }

    fn entries(&self) -> &'a [FieldEntry] {
        let range = self.entry.fields_start as usize..self.entry.fields_end as usize;
        self.store.fields.get(range).unwrap_or(&[])
    }

    fn own_header(&self, variable: Variables, pick: fn(&Headers) -> Span) -> Option<&'a [u8]> {
        if !self.entry.own.contains(variable) {
            return None;
        }
        let headers = self.store.headers.get((self.entry.headers as usize).checked_sub(1)?)?;
        Some(self.store.bytes(pick(headers)))
    }

    fn header(
        &self,
        variable: Variables,
        pick: fn(&Headers) -> Span,
        common: &'a Option<Box<[u8]>>,
    ) -> &'a [u8] {
        match self.own_header(variable, pick) {
            Some(own) => own,
            None if self.entry.detached => &[],
            None => common.as_deref().unwrap_or(&[]),
        }
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy;
        formatter
            .debug_struct("Record")
            .field("type", &text(self.message_type()))
            .field("logger", &text(self.logger()))
            .field("timestamp", &self.timestamp())
            .field("severity", &self.severity())
            .field("hostname", &text(self.hostname()))
            .field("payload", &text(self.payload()))
            .field("fields", &self.fields().collect::<Vec<_>>())
            .finish()
    }
}
