//! The immutable batch.

use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use crate::field::FieldEntry;
use crate::record::{Headers, RecordEntry};
use crate::{Buffer, Envelope, NameId, Names, Record, Span, Uuid};

/// A set of message variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variables(u16);

impl Variables {
    /// No variable.
    pub const NONE: Self = Self(0);
    /// `Uuid`.
    pub const UUID: Self = Self(1);
    /// `Timestamp`.
    pub const TIMESTAMP: Self = Self(1 << 1);
    /// `Type`.
    pub const TYPE: Self = Self(1 << 2);
    /// `Logger`.
    pub const LOGGER: Self = Self(1 << 3);
    /// `Severity`.
    pub const SEVERITY: Self = Self(1 << 4);
    /// `Payload`.
    pub const PAYLOAD: Self = Self(1 << 5);
    /// `EnvVersion`.
    pub const ENV_VERSION: Self = Self(1 << 6);
    /// `Pid`.
    pub const PID: Self = Self(1 << 7);
    /// `Hostname`.
    pub const HOSTNAME: Self = Self(1 << 8);
    /// Any dynamic field.
    pub const FIELDS: Self = Self(1 << 9);
    /// The verified signer; not a matcher variable.
    pub const SIGNER: Self = Self(1 << 10);
    /// The untouched encoded message; not a matcher variable.
    pub const WIRE: Self = Self(1 << 11);

    /// Every variable there is.
    const ALL: Self = Self((1 << 12) - 1);

    pub(crate) fn to_bits(self) -> u16 {
        self.0
    }

    /// `None` if a bit stands for no variable.
    pub(crate) fn from_bits(bits: u16) -> Option<Self> {
        Self::ALL.contains(Self(bits)).then_some(Self(bits))
    }

    /// True if all variables of `other` are in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if any variable of `other` is in this set.
    #[must_use]
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set without the variables of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Variables {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Variables {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The parts of a batch, being built or finished.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) raw: Buffer,
    pub(crate) made: Vec<u8>,
    pub(crate) names: Arc<Names>,
    pub(crate) local_names: Vec<Span>,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) timestamp: i64,
    pub(crate) number: u64,
    /// The key that ids derive from; that of the process which built the batch.
    pub(crate) id_key: [u64; 2],
    /// The index that each record's id derives from; empty: its place in the batch.
    pub(crate) id_indexes: Vec<u32>,
    pub(crate) records: Vec<RecordEntry>,
    pub(crate) fields: Vec<FieldEntry>,
    pub(crate) values: Vec<u64>,
    pub(crate) headers: Vec<Headers>,
    /// Bit per global name: some record may have a field of that name.
    pub(crate) used_names: Vec<u64>,
    /// Variables that at least one record sets itself.
    pub(crate) varying: Variables,
    /// At least one record does not use the envelope.
    pub(crate) any_detached: bool,
}

impl Store {
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let part: &[u8] = if span.is_made() { &self.made } else { &self.raw };
        part.get(span.start()..span.end()).unwrap_or(&[])
    }

    pub(crate) fn name(&self, id: NameId) -> &[u8] {
        if id.is_global() {
            return self.names.name(id);
        }
        self.local_names.get(id.index()).map_or(&[], |&span| self.bytes(span))
    }

    /// The id of record `index` if it sets none itself.
    pub(crate) fn derived_id(&self, index: u32) -> Uuid {
        let index = self.id_indexes.get(index as usize).copied().unwrap_or(index);
        Uuid::derive(self.id_key, self.number, index)
    }

    pub(crate) fn envelope_sets(&self) -> Variables {
        let envelope = &self.envelope;
        let mut set = Variables::UUID | Variables::TIMESTAMP;
        for (present, variable) in [
            (envelope.message_type.is_some(), Variables::TYPE),
            (envelope.logger.is_some(), Variables::LOGGER),
            (envelope.hostname.is_some(), Variables::HOSTNAME),
            (envelope.env_version.is_some(), Variables::ENV_VERSION),
            (envelope.severity.is_some(), Variables::SEVERITY),
            (envelope.pid.is_some(), Variables::PID),
        ] {
            if present {
                set |= variable;
            }
        }
        set
    }

    /// Bytes of memory without the buffer that the input read.
    pub(crate) fn made_bytes(&self) -> usize {
        self.made.capacity()
            + self.records.capacity() * size_of::<RecordEntry>()
            + self.fields.capacity() * size_of::<FieldEntry>()
            + self.values.capacity() * size_of::<u64>()
            + self.headers.capacity() * size_of::<Headers>()
            + self.local_names.capacity() * size_of::<Span>()
            + self.id_indexes.capacity() * size_of::<u32>()
    }
}

/// What a batch on its way takes beside itself: its place in queues, and who answers for it.
const BESIDE_BYTES: usize = 512;

/// Messages that were read, decoded or made together: immutable, shared by `Arc`.
#[derive(Debug)]
pub struct Batch {
    pub(crate) store: Store,
}

impl Batch {
    pub(crate) fn new(store: Store) -> Self {
        debug_assert!(store.records.iter().all(|entry| {
            entry.fields_start <= entry.fields_end
                && entry.fields_end as usize <= store.fields.len()
        }));
        Self { store }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.records.len()
    }

    /// True if it holds no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.records.is_empty()
    }

    /// Message number `index`.
    #[must_use]
    pub fn record(&self, index: usize) -> Option<Record<'_>> {
        self.store.records.get(index).map(|entry| Record::new(&self.store, entry, index))
    }

    /// All messages in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let entries = self.store.records.iter().enumerate();
        entries.map(|(index, entry)| Record::new(&self.store, entry, index))
    }

    /// What the messages have in common.
    #[must_use]
    pub fn envelope(&self) -> &Arc<Envelope> {
        &self.store.envelope
    }

    /// When the batch was read: `Timestamp` of the messages that set none, in ns since 1970.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.store.timestamp
    }

    /// Number of the batch in the process that built it; the ids of its messages derive from it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.store.number
    }

    /// Variables that have the same value in all messages of the batch, taken from its envelope.
    #[must_use]
    pub fn uniform(&self) -> Variables {
        let all = Variables::TYPE
            | Variables::LOGGER
            | Variables::HOSTNAME
            | Variables::ENV_VERSION
            | Variables::SEVERITY
            | Variables::PID
            | Variables::TIMESTAMP
            | Variables::PAYLOAD
            | Variables::FIELDS
            | Variables::SIGNER;
        if self.store.any_detached { Variables::NONE } else { all.without(self.store.varying) }
    }

    /// False if no message of the batch has a field with this global name.
    #[must_use]
    pub fn may_have_field(&self, name: NameId) -> bool {
        if !name.is_global() {
            return true;
        }
        let word = self.store.used_names.get(name.index() / 64);
        word.is_some_and(|word| word >> (name.index() % 64) & 1 == 1)
    }

    /// The id that `name` has in this batch; `None` if no message has such a field.
    #[must_use]
    pub fn find_name(&self, name: &[u8]) -> Option<NameId> {
        if let Some(id) = self.store.names.find(name) {
            return self.may_have_field(id).then_some(id);
        }
        let mut locals = self.store.local_names.iter();
        locals.position(|&span| self.store.bytes(span) == name).map(NameId::local)
    }

    /// Number of global names known when the batch was built; ids from there on cannot occur in it.
    #[must_use]
    pub fn global_names(&self) -> usize {
        self.store.names.len()
    }

    /// The name of an id that occurs in this batch.
    #[must_use]
    pub fn name(&self, id: NameId) -> &[u8] {
        self.store.name(id)
    }

    /// Bytes of memory that the batch holds, its input buffer included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store.raw.capacity() + self.store.made_bytes() + size_of::<Self>() + BESIDE_BYTES
    }

    /// Where `part` lies, if it is a part of the bytes that the input read.
    ///
    /// Lets encoders hand out spans of the arena instead of copies.
    #[must_use]
    pub fn raw_offset(&self, part: &[u8]) -> Option<usize> {
        self.store.raw.offset_of(part)
    }

    /// The bytes that the input read.
    #[must_use]
    pub fn raw(&self) -> &Buffer {
        &self.store.raw
    }
}
