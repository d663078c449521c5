//! The only way to a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::batch::{Store, Variables};
use crate::field::FieldEntry;
use crate::names::hash_name;
use crate::record::{Headers, RecordEntry};
use crate::uuid::process_key;
use crate::{Batch, Buffer, BuildError, Envelope, NameId, Names, Record, Span, Value, ValueType};

/// Numbers batches; the ids of messages derive from it.
static NEXT_BATCH: AtomicU64 = AtomicU64::new(1);

/// Builds batches one after another.
///
/// Bytes given to it that lie in the raw buffer are kept as spans; all others are copied once.
#[derive(Debug)]
pub struct BatchBuilder {
    store: Store,
    draft: RecordEntry,
    /// Open addressing over `store.local_names`: place plus one; 0 is free.
    local_index: Vec<u32>,
    local_seed: u64,
    failed: Option<BuildError>,
}

/// What to cut back to when a record is given up.
#[derive(Debug, Clone, Copy)]
struct Mark {
    records: usize,
    fields: usize,
    values: usize,
    headers: usize,
    made: usize,
    local_names: usize,
}

impl BatchBuilder {
    /// A builder for messages of a source; `timestamp` is in ns since 1970.
    #[must_use]
    pub fn new(names: Arc<Names>, envelope: Arc<Envelope>, raw: Buffer, timestamp: i64) -> Self {
        let number = NEXT_BATCH.fetch_add(1, Ordering::Relaxed);
        Self {
            store: Store {
                raw,
                made: Vec::new(),
                names,
                local_names: Vec::new(),
                envelope,
                timestamp,
                number,
                id_key: process_key(),
                id_indexes: Vec::new(),
                records: Vec::new(),
                fields: Vec::new(),
                values: Vec::new(),
                headers: Vec::new(),
                used_names: Vec::new(),
                varying: Variables::NONE,
                any_detached: false,
            },
            draft: RecordEntry::default(),
            local_index: Vec::new(),
            local_seed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            failed: None,
        }
    }

    /// Makes room for as many records, fields and made bytes as a batch like this one usually has.
    pub fn reserve(&mut self, records: usize, fields: usize, made: usize) {
        self.store.records.reserve(records);
        self.store.fields.reserve(fields);
        self.store.made.reserve(made);
    }

    /// Begins a message with the envelope's headers and nothing else; not committed, it never was.
    pub fn record(&mut self) -> RecordBuilder<'_> {
        let mark = self.mark();
        self.begin(0);
        RecordBuilder { builder: self, mark, open: true }
    }

    /// Adds a message that sets only its payload: as [`record`](Self::record), `payload` and `commit`, at a
    /// third of their cost.
    ///
    /// # Errors
    /// If the arena is full.
    pub fn push_payload(&mut self, payload: &[u8]) -> Result<(), BuildError> {
        self.failed = None;
        let payload = self.span_of(payload);
        if let Some(error) = self.failed {
            return Err(error);
        }
        let fields = self.store.fields.len() as u32;
        self.store.records.push(RecordEntry {
            payload,
            fields_start: fields,
            fields_end: fields,
            own: Variables::PAYLOAD,
            ..RecordEntry::default()
        });
        self.store.varying |= Variables::PAYLOAD;
        Ok(())
    }

    /// Number of messages committed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.records.len()
    }

    /// True if no message was committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.records.is_empty()
    }

    /// Number of fields of the committed messages, and bytes made: to size the next builder.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.store.records.len(), self.store.fields.len(), self.store.made.len())
    }

    /// Bytes of memory in use, its input buffer left out.
    #[must_use]
    pub fn made_bytes(&self) -> usize {
        self.store.made_bytes()
    }

    /// The buffer that spans may point into.
    #[must_use]
    pub fn raw(&self) -> &Buffer {
        &self.store.raw
    }

    /// Message number `index` of those committed.
    #[must_use]
    pub fn committed(&self, index: usize) -> Option<Record<'_>> {
        self.store.records.get(index).map(|entry| Record::new(&self.store, entry, index))
    }

    /// The finished batch.
    #[must_use]
    pub fn finish(self) -> Batch {
        Batch::new(self.store)
    }

    /// The id of a field name: the global one, else one that holds in this batch.
    pub fn name_id(&mut self, name: &[u8]) -> NameId {
        if let Some(id) = self.store.names.find(name) {
            return id;
        }
        if self.local_index.len() < 2 * (self.store.local_names.len() + 1) {
            self.grow_local_index();
        }
        let mask = self.local_index.len() - 1;
        let mut at = hash_name(name, self.local_seed) as usize & mask;
        while let Some(place) = self.local_index[at].checked_sub(1) {
            if self.store.bytes(self.store.local_names[place as usize]) == name {
                return NameId::local(place as usize);
            }
            at = (at + 1) & mask;
        }
        let span = self.span_of(name);
        self.store.local_names.push(span);
        self.local_index[at] = self.store.local_names.len() as u32;
        NameId::local(self.store.local_names.len() - 1)
    }

    fn grow_local_index(&mut self) {
        let size = (4 * (self.store.local_names.len() + 1)).next_power_of_two().max(32);
        self.local_index.clear();
        self.local_index.resize(size, 0);
        for (place, &span) in self.store.local_names.iter().enumerate() {
            let mut at = hash_name(self.store.bytes(span), self.local_seed) as usize & (size - 1);
            while self.local_index[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.local_index[at] = place as u32 + 1;
        }
    }

    fn begin(&mut self, loops: u8) {
        let fields_start = self.store.fields.len() as u32;
        self.draft = RecordEntry { fields_start, loops, ..RecordEntry::default() };
        self.failed = None;
    }

    fn mark(&self) -> Mark {
        Mark {
            records: self.store.records.len(),
            fields: self.store.fields.len(),
            values: self.store.values.len(),
            headers: self.store.headers.len(),
            made: self.store.made.len(),
            local_names: self.store.local_names.len(),
        }
    }

    fn rewind(&mut self, mark: Mark) {
        self.store.records.truncate(mark.records);
        self.store.fields.truncate(mark.fields);
        self.store.values.truncate(mark.values);
        self.store.headers.truncate(mark.headers);
        if self.store.local_names.len() == mark.local_names {
            // Otherwise a name that stays interned may lie behind the mark.
            self.store.made.truncate(mark.made);
        }
    }

    fn span_of(&mut self, bytes: &[u8]) -> Span {
        let span = match self.store.raw.offset_of(bytes) {
            Some(offset) => Span::raw(offset, bytes.len()),
            None => {
                let span = Span::made(self.store.made.len(), bytes.len());
                if span.is_some() {
                    self.store.made.extend_from_slice(bytes);
                }
                span
            }
        };
        span.unwrap_or_else(|| {
            self.failed = Some(BuildError::ArenaFull);
            Span::EMPTY
        })
    }

    fn value_bits(&mut self, value: Value<'_>) -> u64 {
        match value {
            Value::Str(bytes) | Value::Bytes(bytes) => self.span_of(bytes).to_bits(),
            Value::Int(number) => number as u64,
            Value::Double(number) => number.to_bits(),
            Value::Bool(flag) => u64::from(flag),
        }
    }

    fn draft_fields(&self) -> &[FieldEntry] {
        &self.store.fields[self.draft.fields_start as usize..]
    }

    fn push_draft(&mut self) -> Result<(), BuildError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.store.fields.len() > self.draft.fields_start as usize {
            self.note_names();
        }
        self.draft.fields_end = self.store.fields.len() as u32;
        self.store.varying |= self.draft.own;
        self.store.any_detached |= self.draft.detached;
        self.store.records.push(self.draft);
        Ok(())
    }

    /// Notes which global names the draft's fields have.
    fn note_names(&mut self) {
        self.store.varying |= Variables::FIELDS;
        let words = self.store.names.len().div_ceil(64);
        if self.store.used_names.len() < words {
            self.store.used_names.resize(words, 0);
        }
        for entry in &self.store.fields[self.draft.fields_start as usize..] {
            if entry.name.is_global()
                && let Some(word) = self.store.used_names.get_mut(entry.name.index() / 64)
            {
                *word |= 1 << (entry.name.index() % 64);
            }
        }
    }
}

/// The message being built.
///
/// Dropped before [`commit`](Self::commit), neither it nor any message that it emitted ever was.
#[derive(Debug)]
pub struct RecordBuilder<'b> {
    builder: &'b mut BatchBuilder,
    mark: Mark,
    open: bool,
}

impl RecordBuilder<'_> {
    /// The message as it stands.
    #[must_use]
    pub fn view(&self) -> DraftView<'_> {
        let mut entry = self.builder.draft;
        entry.fields_end = self.builder.store.fields.len() as u32;
        DraftView { store: &self.builder.store, entry }
    }

    /// The id of a field name, as [`BatchBuilder::name_id`].
    pub fn name_id(&mut self, name: &[u8]) -> NameId {
        self.builder.name_id(name)
    }

    /// The buffer that spans may point into; a clone of it lets a decoder read while it writes.
    #[must_use]
    pub fn raw(&self) -> &Buffer {
        &self.builder.store.raw
    }

    /// Sets `Uuid`; of any length, as the wire format allows.
    pub fn uuid(&mut self, value: &[u8]) -> &mut Self {
        self.header(Variables::UUID, value, |headers| &mut headers.uuid)
    }

    /// Sets `Type`.
    pub fn message_type(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.header(Variables::TYPE, value.as_ref(), |headers| &mut headers.message_type)
    }

    /// Sets `Logger`.
    pub fn logger(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.header(Variables::LOGGER, value.as_ref(), |headers| &mut headers.logger)
    }

    /// Sets `Hostname`.
    pub fn hostname(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.header(Variables::HOSTNAME, value.as_ref(), |headers| &mut headers.hostname)
    }

    /// Sets `EnvVersion`.
    pub fn env_version(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.header(Variables::ENV_VERSION, value.as_ref(), |headers| &mut headers.env_version)
    }

    /// Sets the verified signer's name.
    pub fn signer(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        let wire = self.builder.draft.own.contains(Variables::WIRE);
        self.header(Variables::SIGNER, value.as_ref(), |headers| &mut headers.signer);
        if wire {
            self.builder.draft.own |= Variables::WIRE; // The signer is no part of the message.
        }
        self
    }

    /// Sets `Payload`.
    pub fn payload(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.builder.draft.payload = self.builder.span_of(value.as_ref());
        self.own(Variables::PAYLOAD)
    }

    /// Sets `Timestamp`, ns since 1970.
    pub fn timestamp(&mut self, ns: i64) -> &mut Self {
        self.builder.draft.timestamp = ns;
        self.own(Variables::TIMESTAMP)
    }

    /// Sets `Severity`.
    pub fn severity(&mut self, value: i32) -> &mut Self {
        self.builder.draft.severity = value;
        self.own(Variables::SEVERITY)
    }

    /// Sets `Pid`.
    pub fn pid(&mut self, value: i32) -> &mut Self {
        self.builder.draft.pid = value;
        self.own(Variables::PID)
    }

    /// Sets how often the message went through a filter.
    pub fn loops(&mut self, loops: u8) -> &mut Self {
        self.builder.draft.loops = loops;
        self
    }

    /// Makes the record a message of its own: nothing set, the envelope no longer applies. Loop count and
    /// verified signer stay.
    pub fn detach(&mut self) -> &mut Self {
        let signer = self.builder.draft.own.contains(Variables::SIGNER);
        let (loops, headers) = (self.builder.draft.loops, self.builder.draft.headers);
        self.clear_fields();
        self.builder.begin(loops);
        self.builder.draft.detached = true;
        if signer {
            self.builder.draft.headers = headers;
            self.builder.draft.own = Variables::SIGNER;
        }
        self
    }

    /// Takes back what the record sets of content and identity: payload, version, fields, id and time. Type, logger,
    /// hostname, severity and pid stay.
    pub fn clear_content(&mut self) -> &mut Self {
        let content = Variables::PAYLOAD
            | Variables::ENV_VERSION
            | Variables::UUID
            | Variables::TIMESTAMP
            | Variables::FIELDS;
        self.clear_fields();
        self.builder.draft.payload = Span::EMPTY;
        self.builder.draft.own = self.builder.draft.own.without(content);
        self
    }

    /// Remembers the encoded message that the record was just decoded from. Any later setter forgets it.
    pub fn wire(&mut self, message: &[u8]) -> &mut Self {
        self.builder.draft.wire = self.builder.span_of(message);
        self.builder.draft.own |= Variables::WIRE;
        self
    }

    /// Adds a field with one value.
    pub fn field(&mut self, name: NameId, value: Value<'_>) -> &mut Self {
        self.field_with(name, b"", value)
    }

    /// Adds a field with a representation and one value.
    pub fn field_with(
        &mut self,
        name: NameId,
        representation: &[u8],
        value: Value<'_>,
    ) -> &mut Self {
        let bits = self.builder.value_bits(value);
        let representation = self.representation(representation);
        self.push_field(name, value.value_type(), representation, 1, bits)
    }

    /// Adds a field without values; [`push_value`](Self::push_value) adds them.
    pub fn empty_field(
        &mut self,
        name: NameId,
        representation: &[u8],
        value_type: ValueType,
    ) -> &mut Self {
        let representation = self.representation(representation);
        self.push_field(name, value_type, representation, 0, 0)
    }

    /// Adds a value to the field added last.
    ///
    /// # Errors
    /// If its type is another one, or there is no field.
    pub fn push_value(&mut self, value: Value<'_>) -> Result<(), BuildError> {
        if self.builder.draft_fields().is_empty() {
            return Err(BuildError::NoField);
        }
        let bits = self.builder.value_bits(value);
        let store = &mut self.builder.store;
        let entry = store.fields.last_mut().ok_or(BuildError::NoField)?;
        if entry.value_type != value.value_type() {
            return Err(BuildError::MixedTypes);
        }
        match entry.count {
            0 => entry.value = bits,
            1 => {
                let first = std::mem::replace(&mut entry.value, store.values.len() as u64);
                store.values.extend([first, bits]);
            }
            count => {
                // A field added since and removed again may have left its values behind these.
                let first = entry.value as usize;
                if first + count as usize != store.values.len() {
                    entry.value = store.values.len() as u64;
                    store.values.extend_from_within(first..first + count as usize);
                }
                store.values.push(bits);
            }
        }
        entry.count += 1;
        self.changed();
        Ok(())
    }

    /// Removes field number `index` of the message.
    pub fn remove_field(&mut self, index: usize) -> &mut Self {
        if index < self.builder.draft_fields().len() {
            self.builder.store.fields.remove(self.builder.draft.fields_start as usize + index);
        }
        self.changed()
    }

    /// Replaces field number `index` by one value, keeping its name; no effect if there is none.
    pub fn replace_field(
        &mut self,
        index: usize,
        representation: &[u8],
        value: Value<'_>,
    ) -> &mut Self {
        let bits = self.builder.value_bits(value);
        let representation = self.representation(representation);
        let at = self.builder.draft.fields_start as usize + index;
        if let Some(entry) = self.builder.store.fields.get_mut(at) {
            let value_type = value.value_type();
            *entry =
                FieldEntry { name: entry.name, value_type, count: 1, representation, value: bits };
        }
        self.changed()
    }

    /// Removes all fields.
    pub fn clear_fields(&mut self) -> &mut Self {
        self.builder.store.fields.truncate(self.builder.draft.fields_start as usize);
        self.changed()
    }

    /// Makes the message equal to `record`, of any batch: all that it sets or has from its envelope.
    pub fn copy_from(&mut self, record: &Record<'_>) -> &mut Self {
        self.detach();
        match record.uuid() {
            Some(uuid) => self.uuid(&uuid.0),
            None if record.is_set(Variables::UUID) => self.uuid(record.uuid_bytes()),
            None => self,
        };
        self.loops(record.loops());
        self.copy_headers(record);
        for field in record.fields() {
            self.copy_field(&field);
        }
        if let Some(wire) = record.wire() {
            self.wire(wire);
        }
        self
    }

    /// Adds a copy of a field of any batch.
    pub fn copy_field(&mut self, field: &crate::Field<'_>) -> &mut Self {
        let name = self.name_id(field.name());
        self.empty_field(name, field.representation(), field.value_type());
        for value in field.values() {
            if let Err(error) = self.push_value(value) {
                self.builder.failed = Some(error);
            }
        }
        self
    }

    /// Ends the message.
    ///
    /// # Errors
    /// If something could not be stored; the message and those it emitted then never were.
    pub fn commit(mut self) -> Result<(), BuildError> {
        self.builder.push_draft()?;
        self.open = false;
        Ok(())
    }

    /// Ends this message and begins another one of the same source, with the envelope's headers only.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn emit(&mut self) -> Result<(), BuildError> {
        self.builder.push_draft()?;
        let loops = self.builder.draft.loops;
        self.builder.begin(loops);
        Ok(())
    }

    /// Gives up the current message but keeps those emitted before it.
    pub fn discard(mut self) {
        self.builder.store.fields.truncate(self.builder.draft.fields_start as usize);
        self.open = false;
    }

    /// Number of messages emitted by this builder so far.
    #[must_use]
    pub fn emitted(&self) -> usize {
        self.builder.store.records.len() - self.mark.records
    }

    fn copy_headers(&mut self, record: &Record<'_>) {
        if record.is_set(Variables::TIMESTAMP) {
            self.timestamp(record.timestamp());
        }
        if record.is_set(Variables::TYPE) {
            self.message_type(record.message_type());
        }
        if record.is_set(Variables::LOGGER) {
            self.logger(record.logger());
        }
        if record.is_set(Variables::SEVERITY) {
            self.severity(record.severity());
        }
        if record.is_set(Variables::PAYLOAD) {
            self.payload(record.payload());
        }
        if record.is_set(Variables::ENV_VERSION) {
            self.env_version(record.env_version());
        }
        if record.is_set(Variables::PID) {
            self.pid(record.pid());
        }
        if record.is_set(Variables::HOSTNAME) {
            self.hostname(record.hostname());
        }
        if !record.signer().is_empty() {
            self.signer(record.signer());
        }
    }

    fn header(
        &mut self,
        variable: Variables,
        value: &[u8],
        pick: fn(&mut Headers) -> &mut Span,
    ) -> &mut Self {
        let span = self.builder.span_of(value);
        let builder = &mut *self.builder;
        if builder.draft.headers == 0 {
            builder.store.headers.push(Headers::default());
            builder.draft.headers = builder.store.headers.len() as u32;
        }
        let place = builder.draft.headers as usize - 1;
        if let Some(headers) = builder.store.headers.get_mut(place) {
            *pick(headers) = span;
        }
        self.own(variable)
    }

    fn representation(&mut self, representation: &[u8]) -> Span {
        if representation.is_empty() { Span::EMPTY } else { self.builder.span_of(representation) }
    }

    fn push_field(
        &mut self,
        name: NameId,
        value_type: ValueType,
        representation: Span,
        count: u32,
        value: u64,
    ) -> &mut Self {
        let entry = FieldEntry { name, value_type, count, representation, value };
        self.builder.store.fields.push(entry);
        self.changed()
    }

    fn own(&mut self, variable: Variables) -> &mut Self {
        self.builder.draft.own |= variable;
        self.changed()
    }

    fn changed(&mut self) -> &mut Self {
        self.builder.draft.own = self.builder.draft.own.without(Variables::WIRE);
        self
    }
}

impl Drop for RecordBuilder<'_> {
    fn drop(&mut self) {
        if self.open {
            self.builder.rewind(self.mark);
        }
    }
}

/// A message that is still being built, to read.
#[derive(Debug)]
pub struct DraftView<'a> {
    store: &'a Store,
    entry: RecordEntry,
}

impl DraftView<'_> {
    /// The message as a record.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record::new(self.store, &self.entry, self.store.records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NameRegistry, Uuid};

    fn builder(raw: &[u8]) -> BatchBuilder {
        let registry = NameRegistry::new();
        registry.intern(b"status");
        let envelope = Envelope::new("in").message_type("logfile").hostname("h1");
        BatchBuilder::new(
            registry.snapshot(),
            Arc::new(envelope),
            Buffer::from(raw.to_vec()),
            1_000,
        )
    }

    #[test]
    fn a_record_shares_what_it_does_not_set() {
        let mut builder = builder(b"GET /\n");
        let raw = builder.raw().clone();
        let mut record = builder.record();
        record.payload(&raw[..5]);
        record.commit().unwrap();
        let mut record = builder.record();
        record.payload("made").hostname("other").severity(3).timestamp(5).pid(9);
        record.commit().unwrap();

        let batch = builder.finish();
        let (first, second) = (batch.record(0).unwrap(), batch.record(1).unwrap());
        assert_eq!(
            (first.payload(), first.hostname(), first.message_type()),
            (&b"GET /"[..], &b"h1"[..], &b"logfile"[..])
        );
        assert_eq!(
            (first.logger(), first.timestamp(), first.severity(), first.pid()),
            (&b"in"[..], 1_000, 7, 0)
        );
        assert_eq!(batch.raw_offset(first.payload()), Some(0), "the payload was not copied");
        assert_eq!((second.payload(), second.hostname()), (&b"made"[..], &b"other"[..]));
        assert_eq!((second.timestamp(), second.severity(), second.pid()), (5, 3, 9));
        assert!(batch.uniform().contains(Variables::TYPE | Variables::LOGGER));
        assert!(!batch.uniform().intersects(Variables::HOSTNAME | Variables::SEVERITY));
        assert_ne!(first.uuid(), second.uuid());
        assert_eq!(first.uuid(), batch.record(0).unwrap().uuid());
    }

    #[test]
    fn a_pushed_payload_is_a_record_like_any_other() {
        let mut builder = builder(b"one two");
        let raw = builder.raw().clone();
        builder.push_payload(&raw[..3]).unwrap();
        let mut record = builder.record();
        record.payload(&raw[..3]);
        record.commit().unwrap();
        let batch = builder.finish();
        let shown: Vec<String> = batch.records().map(|record| format!("{record:?}")).collect();
        assert_eq!(shown[0], shown[1]);
        assert_eq!(batch.raw_offset(batch.record(0).unwrap().payload()), Some(0));
    }

    #[test]
    fn fields_of_all_types_and_counts_read_back() {
        let mut builder = builder(b"");
        let mut record = builder.record();
        let status = record.name_id(b"status");
        assert!(status.is_global());
        record.field_with(status, b"code", Value::Int(-404));
        let odd = record.name_id(b"odd name");
        assert!(!odd.is_global());
        record.empty_field(odd, b"", ValueType::String);
        for text in ["one", "two", "three"] {
            record.push_value(text.into()).unwrap();
        }
        assert_eq!(record.push_value(Value::Bool(true)), Err(BuildError::MixedTypes));
        record.field(odd, Value::Double(0.5)).empty_field(status, b"", ValueType::Bool);
        record.commit().unwrap();

        let batch = builder.finish();
        let record = batch.record(0).unwrap();
        let field = record.field(status).unwrap();
        assert_eq!((field.first(), field.representation()), (Some(Value::Int(-404)), &b"code"[..]));
        let texts: Vec<_> = record.field(odd).unwrap().values().collect();
        assert_eq!(texts, ["one", "two", "three"].map(Value::from));
        assert_eq!(record.nth_field(odd, 1).unwrap().first(), Some(Value::Double(0.5)));
        assert_eq!(record.nth_field(status, 1).unwrap().first(), None);
        assert_eq!(batch.find_name(b"odd name"), Some(odd));
        assert!(batch.may_have_field(status) && batch.find_name(b"none").is_none());
    }

    #[test]
    fn a_dropped_record_and_what_it_emitted_never_were() {
        let mut builder = builder(b"");
        builder.record().commit().unwrap();
        let mut record = builder.record();
        record.payload("first").emit().unwrap();
        let name = record.name_id(b"new");
        record.payload("second").field(name, Value::Int(1));
        drop(record);
        assert_eq!((builder.len(), builder.sizes().1), (1, 0));

        let mut record = builder.record();
        record.payload("kept").emit().unwrap();
        record.payload("given up");
        record.discard();
        assert_eq!(builder.len(), 2);
        assert_eq!(builder.committed(1).unwrap().payload(), b"kept");
        let batch = builder.finish();
        assert_eq!(
            batch.find_name(b"new").map(|id| batch.name(id).to_vec()),
            Some(b"new".to_vec())
        );
    }

    #[test]
    fn a_detached_record_has_nothing_of_its_envelope() {
        let mut builder = builder(b"");
        let mut record = builder.record();
        record.signer("ops").payload("gone").loops(2).detach().wire(b"wire");
        assert_eq!(record.view().record().wire(), Some(&b"wire"[..]));
        record.commit().unwrap();
        let mut record = builder.record();
        record.wire(b"wire").signer("kept").message_type("changed");
        record.commit().unwrap();
        let batch = builder.finish();
        let record = batch.record(0).unwrap();
        assert_eq!(
            (record.message_type(), record.payload(), record.timestamp()),
            (&b""[..], &b""[..], 0)
        );
        assert_eq!((record.uuid(), record.signer(), record.loops()), (None, &b"ops"[..], 2));
        assert!(!record.is_set(Variables::TIMESTAMP) && record.wire().is_some());
        assert_eq!(batch.uniform(), Variables::NONE);
        assert_eq!(batch.record(1).unwrap().wire(), None, "a change makes the wire bytes stale");
    }

    #[test]
    fn what_is_cleared_of_a_draft_is_content_only() {
        let mut builder = builder(b"");
        let mut record = builder.record();
        let name = record.name_id(b"a");
        record.message_type("kept").payload("gone").env_version("gone").timestamp(1).uuid(&[1; 16]);
        record.severity(2).field(name, Value::Int(1)).clear_content();
        record.commit().unwrap();
        let batch = builder.finish();
        let record = batch.record(0).unwrap();
        assert_eq!((record.message_type(), record.severity()), (&b"kept"[..], 2));
        assert_eq!((record.payload(), record.env_version()), (&b""[..], &b""[..]));
        assert_eq!((record.timestamp(), record.field_count()), (1_000, 0));
        assert!(!record.is_set(Variables::PAYLOAD) && record.uuid() != Some(Uuid([1; 16])));
    }

    #[test]
    fn a_copy_into_another_batch_is_equal() {
        let mut from = builder(b"payload");
        let raw = from.raw().clone();
        let mut record = from.record();
        let name = record.name_id(b"local");
        record.payload(&raw[..]).field_with(name, b"B", Value::Bytes(b"\0\xff"));
        record.commit().unwrap();
        let from = from.finish();
        let mut to = builder(b"");
        let mut copy = to.record();
        copy.copy_from(&from.record(0).unwrap());
        copy.commit().unwrap();
        let to = to.finish();
        assert_eq!(format!("{:?}", to.record(0)), format!("{:?}", from.record(0)));
        assert_eq!(to.record(0).unwrap().uuid(), from.record(0).unwrap().uuid());
    }

    #[test]
    fn fields_of_a_draft_can_be_edited() {
        let mut builder = builder(b"");
        let mut record = builder.record();
        let (a, b) = (record.name_id(b"a"), record.name_id(b"b"));
        record.field(a, Value::Int(1)).field(b, Value::Int(2)).field(a, Value::Int(3));
        record.remove_field(0).replace_field(1, b"s", Value::Str(b"x")).remove_field(7);
        record.uuid(&[1; 16]);
        record.commit().unwrap();
        let batch = builder.finish();
        let record = batch.record(0).unwrap();
        assert_eq!(
            format!("{:?}", record.fields().collect::<Vec<_>>()),
            "[b=[Int(2)], a=[Str([120])]]"
        );
        assert_eq!(record.uuid(), Some(Uuid([1; 16])));
    }

    #[test]
    fn values_added_behind_those_of_a_removed_field_are_the_fields_own() {
        let mut builder = builder(b"");
        let mut record = builder.record();
        let (a, b) = (record.name_id(b"a"), record.name_id(b"b"));
        for (name, first) in [(a, 0), (b, 10)] {
            record.empty_field(name, b"", ValueType::Integer);
            (first..first + 3).for_each(|value| record.push_value(Value::Int(value)).unwrap());
        }
        record.remove_field(1).push_value(Value::Int(3)).unwrap();
        record.commit().unwrap();
        let batch = builder.finish();
        let values: Vec<_> = batch.record(0).unwrap().field(a).unwrap().values().collect();
        assert_eq!(values, [0, 1, 2, 3].map(Value::Int));
    }

    #[test]
    fn thousands_of_local_names_stay_apart() {
        let mut builder = builder(b"");
        let ids: Vec<NameId> =
            (0..5_000).map(|number| builder.name_id(format!("n{number}").as_bytes())).collect();
        for (number, &id) in ids.iter().enumerate() {
            assert_eq!(builder.name_id(format!("n{number}").as_bytes()), id);
        }
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 5_000);
    }
}
