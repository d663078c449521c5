//! Encoded records: sharing, framing, rejection, pieces.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heka_matcher::Matcher;
use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Record};
use heka_plugin::{
    Encode, EncodeBuffer, EncodeError, Encoded, Encoder, EncoderRunner, LimitedLog, PluginCounts,
};
use heka_stream::{
    Consumer, ConsumerOptions, Delivery, DropReason, ManualClock, Route, SourceCounts, Stream,
};

/// Emits the payload as it is; `+` in front appends a byte; refuses `refuse`, has nothing for `nothing`.
struct Payload;

impl Encoder for Payload {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        out.share(record.payload());
        match record.payload() {
            b"refuse" => return Err(EncodeError::new("refused")),
            b"nothing" => return Ok(Encode::Nothing),
            payload if payload.starts_with(b"+") => out.bytes().push(b'!'),
            _ => {}
        }
        Ok(Encode::Done)
    }
}

/// Emits the payload as it is, and says so.
struct Plain;

impl Encoder for Plain {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        out.share(record.payload());
        Ok(Encode::Done)
    }

    fn is_payload(&self) -> bool {
        true
    }
}

fn delivery(raw: &[u8], cuts: &[std::ops::Range<usize>]) -> (Delivery, Arc<Consumer>) {
    let names = NameRegistry::new();
    let stream = Stream::new(1 << 20, Arc::clone(&names), Arc::new(ManualClock::new(0)));
    let consumer = Consumer::new(ConsumerOptions::new("out"));
    let matcher = Matcher::parse("TRUE").unwrap().0;
    stream.set_routes(&[Route { matcher, consumer: Arc::clone(&consumer) }]).unwrap();
    let raw = Buffer::from(raw.to_vec());
    let envelope = Arc::new(Envelope::new("in"));
    let mut builder = BatchBuilder::new(names.snapshot(), envelope, raw.clone(), 1);
    for cut in cuts {
        let mut record = builder.record();
        record.payload(&raw[cut.clone()]);
        record.commit().unwrap();
    }
    let mut source = stream.source(Arc::new(SourceCounts::default()));
    let appended = source.append(builder.finish(), 1);
    let Poll::Ready(result) = pin!(appended).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("had to wait")
    };
    result.unwrap();
    (consumer.try_next().unwrap(), consumer)
}

fn header(len: usize, out: &mut Vec<u8>) {
    out.extend([0x1e, len as u8]);
}

fn runner(frame: Option<fn(usize, &mut Vec<u8>)>) -> EncoderRunner {
    EncoderRunner {
        encoder: Box::new(Payload),
        frame,
        max_message_size: 100,
        names: NameRegistry::new(),
        counts: Arc::new(PluginCounts::default()),
        log: LimitedLog::default(),
        letters: None,
    }
}

fn records(encoded: &Encoded) -> Vec<String> {
    let mut records = Vec::new();
    let result: Result<(), ()> = encoded.each_record(|_, bytes| {
        records.push(String::from_utf8_lossy(bytes).into_owned());
        Ok(())
    });
    result.unwrap();
    records
}

#[test]
fn neighbouring_payloads_go_out_as_one_piece_of_the_batch() {
    let text = "0123456789".repeat(30);
    let cuts: Vec<_> = (0..30).map(|line| line * 10..line * 10 + 10).collect();
    let (delivery, _) = delivery(text.as_bytes(), &[0..100, 100..110, 110..300]);
    let mut encoded = Encoded::new();
    runner(None).encode(delivery, &mut encoded, "out", 0).delivered();
    assert_eq!(encoded.slices(0).count(), 1);
    assert_eq!((encoded.len(), encoded.record_count()), (300, 3));
    assert_eq!(encoded.slices(250).next().unwrap(), &text.as_bytes()[250..]);
    assert_eq!((encoded.records_before(109), encoded.records_before(110)), (1, 2));

    let (delivery, _) = self::delivery(text.as_bytes(), &cuts);
    encoded.clear();
    runner(None).encode(delivery, &mut encoded, "out", 0).delivered();
    assert_eq!(encoded.to_vec(), text.as_bytes(), "short ones too, shared or not");
    assert_eq!(records(&encoded).len(), 30);
}

#[test]
fn made_and_shared_bytes_keep_their_order() {
    let long = "x".repeat(80);
    let raw = format!("{long}+{long}short");
    let (delivery, _) = delivery(raw.as_bytes(), &[0..80, 80..161, 161..166]);
    let mut encoded = Encoded::new();
    runner(None).encode(delivery, &mut encoded, "out", 0).delivered();
    assert_eq!(records(&encoded), [long.clone(), format!("+{long}!"), "short".to_owned()]);
    assert_eq!(encoded.to_vec(), format!("{long}+{long}!short").into_bytes());
}

#[test]
fn refused_records_leave_no_trace_but_their_count() {
    let (delivery, consumer) = delivery(b"firstrefusenothinglast", &[0..5, 5..11, 11..18, 18..22]);
    let mut encoded = Encoded::new();
    let mut runner = runner(None);
    runner.encode(delivery, &mut encoded, "out", 0).delivered();
    assert_eq!(records(&encoded), ["first", "last"]);
    assert_eq!(runner.counts.encode_failed.get(), 1);
    assert_eq!(consumer.counts().dropped(DropReason::Rejected), 1);
    assert_eq!(consumer.counts().delivered(), 3);
}

#[test]
fn frames_go_before_records_and_too_long_ones_are_rejected() {
    let raw = "y".repeat(101) + "ab" + &"z".repeat(90) + "+c";
    let (delivery, consumer) = delivery(raw.as_bytes(), &[0..101, 101..103, 103..193, 193..195]);
    let mut encoded = Encoded::new();
    runner(Some(header)).encode(delivery, &mut encoded, "out", 0).delivered();
    let long = format!("\x1e{}{}", 90 as char, "z".repeat(90));
    assert_eq!(records(&encoded), ["\x1e\x02ab".to_owned(), long, "\x1e\x03+c!".to_owned()]);
    assert_eq!(consumer.counts().dropped(DropReason::Rejected), 1);
}

#[test]
fn what_came_in_as_frames_goes_out_as_the_same_bytes() {
    let body = "b".repeat(70);
    let frame = format!("\x1e{}{body}", 70 as char);
    let raw = frame.repeat(3);
    let (delivery, _) = delivery(raw.as_bytes(), &[2..72, 74..144, 146..216]);
    let mut encoded = Encoded::new();
    runner(Some(header)).encode(delivery, &mut encoded, "out", 0).delivered();
    assert_eq!(encoded.to_vec(), raw.as_bytes());
    assert_eq!(encoded.slices(0).count(), 1, "frames and bodies are one piece");
}

#[test]
fn an_encoder_of_payloads_gives_the_same_with_and_without_saying_so() {
    let text = "0123456789".repeat(30);
    for cuts in
        [vec![0..100, 100..110, 110..300], vec![0..70, 80..90, 90..95, 5..80], vec![0..5, 5..9]]
    {
        let mut seen = Vec::new();
        for plain in [true, false] {
            let (delivery, _) = delivery(text.as_bytes(), &cuts);
            let mut encoded = Encoded::new();
            let mut runner = runner(None);
            if plain {
                runner.encoder = Box::new(Plain);
            }
            runner.encode(delivery, &mut encoded, "out", 0).delivered();
            seen.push((encoded.to_vec(), records(&encoded)));
        }
        assert_eq!(seen[0], seen[1]);
    }
}
