//! Reading a stored batch back: every length, range, span and name is checked before anything uses it.
//!
//! Invariants: no input makes it panic; memory is bounded by the length of the input and the number of global
//! names; no field and no value belongs to two, so that whoever reads the batch is done in time; a name ends up
//! either global or local, never both.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::batch::Variables;
use crate::{Buffer, NameId, Names, Span, StoredError, ValueType};

impl Batch {
    /// Reads a batch back: its raw bytes and behind them what [`write_stored`](Self::write_stored) appended.
    ///
    /// `bytes` becomes the raw buffer, the other parts are copied out of it. Field names become those of
    /// `names`, or local to the batch where that table lacks them.
    ///
    /// # Errors
    /// If the bytes are no stored batch, or one of a newer layout.
    pub fn from_stored(bytes: Vec<u8>, names: &Arc<Names>) -> Result<Self, StoredError> {
        let reader = Reader::open(&bytes)?;
        let raw_len = reader.part(Part::Raw).len();
        let mut store = reader.read(names)?;
        store.raw = Buffer::of_prefix(bytes, raw_len);
        Ok(Self::new(store))
    }
}

/// The number at `at`, a constant where it is called.
#[inline(always)]
fn u32_at<const N: usize>(entry: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
}

/// The number at `at`, a constant where it is called.
#[inline(always)]
fn u64_at<const N: usize>(entry: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(entry, at)) | u64::from(u32_at(entry, at + 4)) << 32
}

/// The bytes of a stored batch, and where its parts lie.
struct Reader<'a> {
    bytes: &'a [u8],
    trailer: &'a [u8; TRAILER_BYTES],
    parts: [Range<usize>; PARTS],
    varying: Variables,
    any_detached: bool,
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, StoredError> {
        let Some((before, trailer)) = bytes.split_last_chunk::<TRAILER_BYTES>() else {
            return Err(StoredError::TooShort { bytes: bytes.len() });
        };
        let found = u32_at(trailer, VERSION_AT);
        if found != VERSION {
            return Err(StoredError::Version { found, newest: VERSION });
        }
        let parts = locate(trailer, before.len())?;
        let low = |at| u32_at(trailer, at) as u16;
        let flags_error = StoredError::Flags { offset: before.len() + VARYING_AT };
        let varying = Variables::from_bits(low(VARYING_AT)).ok_or(flags_error)?;
        let flags = low(FLAGS_AT);
        if flags & !ANY_DETACHED != 0 {
            return Err(flags_error);
        }
        Ok(Self { bytes, trailer, parts, varying, any_detached: flags & ANY_DETACHED != 0 })
    }

    fn range(&self, part: Part) -> Range<usize> {
        self.parts[part as usize].clone()
    }

    fn part(&self, part: Part) -> &'a [u8] {
        &self.bytes[self.range(part)]
    }

    /// The entries of a part, each with its offset.
    fn entries<const N: usize>(
        &self,
        part: Part,
    ) -> impl ExactSizeIterator<Item = (usize, &'a [u8; N])> {
        let start = self.range(part).start;
        let (entries, _) = self.part(part).as_chunks::<N>();
        entries.iter().enumerate().map(move |(index, entry)| (start + index * N, entry))
    }

    /// The batch but for its raw bytes.
    fn read(&self, names: &Arc<Names>) -> Result<Store, StoredError> {
        let values: Vec<u64> =
            self.entries::<WORD_BYTES>(Part::Values).map(|(_, word)| u64_at(word, 0)).collect();
        let mut resolver = Resolver::read(self, names)?;
        let fields = self.fields(&values, &mut resolver)?;
        let Resolver { made, local_names, used_names, .. } = resolver;
        let number = |at| u64_at(self.trailer, at);
        Ok(Store {
            raw: Buffer::empty(),
            made,
            names: Arc::clone(names),
            local_names,
            envelope: Arc::new(self.envelope()?),
            timestamp: number(TIMESTAMP_AT) as i64,
            number: number(NUMBER_AT),
            id_key: [number(ID_KEY_AT), number(ID_KEY_AT + 8)],
            id_indexes: self.id_indexes()?,
            records: self.records(fields.len())?,
            headers: self.headers()?,
            fields,
            values,
            used_names,
            varying: self.varying,
            any_detached: self.any_detached,
        })
    }

    /// A span, if it lies in the arena; `offset` is that of its entry.
    fn span(&self, bits: u64, offset: usize) -> Result<Span, StoredError> {
        let span = Span::from_bits(bits);
        let part = if span.is_made() { Part::Made } else { Part::Raw };
        let end = span.start().checked_add(span.len());
        let inside = end.is_some_and(|end| end <= self.range(part).len());
        if inside { Ok(span) } else { Err(StoredError::Span { offset }) }
    }

    fn span_bytes(&self, span: Span) -> &'a [u8] {
        let part = if span.is_made() { Part::Made } else { Part::Raw };
        self.part(part).get(span.start()..span.end()).unwrap_or(&[])
    }

    /// The records. Their fields must follow each other, so that no field is read twice.
    fn records(&self, fields: usize) -> Result<Vec<RecordEntry>, StoredError> {
        let headers = self.entries::<HEADERS_BYTES>(Part::Headers).len();
        let entries = self.entries::<RECORD_BYTES>(Part::Records);
        let mut records = Vec::with_capacity(entries.len());
        let mut end = 0;
        for (offset, entry) in entries {
            let record = self.record(offset, entry)?;
            let range = record.fields_start..record.fields_end;
            if range.start < end || range.start > range.end || range.end as usize > fields {
                return Err(StoredError::Fields { offset });
            }
            end = range.end;
            if record.headers as usize > headers {
                return Err(StoredError::Headers { offset });
            }
            let fields = if range.is_empty() { Variables::NONE } else { Variables::FIELDS };
            if !self.varying.contains(record.own | fields) || record.detached && !self.any_detached
            {
                return Err(StoredError::Flags { offset });
            }
            records.push(record);
        }
        Ok(records)
    }

    fn record(
        &self,
        offset: usize,
        entry: &[u8; RECORD_BYTES],
    ) -> Result<RecordEntry, StoredError> {
        let own = Variables::from_bits(u16::from_le_bytes([entry[44], entry[45]]));
        if entry[46] > 1 {
            return Err(StoredError::Flags { offset });
        }
        Ok(RecordEntry {
            timestamp: u64_at(entry, 0) as i64,
            payload: self.span(u64_at(entry, 8), offset)?,
            wire: self.span(u64_at(entry, 16), offset)?,
            fields_start: u32_at(entry, 24),
            fields_end: u32_at(entry, 28),
            headers: u32_at(entry, 32),
            severity: u32_at(entry, 36) as i32,
            pid: u32_at(entry, 40) as i32,
            own: own.ok_or(StoredError::Flags { offset })?,
            detached: entry[46] == 1,
            loops: entry[47],
        })
    }

    /// The fields. Their values must follow each other, so that no value is read twice.
    fn fields(
        &self,
        values: &[u64],
        resolver: &mut Resolver<'a>,
    ) -> Result<Vec<FieldEntry>, StoredError> {
        let entries = self.entries::<FIELD_BYTES>(Part::Fields);
        let values_at = self.range(Part::Values).start;
        let mut fields = Vec::with_capacity(entries.len());
        let mut end = 0;
        for (offset, entry) in entries {
            let value_type =
                value_type(u32_at(entry, 24)).ok_or(StoredError::ValueType { offset })?;
            let (count, value) = (u32_at(entry, 4), u64_at(entry, 16));
            if value_type == ValueType::Unknown && count > 0 {
                return Err(StoredError::ValueType { offset });
            }
            let texts = matches!(value_type, ValueType::String | ValueType::Bytes);
            if count == 1 && texts {
                self.span(value, offset)?;
            }
            if count > 1 {
                let start = usize::try_from(value).ok().filter(|&start| start >= end);
                let range = start.and_then(|start| Some(start..start.checked_add(count as usize)?));
                let range = range.ok_or(StoredError::Values { offset })?;
                let list = values.get(range.clone()).ok_or(StoredError::Values { offset })?;
                if texts {
                    for (index, &bits) in range.clone().zip(list) {
                        self.span(bits, values_at + index * WORD_BYTES)?;
                    }
                }
                end = range.end;
            }
            fields.push(FieldEntry {
                name: resolver.resolve(u32_at(entry, 0), offset)?,
                value_type,
                count,
                representation: self.span(u64_at(entry, 8), offset)?,
                value,
            });
        }
        Ok(fields)
    }

    fn headers(&self) -> Result<Vec<Headers>, StoredError> {
        let entries = self.entries::<HEADERS_BYTES>(Part::Headers);
        let mut headers = Vec::with_capacity(entries.len());
        for (offset, entry) in entries {
            headers.push(Headers {
                uuid: self.span(u64_at(entry, 0), offset)?,
                message_type: self.span(u64_at(entry, 8), offset)?,
                logger: self.span(u64_at(entry, 16), offset)?,
                hostname: self.span(u64_at(entry, 24), offset)?,
                env_version: self.span(u64_at(entry, 32), offset)?,
                signer: self.span(u64_at(entry, 40), offset)?,
            });
        }
        Ok(headers)
    }

    /// An index for each record, or none.
    fn id_indexes(&self) -> Result<Vec<u32>, StoredError> {
        let indexes =
            self.entries::<INDEX_BYTES>(Part::IdIndexes).map(|(_, index)| u32_at(index, 0));
        if indexes.len() != 0 && indexes.len() != self.entries::<RECORD_BYTES>(Part::Records).len()
        {
            return Err(StoredError::Lengths { offset: self.range(Part::IdIndexes).start });
        }
        Ok(indexes.collect())
    }

    fn envelope(&self) -> Result<Envelope, StoredError> {
        let torn = StoredError::Envelope { offset: self.range(Part::Envelope).start };
        let (fixed, mut rest) =
            self.part(Part::Envelope).split_first_chunk::<ENVELOPE_BYTES>().ok_or(torn)?;
        let set = u32_at(fixed, 0);
        if set & !ENVELOPE_ALL != 0 {
            return Err(torn);
        }
        let mut next = |at| {
            let (text, behind) = rest.split_at_checked(u32_at(fixed, at) as usize).ok_or(torn)?;
            rest = behind;
            Ok(text)
        };
        let source = std::str::from_utf8(next(12)?).map_err(|_| torn)?;
        let texts: [&[u8]; ENVELOPE_TEXTS.len()] = [next(16)?, next(20)?, next(24)?, next(28)?];
        let text = |place: usize| (set & ENVELOPE_TEXTS[place] != 0).then(|| texts[place].into());
        let number = |bit, at| (set & bit != 0).then(|| u32_at(fixed, at) as i32);
        if !rest.is_empty() {
            return Err(torn);
        }
        Ok(Envelope {
            source: source.into(),
            message_type: text(0),
            logger: text(1),
            hostname: text(2),
            env_version: text(3),
            severity: number(ENVELOPE_SEVERITY, 4),
            pid: number(ENVELOPE_PID, 8),
        })
    }
}

/// Where the parts lie in the `total` bytes before the trailer; they fill them.
fn locate(
    trailer: &[u8; TRAILER_BYTES],
    total: usize,
) -> Result<[Range<usize>; PARTS], StoredError> {
    let mut parts = [const { 0..0 }; PARTS];
    let mut start = 0_usize;
    for (place, part) in parts.iter_mut().enumerate() {
        let end = usize::try_from(u64_at(trailer, place * 8))
            .ok()
            .and_then(|count| count.checked_mul(ENTRY_BYTES[place]))
            .and_then(|bytes| start.checked_add(bytes))
            .filter(|&end| end <= total)
            .ok_or(StoredError::Lengths { offset: total + place * 8 })?;
        *part = start..end;
        start = end;
    }
    if start == total { Ok(parts) } else { Err(StoredError::Lengths { offset: total }) }
}

fn value_type(number: u32) -> Option<ValueType> {
    match number {
        0..=4 => Some(ValueType::from_wire(number.into())),
        255 => Some(ValueType::Unknown),
        _ => None,
    }
}

/// Turns the name ids of the writing process into those of the batch read.
struct Resolver<'a> {
    names: &'a Names,
    /// Words of used ids, each with the number of bits set before it.
    words: Vec<(u64, u32)>,
    /// Now the ids of the used global names, in order.
    globals: Vec<NameId>,
    /// Now the ids of the local names, in order.
    locals: Vec<NameId>,
    /// The names that are local now.
    places: HashMap<&'a [u8], NameId>,
    /// As in `Store`.
    made: Vec<u8>,
    local_names: Vec<Span>,
    used_names: Vec<u64>,
}

impl<'a> Resolver<'a> {
    fn read(reader: &Reader<'a>, names: &'a Names) -> Result<Self, StoredError> {
        let mut count = 0;
        let words: Vec<(u64, u32)> = reader
            .entries::<WORD_BYTES>(Part::UsedNames)
            .map(|(_, word)| {
                let (word, before) = (u64_at(word, 0), count);
                count += word.count_ones();
                (word, before)
            })
            .collect();
        let mut resolver = Self {
            names,
            words,
            globals: Vec::new(),
            locals: Vec::new(),
            places: HashMap::new(),
            made: reader.part(Part::Made).to_vec(),
            local_names: Vec::new(),
            used_names: Vec::new(),
        };
        resolver.read_locals(reader)?;
        resolver.read_globals(reader, count as usize)?;
        Ok(resolver)
    }

    fn read_locals(&mut self, reader: &Reader<'a>) -> Result<(), StoredError> {
        let entries = reader.entries::<SPAN_BYTES>(Part::LocalNames);
        self.locals.reserve_exact(entries.len());
        for (offset, entry) in entries {
            let span = reader.span(u64_at(entry, 0), offset)?;
            let id = self.intern(reader.span_bytes(span), Some(span))?;
            self.locals.push(id);
        }
        Ok(())
    }

    fn read_globals(&mut self, reader: &Reader<'a>, count: usize) -> Result<(), StoredError> {
        let torn = StoredError::NameTable { offset: reader.range(Part::NameTable).start };
        let table = reader.part(Part::NameTable);
        let lengths = count.checked_mul(4).and_then(|bytes| table.split_at_checked(bytes));
        let (lengths, mut rest) = lengths.ok_or(torn)?;
        self.globals.reserve_exact(count);
        for length in lengths.as_chunks::<4>().0 {
            let (name, behind) = rest.split_at_checked(u32_at(length, 0) as usize).ok_or(torn)?;
            rest = behind;
            let id = self.intern(name, None)?;
            self.globals.push(id);
        }
        if rest.is_empty() { Ok(()) } else { Err(torn) }
    }

    /// The id of a name: the global one, else a local one. `span`: where it lies already.
    fn intern(&mut self, name: &'a [u8], span: Option<Span>) -> Result<NameId, StoredError> {
        if let Some(id) = self.names.find(name) {
            if self.used_names.is_empty() {
                self.used_names.resize(self.names.len().div_ceil(64), 0);
            }
            if let Some(word) = self.used_names.get_mut(id.index() / 64) {
                *word |= 1 << (id.index() % 64);
            }
            return Ok(id);
        }
        if let Some(&id) = self.places.get(name) {
            return Ok(id);
        }
        let span = span.or_else(|| Span::made(self.made.len(), name.len()));
        let id = NameId::local(self.local_names.len());
        let (Some(span), true) = (span, id.index() == self.local_names.len()) else {
            return Err(StoredError::ArenaFull);
        };
        if span.is_made() && span.end() > self.made.len() {
            self.made.extend_from_slice(name);
        }
        self.local_names.push(span);
        self.places.insert(name, id);
        Ok(id)
    }

    /// The id of a field's name, in the batch read.
    fn resolve(&mut self, stored: u32, offset: usize) -> Result<NameId, StoredError> {
        if stored == NO_NAME {
            return self.intern(&[], None);
        }
        let id = NameId::from_bits(stored);
        let found = if id.is_global() {
            let word = self.words.get(id.index() / 64);
            let word = word.filter(|(word, _)| word >> (id.index() % 64) & 1 == 1);
            word.and_then(|&(word, before)| {
                let below = word & ((1 << (id.index() % 64)) - 1);
                self.globals.get(before as usize + below.count_ones() as usize)
            })
        } else {
            self.locals.get(id.index())
        };
        found.copied().ok_or(StoredError::Name { offset })
    }
}
