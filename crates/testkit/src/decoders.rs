//! Splitters, decoders and encoders: starting them again, and what they do with bytes that mean nothing.
//!
//! They are tried with the sections that the pages show and, where that is enough, with an empty one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use heka_config::{Problems, Section, parse_config};
use heka_message::{BatchBuilder, BufferMut, Envelope};
use heka_plugin::{
    Decode, Decoder, Frames, MakeDecoder, Maker, PluginDef, Prepared, Scan, Splitter, StartContext,
    StartError,
};

use crate::Fault;
use crate::pages::examples;
use crate::world::{NOW_NS, context};

/// Records that each decoder is given in all.
const RECORDS: usize = 10_000;
/// Records of a batch.
const BATCH_RECORDS: usize = 50;
/// Longest record in bytes.
const RECORD_BYTES_MAX: usize = 300;
/// Blocks that each splitter is given.
const BLOCKS: usize = 500;

pub(crate) fn check(plugins: &[PluginDef], seed: u64) -> Vec<Fault> {
    let decoders = Arc::new(Sections::of(plugins));
    let mut faults = Vec::new();
    for def in plugins {
        let sections = sections(def, plugins);
        for section in &sections {
            let mut problems = Problems::new();
            let context = context(Arc::clone(&decoders) as Arc<dyn MakeDecoder>);
            let result =
                match def.maker {
                    Maker::Decoder(prepare) => prepare(section, &mut problems)
                        .map(|(_, it)| decoder(&*it, &context, seed, RECORDS / sections.len())),
                    Maker::Splitter(prepare) => prepare(section, &mut problems)
                        .map(|(_, it)| splitter(&*it, &context, seed)),
                    Maker::Encoder(prepare) => prepare(section, &mut problems)
                        .map(|(_, it)| twice(&*it, &context).map(drop)),
                    Maker::Input(_) | Maker::Filter(_) | Maker::Output(_) => None,
                };
            if let Some(Err(text)) = result {
                faults.push(Fault::new(def.name, format!("[{}] {text}", section.name)));
            }
        }
    }
    faults
}

/// All sections of the pages with this type, and an empty one.
fn sections(def: &PluginDef, plugins: &[PluginDef]) -> Vec<Section> {
    let mut found = vec![Section::implicit(def.name)];
    for page in plugins.iter().map(|def| def.page) {
        for example in examples(page) {
            found.extend(parse_config(&example, "page.md").0.sections);
        }
    }
    found.retain(|section| section.plugin_type == def.name);
    // An empty section is not valid for all types; it was checked elsewhere.
    found.retain(|section| is_valid(def, section));
    found
}

fn is_valid(def: &PluginDef, section: &Section) -> bool {
    let mut problems = Problems::new();
    match def.maker {
        Maker::Decoder(prepare) => prepare(section, &mut problems).is_some(),
        Maker::Splitter(prepare) => prepare(section, &mut problems).is_some(),
        Maker::Encoder(prepare) => prepare(section, &mut problems).is_some(),
        Maker::Input(_) | Maker::Filter(_) | Maker::Output(_) => false,
    }
}

/// All decoder sections of the pages, by name.
struct Sections(BTreeMap<String, Arc<dyn Prepared<dyn Decoder>>>);

impl Sections {
    fn of(plugins: &[PluginDef]) -> Self {
        let mut found = BTreeMap::new();
        for def in plugins {
            let Maker::Decoder(prepare) = def.maker else { continue };
            for section in sections(def, plugins) {
                if let Some((_, prepared)) = prepare(&section, &mut Problems::new()) {
                    found.insert(section.name, prepared);
                }
            }
        }
        Self(found)
    }
}

impl MakeDecoder for Sections {
    fn make_decoder(
        &self,
        name: &str,
        context: &StartContext,
    ) -> Result<Box<dyn Decoder>, StartError> {
        match self.0.get(name) {
            Some(prepared) => prepared.start(context),
            None => Err(StartError::new(format!("there is no decoder {name}"))),
        }
    }
}

/// Two instances live at the same time; the second is what remains.
fn twice<K: ?Sized>(prepared: &dyn Prepared<K>, context: &StartContext) -> Result<Box<K>, String> {
    let first = prepared.start(context).map_err(|error| format!("does not start: {error}"))?;
    let second = prepared.start(context);
    drop(first);
    second.map_err(|error| format!("does not start a second time: {error}"))
}

fn decoder(
    prepared: &dyn Prepared<dyn Decoder>,
    context: &StartContext,
    seed: u64,
    records: usize,
) -> Result<(), String> {
    let mut decoder = twice(prepared, context)?;
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..records.div_ceil(BATCH_RECORDS) {
        let records: Vec<_> = (0..BATCH_RECORDS).map(|_| record(&mut random)).collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(&mut *decoder, context, &records)));
        match outcome {
            Ok(result) => result?,
            Err(_) => return Err(format!("panics on one of {records:?}, seed {seed}")),
        }
    }
    Ok(())
}

/// Decodes a batch as an input's feed does: records lie in the raw buffer, payloads are set.
fn decode(
    decoder: &mut dyn Decoder,
    context: &StartContext,
    records: &[Vec<u8>],
) -> Result<(), String> {
    let data = records.concat();
    let mut raw = BufferMut::unpooled(data.len());
    raw.copy_from_slice(&data);
    let raw = raw.freeze(data.len());
    let envelope = Arc::new(Envelope::new("tested"));
    let mut builder = BatchBuilder::new(context.names.snapshot(), envelope, raw.clone(), NOW_NS);
    let mut begin = 0;
    for record in records {
        let data = &raw[begin..begin + record.len()];
        begin += record.len();
        let before = builder.len();
        let mut record = builder.record();
        record.payload(data);
        let decoded = decoder.decode(data, &mut record);
        let kept = match &decoded {
            Ok(Decode::Done) => record.commit().is_ok(),
            Ok(Decode::Discard) => {
                record.discard();
                true
            }
            Err(_) => {
                drop(record);
                false
            }
        };
        if !kept && builder.len() != before {
            return Err(format!("leaves half a record of {data:?}"));
        }
        if let Err(error) = decoded
            && error.offset().is_some_and(|offset| offset > data.len())
        {
            return Err(format!("names a byte that is not there, {error}, in {data:?}"));
        }
    }
    let batch = builder.finish();
    // What was made can be read.
    let fields = batch.records().flat_map(|record| record.fields()).count();
    if fields > 0 && batch.is_empty() {
        return Err("has fields without records".to_owned());
    }
    Ok(())
}

fn splitter(
    prepared: &dyn Prepared<dyn Splitter>,
    context: &StartContext,
    seed: u64,
) -> Result<(), String> {
    let mut splitter = twice(prepared, context)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut data = Vec::new();
    let mut seen = 0;
    for _ in 0..BLOCKS {
        data.extend((0..4).flat_map(|_| record(&mut random)));
        let mut frames = Frames::default();
        let consumed = splitter.split(&data, Scan { seen }, &mut frames);
        holds(&frames, consumed, data.len()).map_err(|text| format!("{text}, seed {seed}"))?;
        data.drain(..consumed);
        seen = data.len();
        if data.len() > 64 << 10 || random.u8(..) == 0 {
            let mut frames = Frames::default();
            splitter.finish(&data, true, &mut frames);
            holds(&frames, data.len(), data.len())
                .map_err(|text| format!("{text}, seed {seed}"))?;
            splitter.reset();
            data.clear();
            seen = 0;
        }
    }
    Ok(())
}

/// Records lie one behind the other in what is done with.
fn holds(frames: &Frames, consumed: usize, len: usize) -> Result<(), String> {
    if consumed > len {
        return Err(format!("is done with {consumed} of {len} bytes"));
    }
    let mut end = 0;
    for frame in frames.list() {
        let range = frame.range();
        if range.start < end || range.end > consumed {
            return Err(format!("finds a record at {range:?} behind {end}, done with {consumed}"));
        }
        end = range.end;
    }
    Ok(())
}

/// Pieces of what decoders read, so that random bytes get past their first check.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u12",
    ":",
    ",",
    "=",
    " ",
    "-",
    "%",
    "<34>",
    "1 ",
    "2003-10-11T22:14:15.003Z",
    "Oct 11 22:14:15",
    "[10/Oct/2000:13:55:36 -0700]",
    "\"GET / HTTP/1.1\"",
    "127.0.0.1",
    "::1",
    "200",
    "1e999",
    "-0",
    "null",
    "true",
    "é",
    "\n",
    "msg=",
    "\u{1e}\u{2}\u{8}",
    "\u{1f}",
    "error",
];

/// Random bytes, random pieces, or pieces with some bytes changed.
fn record(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = random.usize(..RECORD_BYTES_MAX);
    let kind = random.u8(..3);
    while bytes.len() < length {
        if kind == 0 {
            bytes.push(random.u8(..));
        } else {
            bytes.extend_from_slice(PIECES[random.usize(..PIECES.len())].as_bytes());
        }
    }
    if kind == 2 && !bytes.is_empty() {
        for _ in 0..random.usize(1..5) {
            let place = random.usize(..bytes.len());
            bytes[place] = random.u8(..);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_message::RecordBuilder;
    use heka_plugin::DecodeError;

    /// Makes no decoder.
    struct NoDecoders;

    impl MakeDecoder for NoDecoders {
        fn make_decoder(
            &self,
            name: &str,
            _: &StartContext,
        ) -> Result<Box<dyn Decoder>, StartError> {
            Err(StartError::new(format!("there is no decoder {name}")))
        }
    }

    /// Fails after it made a message.
    struct Half;

    impl Decoder for Half {
        fn decode(
            &mut self,
            data: &[u8],
            record: &mut RecordBuilder<'_>,
        ) -> Result<Decode, DecodeError> {
            record.emit().map_err(|error| DecodeError::new(error.to_string()))?;
            Err(DecodeError::at(data.len() + 1, "too late"))
        }
    }

    #[test]
    fn a_decoder_that_fails_late_leaves_nothing_and_its_offset_is_checked() {
        let context = context(Arc::new(NoDecoders));
        let error = decode(&mut Half, &context, &[b"abc".to_vec()]).unwrap_err();
        assert!(error.starts_with("names a byte that is not there"), "{error}");
    }

    #[test]
    fn records_out_of_place_are_found() {
        let mut frames = Frames::default();
        frames.push(0..3);
        frames.push(3..9);
        assert_eq!(holds(&frames, 9, 9), Ok(()));
        assert!(holds(&frames, 8, 9).is_err());
        assert!(holds(&frames, 10, 9).is_err());
        frames.push(4..5);
        assert!(holds(&frames, 9, 9).is_err());
    }
}
