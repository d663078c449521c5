//! Frames byte for byte as the original writes them, and streams as it reads them, its defects done right.

use heka_wire::{
    FrameScanner, Keys, MESSAGE_BYTES_MAX_DEFAULT, SignatureHash, Signer, Skipped, WireError,
    frame_in_place, write_frame_header, write_unsigned_frame_header,
};
use proptest::prelude::*;

use crate::examples::{FULL_MESSAGE, TEST_MESSAGE};
use crate::support::hex;

const MAX: usize = MESSAGE_BYTES_MAX_DEFAULT;
const LONG_KEY: &[u8] = b"4865ey9urgkidls xtb0[7lf9rzcivthkm";
const SIGNED_MD5: &str =
    "08 03 18 00 22 03 6f 70 73 28 01 32 10 ef 57 20 16 e7 cd 82 c6 aa 0c 8f 77 8d 49 26 47";
const SIGNED_SHA1: &str = "08 03 18 01 22 03 6f 70 73 28 01 32 14
    cb 48 4e fa e3 e0 66 63 64 b5 30 14 f7 0e 00 0a 83 ba ca fa";

/// A frame around a header given in hex.
fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
    let header = hex(header);
    let mut frame = vec![0x1e, header.len() as u8];
    frame.extend_from_slice(&header);
    frame.push(0x1f);
    frame.extend_from_slice(body);
    frame
}

fn framed(body: &[u8], signer: Option<&Signer>) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame_header(body, signer, usize::MAX, &mut out).unwrap();
    out.extend_from_slice(body);
    out
}

/// What a scanner finds: bodies with signers, what is left, what was passed over.
#[derive(Debug, PartialEq, Default)]
struct Found {
    bodies: Vec<(Vec<u8>, Vec<u8>)>,
    left: usize,
    skipped: Skipped,
}

impl Found {
    fn bodies(&self) -> Vec<&[u8]> {
        self.bodies.iter().map(|(body, _)| &body[..]).collect()
    }
}

fn scan_all(scanner: &mut FrameScanner, bytes: &[u8], at_end: bool) -> Found {
    let mut found = Found::default();
    let mut at = 0;
    loop {
        let scan = scanner.scan(&bytes[at..], at_end);
        at += scan.consumed;
        found.skipped.add(&scan.skipped);
        let Some(frame) = scan.frame else {
            assert!(scan.wanted > bytes.len() - at, "there was more to find");
            found.left = bytes.len() - at;
            return found;
        };
        assert!(frame.bytes.ends_with(frame.body) && frame.bytes[0] == 0x1e);
        found.bodies.push((frame.body.to_vec(), frame.signer.to_vec()));
    }
}

fn scanned(bytes: &[u8]) -> Found {
    scan_all(&mut FrameScanner::authenticated(MAX, Keys::new()), bytes, false)
}

fn scanned_with_key(bytes: &[u8], name: &str, key: &[u8]) -> Found {
    let mut keys = Keys::new();
    keys.add(name, key);
    scan_all(&mut FrameScanner::authenticated(MAX, keys), bytes, false)
}

#[test]
fn an_unsigned_frame_is_written_as_heka_writes_it() {
    let body = hex(TEST_MESSAGE);
    assert_eq!(framed(&body, None), [&hex("1e 02 08 10 1f")[..], &body].concat());
    assert_eq!(framed(&hex(FULL_MESSAGE), None)[..6], hex("1e 03 08 b4 01 1f"));
}

#[test]
fn signed_frames_are_written_as_heka_writes_them() {
    let signer = Signer::new("test", 0, SignatureHash::Md5, b"");
    let header = "1e 1c 08 10 22 04 74 65 73 74 28 00 32 10
        78 35 7e 36 35 38 3f 9f bc 75 98 46 1b 05 ef 2d 1f";
    let body = hex(TEST_MESSAGE);
    assert_eq!(framed(&body, Some(&signer)), [hex(header), body].concat());

    let body = hex(FULL_MESSAGE);
    let signer = Signer::new("test", 0, SignatureHash::from_name("other"), LONG_KEY);
    let header = "1e 1d 08 b4 01 22 04 74 65 73 74 28 00 32 10
        f4 11 80 1d c1 9c f2 f5 dc c7 8d 79 71 df 40 aa 1f";
    assert_eq!(framed(&body, Some(&signer)), [&hex(header)[..], &body].concat());
    let signer = Signer::new("test", 1, SignatureHash::from_name("sha1"), LONG_KEY);
    let header = "1e 23 08 b4 01 18 01 22 04 74 65 73 74 28 01 32 14
        ff ff 60 86 ee d7 fb 8c 93 16 6e 1b f3 bf 1d 23 27 74 85 4a 1f";
    assert_eq!(framed(&body, Some(&signer)), [&hex(header)[..], &body].concat());
}

#[test]
fn framing_in_place_is_framing() {
    let signer = Signer::new("ops", 3, SignatureHash::Sha1, b"k");
    for (body, signer) in [(&b""[..], None), (b"MSG", None), (&[7; 300], Some(&signer))] {
        let mut out = b"before".to_vec();
        out.extend_from_slice(body);
        frame_in_place(&mut out, 6, signer, MAX).unwrap();
        assert_eq!(out[6..], framed(body, signer));
        assert_eq!(&out[..6], b"before");
        let mut header = Vec::new();
        write_unsigned_frame_header(body.len(), &mut header);
        header.extend_from_slice(body);
        assert_eq!(header, framed(body, None));
    }
}

#[test]
fn what_does_not_fit_a_frame_is_refused_and_leaves_nothing() {
    let mut out = b"x".to_vec();
    let error = write_frame_header(&[0; 1025], None, 1024, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "requires 1025 bytes (MAX_MESSAGE_SIZE = 1024)");
    write_frame_header(&[0; 1024], None, 1024, &mut Vec::new()).unwrap();
    let long = Signer::new(&"s".repeat(300), 0, SignatureHash::Md5, b"k");
    let error = write_frame_header(b"MSG", Some(&long), 1024, &mut out).unwrap_err();
    assert!(matches!(error, WireError::HeaderTooLong { length: 325, max: 255 }), "{error}");
    assert_eq!(out, b"x");
    out.extend_from_slice(b"MSG");
    frame_in_place(&mut out, 1, Some(&long), 1024).unwrap_err();
    assert_eq!(out, b"x");
}

#[test]
fn a_frame_is_found() {
    let found = scanned(&hex("1e 02 08 03 1f 4d 53 47"));
    assert_eq!((found.bodies(), found.left), (vec![&b"MSG"[..]], 0));
    assert!(found.skipped.is_empty());
}

#[test]
fn junk_between_frames_is_passed_over_and_counted() {
    let frame = framed(b"MSG", None);
    let found = scanned(&[b"junk", &frame[..], b"BOGUS", &frame].concat());
    assert_eq!(found.bodies(), [b"MSG", b"MSG"]);
    assert_eq!(found.skipped, Skipped { stray_bytes: 9, ..Skipped::default() });
    assert_eq!(scanned(b"no frame at all").left, 0);
}

#[test]
fn a_false_start_is_passed_over() {
    let frame = framed(b"MSG", None);
    for false_start in ["1e 02 08 03 ff", "1e 02 08 05", "67 61 1e 02 08 05"] {
        let found = scanned(&[hex(false_start), frame.clone()].concat());
        assert_eq!(found.bodies(), [b"MSG"], "{false_start}");
        let passed = found.skipped.stray_bytes + found.skipped.malformed_bytes;
        assert_eq!(passed, hex(false_start).len() as u64);
    }
}

#[test]
fn separators_inside_a_body_do_not_matter() {
    let body = hex("01 1e 02 1e 03");
    assert_eq!(scanned(&framed(&body, None)).bodies(), [&body[..]]);
}

#[test]
fn a_message_over_the_limit_is_passed_over() {
    let frame = framed(b"MSG", None);
    let found = scanned(&[framed(&[1; 65_537], None), frame.clone()].concat());
    assert_eq!(found.bodies(), [b"MSG"]);
    let problem = Some(WireError::MessageTooLong { length: 65_537, max: 65_536 });
    assert_eq!(
        found.skipped,
        Skipped { oversized_bytes: 65_537 + 7, oversized_frames: 1, problem, ..Skipped::default() }
    );
    let found = scanned(&[framed(&[1; 65_536], None), frame.clone()].concat());
    assert_eq!((found.bodies.len(), found.skipped.is_empty()), (2, true));
    // A frame inside is found, as the search goes on behind the separator.
    let found = scanned(&framed(&[&[1; 70_000], &frame[..]].concat(), None));
    assert_eq!(found.bodies(), [b"MSG"]);
}

#[test]
fn bytes_of_an_oversized_frame_that_come_later_count_as_such() {
    let oversized = framed(&[1; 2_000], None);
    let mut scanner = FrameScanner::unauthenticated(1_024);
    let first = scan_all(&mut scanner, &oversized[..1_500], false);
    let second = scan_all(&mut scanner, &oversized[1_500..], false);
    let frame = framed(b"MSG", None);
    let third = scan_all(&mut scanner, &[&frame[..], b"junk"].concat(), false);
    assert_eq!((first.skipped.oversized_bytes, second.skipped.oversized_bytes), (1_500, 506));
    assert_eq!((third.bodies.len(), third.skipped.stray_bytes), (1, 4));
}

/// The original took them for frames.
#[test]
fn broken_headers_and_headers_without_a_length_are_no_frames() {
    let frame = framed(b"MSG", None);
    let broken = with_header("08 00 22 05 61", b"");
    let found = scanned(&[&broken[..], &frame].concat());
    assert_eq!(found.bodies(), [b"MSG"]);
    assert_eq!(found.skipped.problem, Some(WireError::Length { offset: 3, length: 5 }));
    assert_eq!(found.skipped.malformed_bytes, broken.len() as u64);
    for header in ["", "28 01"] {
        let found = scanned(&[&with_header(header, b"")[..], &frame].concat());
        assert_eq!(found.bodies(), [b"MSG"], "{header}");
    }
    assert_eq!(scanned(&with_header("08 00", b"")).bodies(), [b""], "a length of 0 is one");
}

#[test]
fn cut_frames_wait_for_more_bytes() {
    let frame = [&framed(b"MESSAGE", None)[..], b"\x1e"].concat();
    for cut in 1..frame.len() - 1 {
        let found = scanned(&frame[..cut]);
        assert_eq!((found.bodies.len(), found.left), (0, cut));
    }
    let found = scanned(&frame);
    assert_eq!((found.bodies.len(), found.left), (1, 1));
}

#[test]
fn at_the_end_a_false_start_hides_no_frame() {
    let stream = [&hex("1e ff 00")[..], &framed(b"MSG", None), b"\x1e\x02\x08"].concat();
    let mut scanner = FrameScanner::unauthenticated(MAX);
    assert_eq!(scan_all(&mut scanner, &stream, false).left, stream.len());
    let found = scan_all(&mut scanner, &stream, true);
    assert_eq!((found.bodies(), found.left), (vec![&b"MSG"[..]], 0));
    assert_eq!(found.skipped.malformed_bytes, 6);
}

#[test]
fn verified_signers_are_told() {
    for header in [SIGNED_MD5, SIGNED_SHA1] {
        let found = scanned_with_key(&with_header(header, b"MSG"), "ops_1", b"k");
        assert_eq!(found.bodies, [(b"MSG".to_vec(), b"ops".to_vec())]);
    }
}

#[test]
fn frames_with_a_bad_signature_are_dropped_and_counted() {
    let frame = with_header(SIGNED_MD5, b"MSG");
    let unknown_hash = with_header(&SIGNED_MD5.replacen("18 00", "18 02", 1), b"MSG");
    let cut_digest = with_header(&SIGNED_MD5.replace("32 10", "32 0f").replace(" 47", ""), b"MSG");
    for (what, frame, name, key) in [
        ("wrong key", &frame, "ops_1", &b"l"[..]),
        ("other version", &frame, "ops_2", b"k"),
        ("other signer", &frame, "dev_1", b"k"),
        ("other body", &with_header(SIGNED_MD5, b"MSH"), "ops_1", b"k"),
        ("unknown hash function", &unknown_hash, "ops_1", b"k"),
        ("cut digest", &cut_digest, "ops_1", b"k"),
    ] {
        let stream = [&frame[..], &framed(b"next", None)].concat();
        let found = scanned_with_key(&stream, name, key);
        assert_eq!(found.bodies(), [b"next"], "{what}");
        assert_eq!(
            (found.skipped.unverified_frames, found.skipped.unverified_bytes),
            (1, frame.len() as u64),
            "{what}"
        );
    }
    assert_eq!(scanned(&frame).bodies.len(), 0, "no key at all");
}

#[test]
fn without_authentication_nobody_is_a_signer() {
    let mut scanner = FrameScanner::unauthenticated(MAX);
    let found = scan_all(&mut scanner, &with_header(SIGNED_MD5, b"MSX"), false);
    assert_eq!(found.bodies, [(b"MSX".to_vec(), Vec::new())]);
}

/// The original believed the name.
#[test]
fn a_signer_without_a_signature_is_none() {
    let frame = with_header("08 03 22 0c 6f 70 73 6f 70 73 6f 70 73 6f 70 73", b"MSG");
    for found in [scanned(&frame), scanned_with_key(&frame, "opsopsopsops_0", b"k")] {
        assert_eq!(found.bodies, [(b"MSG".to_vec(), Vec::new())]);
    }
}

#[test]
fn keys_are_not_printed() {
    let mut keys = Keys::new();
    keys.add("ops_1", b"secret");
    let signer = Signer::new("ops", 1, SignatureHash::Md5, b"secret");
    assert_eq!(format!("{keys:?} {signer:?}"), "{\"ops_1\"} Signer(ops_1)");
}

proptest! {
    #[test]
    fn frames_are_found_however_the_stream_is_cut(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        cuts in proptest::collection::vec(1_usize..30, 1..40),
    ) {
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body, None)).collect();
        let mut scanner = FrameScanner::unauthenticated(MAX);
        let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
        for cut in cuts.iter().copied().chain([stream.len()]) {
            end = (end + cut).min(stream.len());
            let part = scan_all(&mut scanner, &stream[start..end], false);
            found.extend(part.bodies.into_iter().map(|(body, _)| body));
            start = end - part.left;
        }
        prop_assert_eq!((found, start), (bodies, stream.len()));
    }

    #[test]
    fn every_byte_is_consumed_or_left_whatever_comes(
        bytes in proptest::collection::vec(
            prop_oneof![Just(0x1e_u8), Just(0x1f), Just(0x08), 0_u8..5, any::<u8>()], 0..300),
        at_end in any::<bool>(),
    ) {
        let mut scanner = FrameScanner::authenticated(50, Keys::new());
        let (mut at, mut framed) = (0, 0);
        let mut skipped = Skipped::default();
        loop {
            let scan = scanner.scan(&bytes[at..], at_end);
            at += scan.consumed;
            skipped.add(&scan.skipped);
            let Some(frame) = scan.frame else { break };
            framed += frame.bytes.len();
        }
        let passed = skipped.stray_bytes + skipped.malformed_bytes + skipped.oversized_bytes
            + skipped.unverified_bytes;
        prop_assert_eq!(passed as usize + framed, at);
        prop_assert!(!at_end || at == bytes.len());
    }
}
