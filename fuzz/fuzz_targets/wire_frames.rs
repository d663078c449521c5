//! Frames in a stream: what is found does not depend on how the stream was read.

#![no_main]

use std::sync::OnceLock;

use heka_fuzz::{Chunks, choice};
use heka_wire::{FrameScanner, Keys, Skipped};
use libfuzzer_sys::fuzz_target;

/// Longest message; small, so that the limit is met.
const MESSAGE_BYTES_MAX: usize = 200;

/// Offset, frame, body and signer.
type Found = (usize, Vec<u8>, Vec<u8>, Vec<u8>);

fn keys() -> Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let mut keys = Keys::new();
        keys.add("test_0", b"key");
        keys
    });
    keys.clone()
}

/// Scans chunks of a stream as a splitter does.
fn scan<'a>(
    mut scanner: FrameScanner,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Found>, Skipped) {
    let (mut pending, mut offset, mut wanted) = (Vec::new(), 0, 0);
    let (mut found, mut skipped) = (Vec::new(), Skipped::default());
    for chunk in chunks.map(Some).chain([None]) {
        pending.extend_from_slice(chunk.unwrap_or(&[]));
        loop {
            let scan = scanner.scan(&pending, chunk.is_none());
            assert!(scan.consumed <= pending.len());
            skipped.add(&scan.skipped);
            if chunk.is_some() && pending.len() < wanted {
                assert!(scan.frame.is_none() && scan.consumed == 0, "more was wanted: {scan:?}");
            }
            wanted = scan.wanted;
            let frame = scan.frame.map(|frame| {
                let start = offset + scan.consumed - frame.bytes.len();
                assert!(frame.bytes.ends_with(frame.body));
                (start, frame.bytes.to_vec(), frame.body.to_vec(), frame.signer.to_vec())
            });
            offset += scan.consumed;
            pending.drain(..scan.consumed);
            match frame {
                Some(frame) => found.push(frame),
                None => break,
            }
        }
    }
    assert!(pending.is_empty(), "bytes are left at the end");
    (found, skipped)
}

fuzz_target!(|data: &[u8]| {
    let (seed, data) = choice(data);
    let scanner = match seed & 0x80 {
        0 => FrameScanner::unauthenticated(MESSAGE_BYTES_MAX),
        _ => FrameScanner::authenticated(MESSAGE_BYTES_MAX, keys()),
    };
    let (found, skipped) = scan(scanner.clone(), std::iter::once(data));
    let in_frames: usize = found.iter().map(|(_, bytes, ..)| bytes.len()).sum();
    let passed = skipped.stray_bytes
        + skipped.malformed_bytes
        + skipped.oversized_bytes
        + skipped.unverified_bytes;
    assert_eq!(in_frames + passed as usize, data.len(), "each byte is counted once");
    let chunked = scan(scanner, Chunks::new(seed, data));
    assert_eq!((found, skipped), chunked);
});
