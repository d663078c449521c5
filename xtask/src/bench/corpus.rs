//! The data that is sent through: lines of an access log, real or made up, and the same as Heka messages.
//!
//! Here: where lines come from, files of a given number of lines. Not here: sending them. Invariant: the
//! same source and number give the same bytes, on every machine.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Value};

/// Environment variable that names a file of lines, or the folder that holds `access_combined.log`.
const DATA_VARIABLE: &str = "HEKA_BENCH_DATA";
/// File of lines in a folder of data.
const DATA_FILE: &str = "access_combined.log";
/// Folder of data beside the checkout.
const DATA_FOLDER: &str = "../shared/data";
/// Lines that are made up before they repeat.
const SYNTHETIC_LINES: usize = 10_000;
/// Start of the generator of made up lines.
const SYNTHETIC_SEED: u64 = 0x6865_6b61;
/// Bytes of a line that a small message carries.
const SMALL_PAYLOAD_BYTES: usize = 64;
/// Messages encoded in one batch.
const BATCH_RECORDS: usize = 1000;
/// Time stamp of the first small message, in ns since 1970.
const FIRST_NS: i64 = 1_416_840_893_000_000_000;

/// Lines to make files of.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// Where they come from, for people.
    pub(crate) origin: String,
    lines: Vec<Vec<u8>>,
    folder: PathBuf,
}

/// A file to feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Corpus {
    /// Finds the lines: `data`, the environment, the folder beside the checkout, or made up ones. Files go to `folder`.
    ///
    /// # Errors
    /// If a file that was named cannot be read, or holds no line.
    pub(crate) fn open(data: Option<&Path>, root: &Path, folder: PathBuf) -> Result<Self> {
        let named = data.map(Path::to_path_buf);
        let named = named.or_else(|| std::env::var_os(DATA_VARIABLE).map(PathBuf::from));
        let path = match named {
            Some(path) if path.is_dir() => Some(path.join(DATA_FILE)),
            Some(path) => Some(path),
            None => Some(root.join(DATA_FOLDER).join(DATA_FILE)).filter(|path| path.is_file()),
        };
        let (origin, lines) = match path {
            Some(path) => {
                let bytes =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                let lines: Vec<_> =
                    lines.filter(|it| it.ends_with(b"\n")).map(<[u8]>::to_vec).collect();
                ensure!(!lines.is_empty(), "{} holds no line", path.display());
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, lines)
            }
            None => ("made up lines".to_owned(), synthetic(SYNTHETIC_LINES)),
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { origin, lines, folder })
    }

    /// A file of `count` lines.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn lines(&self, count: usize) -> Result<Data> {
        let path = self.folder.join(format!("lines-{count}.log"));
        self.write(&path, count, |chunk, out| Ok(out.write_all(&chunk.concat())?))
    }

    /// A file of `count` framed messages, each with the beginning of a line as payload.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn framed(&self, count: usize) -> Result<Data> {
        let path = self.folder.join(format!("messages-{count}.bin"));
        let mut number = 0;
        self.write(&path, count, |chunk, out| {
            let bytes = encode(chunk, number)?;
            number += chunk.len() as u64;
            Ok(out.write_all(&bytes)?)
        })
    }

    /// The lines themselves, `count` of them.
    pub(crate) fn iter(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice).cycle().take(count)
    }

    /// Writes a file by chunks of lines. An old one was perhaps made from other lines, so it is made anew.
    fn write(
        &self,
        path: &Path,
        count: usize,
        mut chunk: impl FnMut(&[Vec<u8>], &mut dyn Write) -> Result<()>,
    ) -> Result<Data> {
        let told = || format!("cannot write {}", path.display());
        let mut out = BufWriter::new(File::create(path).with_context(told)?);
        let mut left = count;
        while left > 0 {
            for lines in self.lines[..left.min(self.lines.len())].chunks(BATCH_RECORDS) {
                chunk(lines, &mut out).with_context(told)?;
                left -= lines.len();
            }
        }
        out.flush().with_context(told)?;
        let bytes = out.get_ref().metadata().with_context(told)?.len();
        Ok(Data { path: path.to_path_buf(), bytes, records: count as u64 })
    }
}

/// Frames with small messages; `first` numbers the first of them.
fn encode(lines: &[Vec<u8>], first: u64) -> Result<Vec<u8>> {
    let names = NameRegistry::new();
    let envelope = Arc::new(Envelope::new("bench"));
    let mut builder = BatchBuilder::new(names.snapshot(), envelope, Buffer::empty(), FIRST_NS);
    for (line, number) in lines.iter().zip(first..) {
        let mut uuid = [0; 16];
        uuid[8..].copy_from_slice(&number.to_be_bytes());
        let payload = &line[..line.len().min(SMALL_PAYLOAD_BYTES)];
        let mut record = builder.record();
        let status = record.name_id(b"status");
        record.uuid(&uuid).timestamp(FIRST_NS + i64::try_from(number)?).message_type("bench");
        record.hostname("example.org").payload(payload).field(status, Value::Int(200));
        record.commit()?;
    }
    let batch = builder.finish();
    let mut bytes = Vec::new();
    let mut body = Vec::new();
    for record in batch.records() {
        body.clear();
        heka_wire::encode_message(&record, &mut body);
        heka_wire::write_unsigned_frame_header(body.len(), &mut bytes);
        bytes.extend_from_slice(&body);
    }
    Ok(bytes)
}

/// Lines in the combined format, of lengths as real ones have.
fn synthetic(count: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(SYNTHETIC_SEED);
    (0..count).map(|number| line(&mut random, number)).collect()
}

fn line(random: &mut fastrand::Rng, number: usize) -> Vec<u8> {
    const METHODS: [&str; 4] = ["GET", "GET", "POST", "HEAD"];
    const STATUS: [u16; 6] = [200, 200, 200, 304, 404, 500];
    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                         Chrome/32.0.1700.107 Safari/537.36";
    let [a, b, c, d] = random.u32(..).to_be_bytes();
    let method = METHODS[random.usize(..METHODS.len())];
    let status = STATUS[random.usize(..STATUS.len())];
    let (day, second) = (1 + number / 500 % 28, number % 60);
    let words = random.usize(1..5);
    let path: String = (0..words).map(|_| format!("/part{}", random.u16(..1000))).collect();
    let bytes = random.u32(..100_000);
    let agent = &AGENT[..random.usize(40..AGENT.len())];
    format!(
        "{a}.{b}.{c}.{d} - - [{day:02}/May/2015:10:05:{second:02} +0000] \"{method} {path} HTTP/1.1\" \
         {status} {bytes} \"http://example.org{path}\" \"{agent}\"\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_wire::FrameScanner;

    #[test]
    fn made_up_lines_are_the_same_each_time_and_one_line_each() {
        let lines = synthetic(300);
        assert_eq!(lines, synthetic(300));
        for line in &lines {
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(line.ends_with(b"\"\n"));
        }
        let mean = lines.iter().map(Vec::len).sum::<usize>() / lines.len();
        assert!((120..300).contains(&mean), "{mean}");
    }

    #[test]
    fn every_line_becomes_one_frame() {
        let bytes = encode(&synthetic(5), 7).unwrap();
        let mut scanner = FrameScanner::unauthenticated(65_536);
        let (mut rest, mut count) = (bytes.as_slice(), 0);
        loop {
            let scan = scanner.scan(rest, true);
            rest = &rest[scan.consumed..];
            if scan.frame.is_none() {
                break;
            }
            count += 1;
        }
        assert_eq!((count, rest.len()), (5, 0));
    }
}
