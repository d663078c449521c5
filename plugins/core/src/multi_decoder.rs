//! Several decoders for one record: the first that fits, or all of them in turn.
//!
//! Here: the order of trying, and that a decoder that failed leaves nothing behind. Invariants: a decoder that
//! failed changes no message; in the cascade `all` each decoder sees every message that those before it made.

use std::sync::Arc;

use heka_message::{
    BatchBuilder, Buffer, Envelope, NameRegistry, Record, RecordBuilder, Variables,
};
use heka_plugin::{
    Clock, Decode, DecodeError, Decoder, FieldProblems, LimitedLog, Plugin, PluginConfig,
    StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A draft builder that grew past so many bytes is replaced: it keeps the names of all fields it ever saw.
const DRAFT_BYTES_MAX: usize = 64 << 10;

/// Most decoders in one MultiDecoder; each level of the cascade `all` takes stack.
const SUBS_MAX: usize = 64;

/// When a MultiDecoder is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CascadeStrategy {
    /// After the first decoder that did not fail.
    #[default]
    FirstWins,
    /// After all decoders, each applied to what the ones before it made.
    All,
}

/// Tries several decoders on each record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MultiDecoderConfig {
    /// Section names of the decoders, in the order they are tried; at least one, at most 64.
    #[schemars(extend("x-required" = true))]
    pub subs: Vec<String>,
    /// Logs each failure of one of the decoders; otherwise only that all failed is logged.
    pub log_sub_errors: bool,
    /// `first-wins` stops after the first decoder that does not fail; `all` runs each of them on every message
    /// that those before it made.
    pub cascade_strategy: CascadeStrategy,
}

impl PluginConfig for MultiDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let fits = (1..=SUBS_MAX).contains(&self.subs.len());
        problems.require(fits, "subs", format!("must name 1 to {SUBS_MAX} decoders"));
    }
}

impl Plugin for MultiDecoder {
    const NAME: &'static str = "MultiDecoder";
    const PAGE: &'static str = include_str!("multi_decoder.md");
    type Config = MultiDecoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let sub = |name: &String| {
            Ok(Sub {
                decoder: context.make_decoder(name)?,
                name: name.as_str().into(),
                draft: Draft::new(&context.names),
            })
        };
        Ok(Self {
            subs: config.subs.iter().map(sub).collect::<Result<_, StartError>>()?,
            strategy: config.cascade_strategy,
            failures: config.log_sub_errors.then(|| Failures {
                decoder: Arc::clone(&context.name),
                clock: Arc::clone(&context.clock),
                log: LimitedLog::default(),
            }),
        })
    }

    fn references(config: &Self::Config) -> Vec<String> {
        config.subs.clone()
    }
}

/// See [`MultiDecoderConfig`].
#[derive(Debug)]
pub struct MultiDecoder {
    subs: Vec<Sub>,
    strategy: CascadeStrategy,
    failures: Option<Failures>,
}

struct Sub {
    name: Box<str>,
    decoder: Box<dyn Decoder>,
    draft: Draft,
}

impl std::fmt::Debug for Sub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sub({})", self.name)
    }
}

impl Decoder for MultiDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let done = match self.strategy {
            CascadeStrategy::FirstWins => self.first_wins(data, record)?,
            CascadeStrategy::All => cascade(&mut self.subs, self.failures.as_ref(), data, record)?,
        };
        if done { Ok(Decode::Done) } else { Err(DecodeError::new("All subdecoders failed.")) }
    }
}

impl MultiDecoder {
    fn first_wins(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<bool, DecodeError> {
        let Some((last, others)) = self.subs.split_last_mut() else { return Ok(false) };
        let failures = self.failures.as_ref();
        for sub in others {
            let view = record.view();
            let before = sub.draft.copy_of(&view.record());
            if attempt(&mut *sub.decoder, &sub.name, failures, data, record)? {
                return Ok(true);
            }
            record.copy_from(&before.view().record());
        }
        // If that one fails too, nobody wants what it left.
        attempt(&mut *last.decoder, &last.name, failures, data, record)
    }
}

/// Runs the first of `subs` on the message, and the others on each message that comes of it. Tells if any of
/// them decoded anything.
fn cascade(
    subs: &mut [Sub],
    failures: Option<&Failures>,
    data: &[u8],
    record: &mut RecordBuilder<'_>,
) -> Result<bool, DecodeError> {
    let Some((sub, later)) = subs.split_first_mut() else { return Ok(false) };
    let Sub { name, decoder, draft } = sub;
    let view = record.view();
    let mut made = draft.copy_of(&view.record());
    if later.is_empty() {
        let decoded = attempt(&mut **decoder, name, failures, data, record)?;
        if !decoded {
            record.copy_from(&made.view().record());
        }
        return Ok(decoded);
    }
    // What it emits can only be worked on further if it lies in a batch of its own.
    if !attempt(&mut **decoder, name, failures, data, &mut made)? {
        drop(made);
        return cascade(later, failures, data, record);
    }
    if made.emitted() == 0 {
        let view = made.view();
        hand_on(later, failures, data, &view.record(), record)?;
        return Ok(true);
    }
    let refused = made.commit();
    refused.map_err(|error| DecodeError::new(error.to_string()))?;
    let messages = draft.take();
    for index in 0..messages.len() {
        let Some(message) = messages.committed(index) else { continue };
        if index > 0 {
            record.emit().map_err(|error| DecodeError::new(error.to_string()))?;
        }
        hand_on(later, failures, data, &message, record)?;
    }
    Ok(true)
}

/// Runs the later decoders on a message that an earlier one made.
fn hand_on(
    later: &mut [Sub],
    failures: Option<&Failures>,
    data: &[u8],
    message: &Record<'_>,
    record: &mut RecordBuilder<'_>,
) -> Result<(), DecodeError> {
    record.copy_from(message);
    // Of a record that is an encoded message, the next decoder reads the payload as soon as there is one.
    let data = if message.is_set(Variables::PAYLOAD) { message.payload() } else { data };
    cascade(later, failures, data, record)?;
    Ok(())
}

/// Runs one decoder. Tells if it made a message; making none without an error counts as failing.
fn attempt(
    decoder: &mut dyn Decoder,
    name: &str,
    failures: Option<&Failures>,
    data: &[u8],
    record: &mut RecordBuilder<'_>,
) -> Result<bool, DecodeError> {
    let emitted = record.emitted();
    let error = match decoder.decode(data, record) {
        Ok(Decode::Done) => return Ok(true),
        Ok(Decode::Discard) => None,
        Err(error) => Some(error),
    };
    if let Some(failures) = failures {
        failures.show(name, error.as_ref());
    }
    if record.emitted() > emitted {
        // Messages that were emitted cannot be taken back one by one, only with all of the record.
        let text = format!("subdecoder {name} failed after it made messages");
        return Err(error.unwrap_or_else(|| DecodeError::new(text)));
    }
    Ok(false)
}

/// Logs failures of single decoders.
#[derive(Debug)]
struct Failures {
    decoder: Arc<str>,
    clock: Arc<dyn Clock>,
    log: LimitedLog,
}

impl Failures {
    fn show(&self, sub: &str, error: Option<&DecodeError>) {
        let Some(missed) = self.log.event(self.clock.now_ns()) else { return };
        let error = error.map_or_else(|| "made no message".to_owned(), ToString::to_string);
        tracing::warn!(
            decoder = &*self.decoder,
            missed,
            "Subdecoder '{sub}' decode error: {error}"
        );
    }
}

/// A place for one message at a time, outside of the batch being built.
#[derive(Debug)]
struct Draft {
    names: Arc<NameRegistry>,
    builder: BatchBuilder,
}

impl Draft {
    fn new(names: &Arc<NameRegistry>) -> Self {
        Self { names: Arc::clone(names), builder: Self::builder(names) }
    }

    fn builder(names: &NameRegistry) -> BatchBuilder {
        BatchBuilder::new(names.snapshot(), Arc::new(Envelope::default()), Buffer::empty(), 0)
    }

    /// A copy of a message; it is gone when it is dropped.
    fn copy_of(&mut self, record: &Record<'_>) -> RecordBuilder<'_> {
        if self.builder.made_bytes() > DRAFT_BYTES_MAX {
            self.builder = Self::builder(&self.names);
        }
        let mut copy = self.builder.record();
        copy.copy_from(record);
        copy
    }

    /// The messages that were committed.
    fn take(&mut self) -> BatchBuilder {
        std::mem::replace(&mut self.builder, Self::builder(&self.names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf_decoder::ProtobufDecoder;
    use crate::scribble_decoder::ScribbleDecoder;
    use crate::test_support::{Decoding, encoded_message};
    use heka_message::{Batch, Value};

    /// Makes a field of each word of the payload; refuses one that contains `bad`, after having written.
    struct Words;

    impl Decoder for Words {
        fn decode(
            &mut self,
            data: &[u8],
            record: &mut RecordBuilder<'_>,
        ) -> Result<Decode, DecodeError> {
            let name = record.name_id(b"word");
            for word in data.split(|&byte| byte == b' ') {
                record.field(name, Value::Str(word));
                if word == b"bad" {
                    return Err(DecodeError::new("a bad word"));
                }
            }
            Ok(Decode::Done)
        }
    }

    /// Makes a message of each part of the payload between commas.
    struct Commas;

    impl Decoder for Commas {
        fn decode(
            &mut self,
            data: &[u8],
            record: &mut RecordBuilder<'_>,
        ) -> Result<Decode, DecodeError> {
            for (index, part) in data.split(|&byte| byte == b',').enumerate() {
                if index > 0 {
                    record.emit().map_err(|error| DecodeError::new(error.to_string()))?;
                }
                record.payload(part);
            }
            Ok(Decode::Done)
        }
    }

    /// Wants nothing of it.
    struct Nothing;

    impl Decoder for Nothing {
        fn decode(
            &mut self,
            _: &[u8],
            record: &mut RecordBuilder<'_>,
        ) -> Result<Decode, DecodeError> {
            record.payload("touched");
            Ok(Decode::Discard)
        }
    }

    fn decoding(config: &str) -> Decoding {
        Decoding::with_sections::<MultiDecoder>(config, |name, context| {
            Some(match name {
                "words" => Box::new(Words),
                "commas" => Box::new(Commas),
                "nothing" => Box::new(Nothing),
                "protobuf" => Decoding::decoder::<ProtobufDecoder>("", context),
                "type" => {
                    Decoding::decoder::<ScribbleDecoder>("[message_fields]\nType = 't'", context)
                }
                "inner" => {
                    Decoding::decoder::<MultiDecoder>("subs = ['nothing', 'words']", context)
                }
                _ => return None,
            })
        })
    }

    fn shown(batch: &Batch) -> Vec<String> {
        let show = |record: Record<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields: Vec<String> = record
                .fields()
                .map(|field| text(field.first().and_then(Value::as_bytes).unwrap_or(b"?")))
                .collect();
            format!(
                "{} {}: {}",
                text(record.message_type()),
                text(record.payload()),
                fields.join("/")
            )
        };
        batch.records().map(show).collect()
    }

    fn decoded(config: &str, data: &[u8]) -> Vec<String> {
        shown(&decoding(config).decode(data).unwrap())
    }

    #[test]
    fn the_first_that_does_not_fail_wins() {
        assert_eq!(decoded("subs = ['words', 'type']", b"a b"), [" a b: a/b"]);
        assert_eq!(decoded("subs = ['type', 'words']", b"a b"), ["t a b: "]);
    }

    /// The original left in place what a failed decoder had written.
    #[test]
    fn a_decoder_that_failed_leaves_nothing() {
        assert_eq!(decoded("subs = ['words', 'type']", b"a bad"), ["t a bad: "]);
        assert_eq!(decoded("subs = ['nothing', 'type']", b"x"), ["t x: "]);
        let broken = encoded_message(|record| {
            record.uuid(&[1; 16]).message_type("half");
        });
        let batch = decoding("subs = ['protobuf', 'words']").decode(&broken).unwrap();
        let record = batch.record(0).unwrap();
        assert_eq!((record.message_type(), record.logger()), (&b""[..], &b"in"[..]));
        assert_eq!((record.payload(), record.field_count()), (&broken[..], 1));
        let all = "cascade_strategy = 'all'\nsubs = ['words', 'type', 'nothing']";
        assert_eq!(decoded(all, b"a bad"), ["t a bad: "]);
    }

    #[test]
    fn it_fails_if_all_fail() {
        for strategy in ["first-wins", "all"] {
            let config = format!("cascade_strategy = '{strategy}'\nsubs = ['nothing', 'words']");
            let error = decoding(&config).decode(b"bad").unwrap_err();
            assert_eq!(error.to_string(), "All subdecoders failed.");
        }
    }

    #[test]
    fn all_decoders_work_on_what_the_ones_before_made() {
        let config = "cascade_strategy = 'all'\nsubs = ['protobuf', 'words', 'type']";
        let message = encoded_message(|record| {
            record.uuid(&[1; 16]).timestamp(5).payload("x y").message_type("old");
        });
        let batch = decoding(config).decode(&message).unwrap();
        assert_eq!(shown(&batch), ["t x y: x/y"]);
        let record = batch.record(0).unwrap();
        assert_eq!((record.timestamp(), record.uuid().map(|uuid| uuid.0)), (5, Some([1; 16])));
        assert_eq!(record.wire(), None);
    }

    #[test]
    fn an_untouched_message_keeps_its_bytes() {
        let message = encoded_message(|record| {
            record.uuid(&[1; 16]).timestamp(5).payload("bad");
        });
        for config in
            ["subs = ['protobuf']", "cascade_strategy = 'all'\nsubs = ['protobuf', 'words']"]
        {
            let batch = decoding(config).decode(&message).unwrap();
            assert_eq!(batch.record(0).unwrap().wire(), Some(&message[..]), "{config}");
        }
    }

    #[test]
    fn every_message_that_one_made_goes_through_the_others() {
        let config = "cascade_strategy = 'all'\nsubs = ['commas', 'words', 'type']";
        assert_eq!(decoded(config, b"a b,c bad,d"), ["t a b: a/b", "t c bad: ", "t d: d"]);
        let config = "cascade_strategy = 'all'\nsubs = ['commas', 'commas']";
        assert_eq!(decoded(config, b"a,b"), [" a: ", " b: "]);
        assert_eq!(decoded("subs = ['commas']", b"a,b"), [" a: ", " b: "]);
    }

    #[test]
    fn decoders_nest() {
        assert_eq!(decoded("subs = ['inner', 'type']", b"a"), [" a: a"]);
        assert_eq!(decoded("subs = ['inner', 'type']", b"bad"), ["t bad: "]);
    }

    /// A builder keeps the names of all fields that it ever saw.
    #[test]
    fn endless_new_names_do_not_grow_a_draft() {
        let names = NameRegistry::new();
        let mut draft = Draft::new(&names);
        let mut other = Draft::new(&names);
        for number in 0..1_000 {
            let mut message = other.copy_of(&Draft::new(&names).builder.record().view().record());
            let name = message.name_id(format!("{number:0>1000}").as_bytes());
            message.field(name, Value::Int(1));
            assert_eq!(draft.copy_of(&message.view().record()).view().record().field_count(), 1);
            assert!(draft.builder.made_bytes() < 2 * DRAFT_BYTES_MAX);
        }
    }

    #[test]
    fn it_names_the_decoders_that_it_needs() {
        let config =
            MultiDecoderConfig { subs: vec!["a".into(), "b".into()], ..Default::default() };
        assert_eq!(MultiDecoder::references(&config), ["a", "b"]);
        let mut problems = FieldProblems::new();
        config.validate(&mut problems);
        assert!(problems.is_empty());
        for (count, fits) in [(0, false), (SUBS_MAX, true), (SUBS_MAX + 1, false)] {
            let config = MultiDecoderConfig { subs: vec!["a".into(); count], ..Default::default() };
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            assert_eq!(problems.is_empty(), fits, "{count}");
        }
    }
}
