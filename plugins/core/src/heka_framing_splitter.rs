//! Records in Heka's own frames, with their signatures.
//!
//! Here: options and logging. Not here: the frames themselves (`heka-wire`).

use std::collections::BTreeMap;
use std::sync::Arc;

use heka_config::Secret;
use heka_plugin::{
    Defaults, FieldProblems, Frames, LimitedLog, NO_DEFAULTS, Plugin, PluginConfig, Scan, Splitter,
    StartContext, StartError,
};
use heka_wire::{FrameScanner, Keys, Skipped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Splits a stream of Heka's frames, which carry a length and may carry a signature.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HekaFramingSplitterConfig {
    /// Keys of signers, a table `[NAME.signer.SIGNER_VERSION]` for each version of a signer's key.
    pub signer: BTreeMap<String, SignerKey>,
    /// Delivers frames without a look at their signature; no message then has a signer.
    pub skip_authentication: bool,
}

/// A key that signatures are verified with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SignerKey {
    /// The key; its bytes are taken as they stand.
    pub hmac_key: Secret,
}

impl PluginConfig for HekaFramingSplitterConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        for name in self.signer.keys() {
            if signer_of(name).is_none() {
                let key = format!("signer.{name}");
                problems.error(&key, "must end with _ and the number of the key's version");
            }
        }
    }
}

/// The signer's name in `<name>_<version>`.
fn signer_of(key_name: &str) -> Option<&str> {
    let (name, version) = key_name.rsplit_once('_')?;
    version.parse::<u32>().is_ok().then_some(name)
}

impl Plugin for HekaFramingSplitter {
    const NAME: &'static str = "HekaFramingSplitter";
    const PAGE: &'static str = include_str!("heka_framing_splitter.md");
    const DEFAULTS: Defaults = Defaults { use_message_bytes: true, ..NO_DEFAULTS };
    type Config = HekaFramingSplitterConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let mut keys = Keys::new();
        let mut signers: Vec<Box<[u8]>> = Vec::new();
        for (name, key) in &config.signer {
            keys.add(name, key.hmac_key.expose().as_bytes());
            let signer = signer_of(name).unwrap_or(name).as_bytes();
            if !signers.iter().any(|known| **known == *signer) {
                signers.push(signer.into());
            }
        }
        if u16::try_from(signers.len()).is_err() {
            return Err(StartError::new("more signers than a record can tell apart"));
        }
        let scanner = if config.skip_authentication {
            FrameScanner::unauthenticated(context.max_message_size)
        } else {
            FrameScanner::authenticated(context.max_message_size, keys)
        };
        Ok(Self { scanner, signers, context: context.clone(), log: Arc::default() })
    }
}

/// See [`HekaFramingSplitterConfig`].
#[derive(Debug)]
pub struct HekaFramingSplitter {
    scanner: FrameScanner,
    /// Names of the signers; a record carries the place plus one.
    signers: Vec<Box<[u8]>>,
    context: StartContext,
    log: Arc<LimitedLog>,
}

impl Splitter for HekaFramingSplitter {
    fn split(&mut self, data: &[u8], _: Scan, frames: &mut Frames) -> usize {
        self.scan(data, false, frames)
    }

    /// Only whole frames are records; what was cut off is skipped and counted.
    fn finish(&mut self, data: &[u8], _: bool, frames: &mut Frames) {
        self.scan(data, true, frames);
    }

    fn reset(&mut self) {
        self.scanner.reset();
    }

    fn signer(&self, number: u16) -> &[u8] {
        let place = usize::from(number).checked_sub(1);
        place.and_then(|place| self.signers.get(place)).map_or(&[], |name| name)
    }
}

impl HekaFramingSplitter {
    fn scan(&mut self, data: &[u8], at_end: bool, frames: &mut Frames) -> usize {
        let mut skipped = Skipped::default();
        let mut done = 0;
        loop {
            let scan = self.scanner.scan(&data[done..], at_end);
            done += scan.consumed;
            skipped.add(&scan.skipped);
            let Some(frame) = scan.frame else { break };
            frames.push_signed(done - frame.body.len()..done, self.number_of(frame.signer));
        }
        if !skipped.is_empty() {
            self.account(&skipped, frames);
        }
        done
    }

    fn number_of(&self, signer: &[u8]) -> u16 {
        if signer.is_empty() {
            return 0;
        }
        let place = self.signers.iter().position(|known| **known == *signer);
        place.map_or(0, |place| place as u16 + 1)
    }

    fn account(&self, skipped: &Skipped, frames: &mut Frames) {
        frames.skipped_bytes +=
            skipped.stray_bytes + skipped.malformed_bytes + skipped.oversized_bytes;
        frames.bad_signature += skipped.unverified_frames;
        if let Some(missed) = self.log.event(self.context.clock.now_ns()) {
            tracing::warn!(
                splitter = &*self.context.name,
                problem = skipped.problem.map(tracing::field::display),
                stray_bytes = skipped.stray_bytes,
                malformed_bytes = skipped.malformed_bytes,
                oversized_frames = skipped.oversized_frames,
                bad_signatures = skipped.unverified_frames,
                missed,
                "bytes that are no acceptable frame were skipped"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Feeding, Received, texts};
    use heka_wire::{SignatureHash, Signer, write_frame_header};

    const PAYLOADS: &str = "use_message_bytes = false\n";
    const KEY: &str = "[signer.ops_1]\nhmac_key = 'k'\n";

    fn framed(body: &[u8], signer: Option<&Signer>) -> Vec<u8> {
        let mut frame = Vec::new();
        write_frame_header(body, signer, usize::MAX, &mut frame).unwrap();
        frame.extend_from_slice(body);
        frame
    }

    fn received(config: &str, stream: &[u8]) -> Vec<Vec<u8>> {
        Feeding::of::<HekaFramingSplitter>(&format!("{PAYLOADS}{config}")).reads(&[stream])
    }

    fn with_signers(config: &str, stream: &[u8]) -> Vec<Received> {
        let mut feeding = Feeding::of::<HekaFramingSplitter>(&format!("{PAYLOADS}{config}"));
        feeding.reads(&[stream]);
        feeding.received()
    }

    #[test]
    fn bodies_of_frames_are_records() {
        assert_eq!(texts(&received("", b"\x1e\x02\x08\x03\x1fMSG")), ["MSG"]);
        let frame = framed(b"MSG", None);
        let stream = [b"junk", &frame[..], b"BOGUS", &frame].concat();
        assert_eq!(texts(&received("", &stream)), ["MSG", "MSG"]);
        let stream = [b"\x1e\x02\x08\x03\xff", &frame[..]].concat();
        assert_eq!(texts(&received("", &stream)), ["MSG"]);
        assert_eq!(received("", &framed(b"\x01\x1e\x02\x1e\x03", None)), [b"\x01\x1e\x02\x1e\x03"]);
    }

    #[test]
    fn frames_with_too_long_a_message_are_skipped_and_counted() {
        let frame = framed(b"F", None);
        let mut feeding = Feeding::of::<HekaFramingSplitter>(PAYLOADS);
        let stream = [&framed(&[0; 65_537], None)[..], &frame].concat();
        assert_eq!(texts(&feeding.reads(&[&stream])), ["F"]);
        assert_eq!(feeding.skipped_bytes(), 65_537 + 7);
        let stream = [&framed(&[0; 65_536], None)[..], &frame].concat();
        assert_eq!(received("", &stream).len(), 2);
    }

    #[test]
    fn frames_may_be_cut_anywhere() {
        let stream = [&framed(b"first", None)[..], &framed(b"second", None)].concat();
        let mut feeding = Feeding::of::<HekaFramingSplitter>(PAYLOADS);
        assert_eq!(texts(&feeding.chunks(&stream, 1)), ["first", "second"]);
        assert_eq!(feeding.left(), 0);
    }

    #[test]
    fn messages_with_a_verified_signature_know_their_signer() {
        for hash in [SignatureHash::Md5, SignatureHash::Sha1] {
            let signer = Signer::new("ops", 1, hash, b"k");
            let found = with_signers(KEY, &framed(b"MSG", Some(&signer)));
            assert_eq!(found, [Received::new(b"MSG", b"ops")]);
        }
    }

    #[test]
    fn frames_with_a_bad_signature_are_dropped_and_counted() {
        let other_key = Signer::new("ops", 1, SignatureHash::Md5, b"other");
        let other_version = Signer::new("ops", 2, SignatureHash::Md5, b"k");
        for (config, signer) in [(KEY, &other_key), (KEY, &other_version), ("", &other_key)] {
            let mut feeding = Feeding::of::<HekaFramingSplitter>(&format!("{PAYLOADS}{config}"));
            let stream = [framed(b"MSG", Some(signer)), framed(b"next", None)].concat();
            assert_eq!(texts(&feeding.reads(&[&stream])), ["next"]);
            assert_eq!(feeding.bad_signatures(), 1);
        }
    }

    #[test]
    fn without_authentication_there_is_no_signer() {
        let signer = Signer::new("ops", 1, SignatureHash::Md5, b"other");
        let config = format!("skip_authentication = true\n{KEY}");
        let found = with_signers(&config, &framed(b"MSG", Some(&signer)));
        assert_eq!(found, [Received::new(b"MSG", b"")]);
    }

    /// The original took the name without a signature for the signer.
    #[test]
    fn a_name_without_a_signature_is_no_signer() {
        let mut stream = b"\x1e\x10\x08\x03\x22\x0copsopsopsops\x1f".to_vec();
        stream.extend_from_slice(b"MSG");
        let config = "[signer.opsopsopsops_0]\nhmac_key = 'k'\n";
        assert_eq!(with_signers(config, &stream), [Received::new(b"MSG", b"")]);
    }

    #[test]
    fn a_false_start_at_the_end_hides_no_frame() {
        let stream = [b"\x1e\xff", &framed(b"MSG", None)[..]].concat();
        let config = format!("{PAYLOADS}deliver_incomplete_final = true");
        let mut feeding = Feeding::of::<HekaFramingSplitter>(&config);
        assert_eq!(texts(&feeding.stream(&[&stream])), ["MSG"]);
    }

    #[test]
    fn names_of_keys_end_with_a_version() {
        let check = |name: &str| {
            let mut config = HekaFramingSplitterConfig::default();
            config.signer.insert(name.to_owned(), SignerKey::default());
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            problems.is_empty()
        };
        assert!(check("ops_1") && check("dev_ops_12"));
        assert!(!check("ops") && !check("ops_") && !check("ops_x"));
    }
}
