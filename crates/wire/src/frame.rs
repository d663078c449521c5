//! Frames in a byte stream: writing them, and finding them again.
//!
//! A frame is `0x1e`, the length of its header, the header, `0x1f`, the body. The finder trusts nothing: what
//! does not hold together is passed over one separator at a time, so that a good frame behind or inside a bad
//! one is found. All bytes passed over are counted by reason.

use memchr::memchr;

use crate::encode::{write_bytes, write_number};
use crate::{
    Authentication, FrameHeader, HEADER_BYTES_MAX, Keys, RECORD_SEPARATOR, SignatureHash, Signer,
    UNIT_SEPARATOR, WireError,
};

/// Separator and header length before the header.
const PREFIX_BYTES: usize = 2;

/// Appends what stands before `body` in its frame; the body itself is left to the caller.
///
/// # Errors
/// If the body is longer than `message_bytes_max` or the header too long; `out` is then as it was.
pub fn write_frame_header(
    body: &[u8],
    signer: Option<&Signer>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    let signature = signer.map(|signer| (signer, signer.sign(body)));
    write_header(body.len(), signature, message_bytes_max, out)
}

/// Appends what stands before an unsigned body of `length` bytes, which the caller has found short enough.
///
/// A length that no frame can tell is written as the longest one.
pub fn write_unsigned_frame_header(length: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[RECORD_SEPARATOR, 0]);
    write_number(1, u64::from(u32::try_from(length).unwrap_or(u32::MAX)), out);
    // A tag and five bytes at most.
    out[start + 1] = (out.len() - start - PREFIX_BYTES) as u8;
    out.push(UNIT_SEPARATOR);
}

/// Makes the bytes of `out` from `start` on the body of a frame.
///
/// # Errors
/// As [`write_frame_header`]; `out` is then cut back to `start`.
pub fn frame_in_place(
    out: &mut Vec<u8>,
    start: usize,
    signer: Option<&Signer>,
    message_bytes_max: usize,
) -> Result<(), WireError> {
    let body_end = out.len();
    let body = out.get(start..).unwrap_or(&[]);
    let (length, signature) = (body.len(), signer.map(|signer| (signer, signer.sign(body))));
    if let Err(error) = write_header(length, signature, message_bytes_max, out) {
        out.truncate(start);
        return Err(error);
    }
    let header_bytes = out.len() - body_end;
    out[body_end - length..].rotate_right(header_bytes);
    Ok(())
}

fn write_header(
    length: usize,
    signature: Option<(&Signer, Vec<u8>)>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    if length > message_bytes_max || u32::try_from(length).is_err() {
        return Err(WireError::MessageTooLong { length, max: message_bytes_max });
    }
    let start = out.len();
    out.extend_from_slice(&[RECORD_SEPARATOR, 0]);
    write_number(1, length as u64, out);
    if let Some((signer, digest)) = signature {
        if signer.hash() == SignatureHash::Sha1 {
            write_number(3, SignatureHash::Sha1 as u64, out);
        }
        write_bytes(4, signer.name(), out);
        write_number(5, u64::from(signer.version()), out);
        write_bytes(6, &digest, out);
    }
    let header_bytes = out.len() - start - PREFIX_BYTES;
    let Ok(header_length) = u8::try_from(header_bytes) else {
        out.truncate(start);
        return Err(WireError::HeaderTooLong { length: header_bytes, max: HEADER_BYTES_MAX });
    };
    out[start + 1] = header_length;
    out.push(UNIT_SEPARATOR);
    Ok(())
}

/// A frame found in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The whole frame, its header included.
    pub bytes: &'a [u8],
    /// What it carries; normally an encoded message.
    pub body: &'a [u8],
    /// Name of the signer whose signature was verified; empty if there is none.
    pub signer: &'a [u8],
}

/// What one look into a stream yielded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The next good frame; `None` if more bytes are needed.
    pub frame: Option<Frame<'a>>,
    /// Bytes that are done with, the frame included: the next look begins behind them.
    pub consumed: usize,
    /// Bytes that must lie behind the consumed ones for the next look to find anything; 0 with a frame.
    pub wanted: usize,
    /// What was passed over.
    pub skipped: Skipped,
}

/// Bytes and frames that were passed over, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// Bytes outside of frames.
    pub stray_bytes: u64,
    /// Bytes of what looked like a frame and was none: no unit separator, a header that does not decode or
    /// does not tell the length.
    pub malformed_bytes: u64,
    /// Bytes of frames with too long a message.
    pub oversized_bytes: u64,
    /// Bytes of frames whose signature did not hold.
    pub unverified_bytes: u64,
    /// Number of frames whose signature did not hold.
    pub unverified_frames: u64,
    /// Number of frames with too long a message.
    pub oversized_frames: u64,
    /// What was wrong with the header that was found broken or oversized last.
    pub problem: Option<WireError>,
}

impl Skipped {
    /// True if nothing was passed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what was passed over later.
    pub fn add(&mut self, later: &Self) {
        self.stray_bytes += later.stray_bytes;
        self.malformed_bytes += later.malformed_bytes;
        self.oversized_bytes += later.oversized_bytes;
        self.unverified_bytes += later.unverified_bytes;
        self.unverified_frames += later.unverified_frames;
        self.oversized_frames += later.oversized_frames;
        self.problem = later.problem.or(self.problem);
    }

    fn pass(&mut self, reason: Reason, bytes: usize) {
        let counter = match reason {
            Reason::Stray => &mut self.stray_bytes,
            Reason::Malformed => &mut self.malformed_bytes,
            Reason::Oversized => &mut self.oversized_bytes,
        };
        *counter += bytes as u64;
    }
}

/// Why the bytes up to the next separator are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Stray,
    Malformed,
    Oversized,
}

/// Finds the frames of one stream.
#[derive(Debug, Clone)]
pub struct FrameScanner {
    keys: Option<Keys>,
    message_bytes_max: usize,
    /// Why the bytes before the next separator are passed over.
    reason: Reason,
}

/// What a separator turned out to be the start of.
enum Candidate<'a> {
    Frame { frame: Frame<'a> },
    Refused { bytes: usize },
    Incomplete { wanted: usize },
    NoFrame { reason: Reason, problem: Option<WireError> },
}

impl FrameScanner {
    /// A scanner that looks at no signature; no frame then has a signer.
    #[must_use]
    pub fn unauthenticated(message_bytes_max: usize) -> Self {
        Self { keys: None, message_bytes_max, reason: Reason::Stray }
    }

    /// A scanner that drops frames with a signature that `keys` do not verify. Unsigned frames are good.
    #[must_use]
    pub fn authenticated(message_bytes_max: usize, keys: Keys) -> Self {
        Self { keys: Some(keys), message_bytes_max, reason: Reason::Stray }
    }

    /// The next bytes begin another stream.
    pub fn reset(&mut self) {
        self.reason = Reason::Stray;
    }

    /// Looks for the next good frame. `bytes` begins behind what was consumed before; with `at_end` no more
    /// bytes follow, and a frame that is cut off there hides none behind its separator.
    pub fn scan<'a>(&mut self, bytes: &'a [u8], at_end: bool) -> Scan<'a> {
        let mut scan = Scan { frame: None, consumed: 0, wanted: 1, skipped: Skipped::default() };
        loop {
            let rest = &bytes[scan.consumed..];
            let stray = match rest.first() {
                Some(&RECORD_SEPARATOR) => 0,
                _ => memchr(RECORD_SEPARATOR, rest).unwrap_or(rest.len()),
            };
            scan.skipped.pass(self.reason, stray);
            scan.consumed += stray;
            let rest = &bytes[scan.consumed..];
            if rest.is_empty() {
                return scan;
            }
            match self.candidate(rest) {
                Candidate::Frame { frame } => {
                    self.reason = Reason::Stray;
                    scan.consumed += frame.bytes.len();
                    return Scan { frame: Some(frame), wanted: 0, ..scan };
                }
                Candidate::Refused { bytes } => {
                    self.reason = Reason::Stray;
                    scan.skipped.unverified_bytes += bytes as u64;
                    scan.skipped.unverified_frames += 1;
                    scan.consumed += bytes;
                }
                Candidate::Incomplete { wanted } if !at_end => return Scan { wanted, ..scan },
                Candidate::Incomplete { .. } => self.pass_separator(Reason::Malformed, &mut scan),
                Candidate::NoFrame { reason, problem } => {
                    scan.skipped.oversized_frames += u64::from(reason == Reason::Oversized);
                    scan.skipped.problem = problem.or(scan.skipped.problem);
                    self.pass_separator(reason, &mut scan);
                }
            }
        }
    }

    fn pass_separator(&mut self, reason: Reason, scan: &mut Scan<'_>) {
        self.reason = reason;
        scan.skipped.pass(reason, 1);
        scan.consumed += 1;
    }

    /// Judges bytes that begin with a record separator.
    fn candidate<'a>(&self, bytes: &'a [u8]) -> Candidate<'a> {
        let Some(&header_length) = bytes.get(1) else {
            return Candidate::Incomplete { wanted: PREFIX_BYTES };
        };
        let header_end = PREFIX_BYTES + usize::from(header_length);
        let Some(&separator) = bytes.get(header_end) else {
            return Candidate::Incomplete { wanted: header_end + 1 };
        };
        if separator != UNIT_SEPARATOR {
            return Candidate::NoFrame { reason: Reason::Malformed, problem: None };
        }
        let header = match FrameHeader::decode(&bytes[PREFIX_BYTES..header_end]) {
            Ok(header) => header,
            Err(error) => {
                return Candidate::NoFrame { reason: Reason::Malformed, problem: Some(error) };
            }
        };
        let Some(length) = header.message_length else {
            return Candidate::NoFrame { reason: Reason::Malformed, problem: None };
        };
        let length = length as usize;
        if length > self.message_bytes_max {
            let problem = WireError::MessageTooLong { length, max: self.message_bytes_max };
            return Candidate::NoFrame { reason: Reason::Oversized, problem: Some(problem) };
        }
        let end = header_end + 1 + length;
        let Some(frame) = bytes.get(..end) else {
            return Candidate::Incomplete { wanted: end };
        };
        let body = &frame[header_end + 1..];
        match self.authenticate(&header, usize::from(header_length), body) {
            Authentication::Unsigned => {
                Candidate::Frame { frame: Frame { bytes: frame, body, signer: &[] } }
            }
            Authentication::Signed(signer) => {
                Candidate::Frame { frame: Frame { bytes: frame, body, signer } }
            }
            Authentication::Refused => Candidate::Refused { bytes: end },
        }
    }

    fn authenticate<'a>(
        &self,
        header: &FrameHeader<'a>,
        header_bytes: usize,
        body: &[u8],
    ) -> Authentication<'a> {
        match &self.keys {
            Some(keys) => keys.authenticate(header, header_bytes, body),
            None => Authentication::Unsigned,
        }
    }
}
