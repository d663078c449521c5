//! A small batch out of a large one.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{Store, Variables};
use crate::field::FieldEntry;
use crate::record::{Headers, RecordEntry};
use crate::{Batch, Buffer, NameId, Selection, Span, ValueType};

impl Batch {
    /// A batch of the selected records only, with only their bytes copied; they read the same as here.
    ///
    /// Costs memory and time for what is selected, and sorting its spans. Bytes that several spans cover are
    /// copied once.
    #[must_use]
    pub fn compact(&self, selection: &Selection) -> Self {
        let store = &self.store;
        let indexes = selection.iter(self.len()).take_while(|&index| index < self.len());
        let mut parts = Parts::gather(store, indexes);
        let [mut raw, mut made] = [Vec::new(), Vec::new()];
        let raw_moves = Moves::copy(&store.raw, &mut parts.spans[0], &mut raw);
        let made_moves = Moves::copy(&store.made, &mut parts.spans[1], &mut made);
        let moved = |span: Span| {
            if span.is_made() { made_moves.of(span) } else { raw_moves.of(span) }
        };
        parts.relocate(moved);
        let Parts { records, fields, values, headers, local_names, used_names, .. } = parts;
        Self::new(Store {
            raw: Buffer::from(raw),
            made,
            names: Arc::clone(&store.names),
            local_names,
            envelope: Arc::clone(&store.envelope),
            timestamp: store.timestamp,
            number: store.number,
            id_key: store.id_key,
            id_indexes: parts.id_indexes,
            records,
            fields,
            values,
            headers,
            used_names,
            varying: parts.varying,
            any_detached: parts.any_detached,
        })
    }
}

fn is_text(field: &FieldEntry) -> bool {
    matches!(field.value_type, ValueType::String | ValueType::Bytes)
}

/// The arrays of the new batch, their spans still those of the old one.
#[derive(Default)]
struct Parts {
    records: Vec<RecordEntry>,
    fields: Vec<FieldEntry>,
    values: Vec<u64>,
    headers: Vec<Headers>,
    local_names: Vec<Span>,
    id_indexes: Vec<u32>,
    used_names: Vec<u64>,
    varying: Variables,
    any_detached: bool,
    /// Bytes in use, raw and made.
    spans: [Vec<Range<usize>>; 2],
    /// New place plus one of each old local name; 0 is not used.
    local_places: Vec<u32>,
}

impl Parts {
    fn gather(store: &Store, indexes: impl Iterator<Item = usize>) -> Self {
        let mut parts = Self::default();
        for index in indexes {
            let Some(record) = store.records.get(index) else { break };
            parts.record(store, index, record);
        }
        if parts.id_indexes.iter().enumerate().all(|(place, &index)| place == index as usize) {
            parts.id_indexes = Vec::new();
        }
        parts
    }

    fn record(&mut self, store: &Store, index: usize, record: &RecordEntry) {
        let mut copy = *record;
        if !copy.own.contains(Variables::WIRE) {
            copy.wire = Span::EMPTY;
        }
        self.needs(copy.payload);
        self.needs(copy.wire);
        copy.fields_start = self.fields.len() as u32;
        let range = record.fields_start as usize..record.fields_end as usize;
        for field in store.fields.get(range).unwrap_or(&[]) {
            self.field(store, field);
        }
        copy.fields_end = self.fields.len() as u32;
        let headers = (record.headers as usize).checked_sub(1);
        copy.headers = 0;
        if let Some(headers) = headers.and_then(|place| store.headers.get(place)) {
            let mut headers = *headers;
            spans_of(&mut headers).into_iter().for_each(|span| self.needs(*span));
            self.headers.push(headers);
            copy.headers = self.headers.len() as u32;
        }
        self.varying |= copy.own;
        if copy.fields_start < copy.fields_end {
            self.varying |= Variables::FIELDS;
        }
        self.any_detached |= copy.detached;
        let id_index = store.id_indexes.get(index).copied().unwrap_or(index as u32);
        self.id_indexes.push(id_index);
        self.records.push(copy);
    }

    fn field(&mut self, store: &Store, field: &FieldEntry) {
        let mut copy = *field;
        copy.name = self.name(store, field.name);
        self.needs(field.representation);
        if field.count == 1 && is_text(field) {
            self.needs(Span::from_bits(field.value));
        }
        if field.count > 1 {
            let start = field.value as usize;
            let values = store.values.get(start..start.saturating_add(field.count as usize));
            let values = values.unwrap_or(&[]);
            copy.value = self.values.len() as u64;
            self.values.extend_from_slice(values);
            if is_text(field) {
                values.iter().for_each(|&bits| self.needs(Span::from_bits(bits)));
            }
        }
        self.fields.push(copy);
    }

    /// The id of a name in the new batch.
    fn name(&mut self, store: &Store, name: NameId) -> NameId {
        let words = store.used_names.len();
        if name.is_global() {
            if self.used_names.len() < words {
                self.used_names.resize(words, 0);
            }
            if let Some(word) = self.used_names.get_mut(name.index() / 64) {
                *word |= 1 << (name.index() % 64);
            }
            return name;
        }
        let Some(&span) = store.local_names.get(name.index()) else {
            // An id of another batch reads as the empty name, there as here.
            self.local_names.push(Span::EMPTY);
            return NameId::local(self.local_names.len() - 1);
        };
        self.local_places.resize(store.local_names.len(), 0);
        let place = self.local_places[name.index()];
        if place > 0 {
            return NameId::local(place as usize - 1);
        }
        self.needs(span);
        self.local_names.push(span);
        self.local_places[name.index()] = self.local_names.len() as u32;
        NameId::local(self.local_names.len() - 1)
    }

    fn needs(&mut self, span: Span) {
        if !span.is_empty() {
            self.spans[usize::from(span.is_made())].push(span.start()..span.end());
        }
    }

    /// Replaces each span by where its bytes lie now.
    fn relocate(&mut self, moved: impl Fn(Span) -> Span) {
        for record in &mut self.records {
            record.payload = moved(record.payload);
            record.wire = moved(record.wire);
        }
        for headers in &mut self.headers {
            spans_of(headers).into_iter().for_each(|span| *span = moved(*span));
        }
        self.local_names.iter_mut().for_each(|span| *span = moved(*span));
        let moved_bits = |bits: u64| moved(Span::from_bits(bits)).to_bits();
        for field in &mut self.fields {
            field.representation = moved(field.representation);
            if !is_text(field) {
                continue;
            }
            if field.count == 1 {
                field.value = moved_bits(field.value);
            } else if field.count > 1 {
                let start = field.value as usize;
                let values = self.values.get_mut(start..start + field.count as usize);
                values.unwrap_or(&mut []).iter_mut().for_each(|bits| *bits = moved_bits(*bits));
            }
        }
    }
}

fn spans_of(headers: &mut Headers) -> [&mut Span; 6] {
    let Headers { uuid, message_type, logger, hostname, env_version, signer } = headers;
    [uuid, message_type, logger, hostname, env_version, signer]
}

/// Where pieces of an arena lie after copying: old start, old end, new start, in order.
struct Moves(Vec<(Range<usize>, usize)>);

impl Moves {
    /// Copies the bytes of all `ranges`, each byte once.
    fn copy(arena: &[u8], ranges: &mut [Range<usize>], out: &mut Vec<u8>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut moves: Vec<(Range<usize>, usize)> = Vec::new();
        for range in ranges {
            match moves.last_mut() {
                Some((last, _)) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => moves.push((range.clone(), 0)),
            }
        }
        out.reserve_exact(moves.iter().map(|(range, _)| range.len()).sum());
        for (range, start) in &mut moves {
            *start = out.len();
            out.extend_from_slice(arena.get(range.clone()).unwrap_or(&[]));
        }
        Self(moves)
    }

    fn of(&self, span: Span) -> Span {
        let place = self.0.partition_point(|(range, _)| range.start <= span.start());
        let Some((range, start)) = place.checked_sub(1).and_then(|place| self.0.get(place)) else {
            return Span::EMPTY;
        };
        if span.is_empty() {
            return Span::EMPTY;
        }
        let start = start + (span.start() - range.start);
        let moved = if span.is_made() { Span::made } else { Span::raw };
        moved(start, span.len()).unwrap_or(Span::EMPTY)
    }
}
