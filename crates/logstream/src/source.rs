//! One open log file, plain or gzip, at a position that was verified.
//!
//! Here: opening, telling gzip by its first bytes, checking the content before a position, reading. Not here: which file
//! to open (`locate`, `stream`). Offsets count decompressed bytes. Plain files are read with positioned reads straight
//! into the caller's buffer.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use crate::error::Error;
use crate::identity::{FileId, Fingerprint, Head, Mark, WINDOW_BYTES};

/// First bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How much is decompressed at once on the way to a position.
const SKIP_BYTES: usize = 64 * 1024;

/// Where the bytes come from.
pub(crate) enum Source {
    Plain(File),
    Gzip(Box<MultiGzDecoder<File>>),
    /// A gzip file that was read to its end; nothing of it is open.
    GzipEnd,
    /// A gzip file that cannot be read further; nothing of it is open.
    GzipDamaged,
    /// A plain file that was closed to save descriptors.
    Closed,
}

/// An open file and what was read of it.
pub(crate) struct OpenFile {
    pub(crate) source: Source,
    pub(crate) id: FileId,
    /// Size and modification time when opened.
    pub(crate) stamp: (u64, SystemTime),
    pub(crate) mark: Mark,
    pub(crate) head: Head,
}

/// What opening a file at a position showed.
pub(crate) enum Opened {
    /// The content before the position is the expected one.
    Same(Box<OpenFile>),
    /// It is another file.
    Other,
    /// A gzip file that ends, or is damaged, before the position: perhaps it is still being written.
    Cut,
}

/// What the first bytes of a file told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sniff {
    /// It is what it was taken for.
    Known,
    /// It is a gzip file after all.
    Gzip,
    /// One byte is not enough to tell.
    Unsure,
}

/// Whether a decoder's error lies in the data, so that reading again gives it again.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    // The decoder's own errors carry no code of the system; a failing disk does.
    error.raw_os_error().is_none()
        && matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

pub(crate) fn stamp(metadata: &Metadata) -> (u64, SystemTime) {
    (metadata.len(), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH))
}

impl OpenFile {
    /// Opens a file at its start.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::try_open(path).map_err(|source| Error::File { path: path.to_owned(), source })
    }

    /// Opens a file behind the content that `wanted` describes.
    pub(crate) fn open_at(path: &Path, wanted: &Fingerprint) -> Result<Opened, Error> {
        let mut file = Self::open(path)?;
        match skip_both(&mut file, wanted) {
            Ok(true) => Ok(Opened::Same(Box::new(file))),
            Ok(false) => Ok(Opened::Other),
            Err(error) if file.is_gzip() && is_damage(&error) => Ok(Opened::Cut),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
        }
    }

    /// Opens a file at `offset`, or at its end if that comes first; a damaged gzip file where the damage begins.
    pub(crate) fn open_near(path: &Path, offset: u64) -> Result<Self, Error> {
        let mut file = Self::open(path)?;
        match file.skip_to(offset) {
            Ok(()) => Ok(file),
            Err(error) if file.is_gzip() && is_damage(&error) => {
                file.source = Source::GzipDamaged;
                Ok(file)
            }
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
        }
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        // A pipe that took the file's place must not block us.
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut magic = [0; GZIP_MAGIC.len()];
        let is_gzip = read_at_most(&file, &mut magic, 0)? == magic.len() && magic == GZIP_MAGIC;
        let source = if is_gzip {
            Source::Gzip(Box::new(MultiGzDecoder::new(file)))
        } else {
            Source::Plain(file)
        };
        Ok(Self {
            source,
            id: FileId::of(&metadata),
            stamp: stamp(&metadata),
            mark: Mark::default(),
            head: Head::default(),
        })
    }

    pub(crate) fn is_gzip(&self) -> bool {
        matches!(self.source, Source::Gzip(_) | Source::GzipEnd | Source::GzipDamaged)
    }

    /// The descriptor of a plain file.
    pub(crate) fn plain_fd(&self) -> Option<RawFd> {
        match &self.source {
            Source::Plain(file) => Some(file.as_raw_fd()),
            _ => None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.source, Source::Plain(_) | Source::Gzip(_))
    }

    /// Moves to `offset`, or to the end if that comes first.
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        match &self.source {
            Source::Plain(file) => {
                let (mark, head) = peek(file, offset)?;
                (self.mark, self.head) = (mark, head);
                Ok(())
            }
            _ => self.decompress_to(offset),
        }
    }

    fn decompress_to(&mut self, offset: u64) -> io::Result<()> {
        let mut scratch = vec![0; SKIP_BYTES];
        while self.mark.offset < offset {
            let wanted = usize::try_from(offset - self.mark.offset).unwrap_or(SKIP_BYTES);
            let count = self.read(&mut scratch[..wanted.min(SKIP_BYTES)])?;
            if count == 0 {
                break;
            }
            self.accept(&scratch[..count]);
        }
        Ok(())
    }

    /// Reads what follows; 0 at the end. It counts only once it is accepted.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.source {
            Source::Plain(file) => retry_interrupted(|| file.read_at(buf, self.mark.offset))?,
            Source::Gzip(decoder) => retry_interrupted(|| decoder.read(buf))?,
            Source::GzipEnd | Source::GzipDamaged | Source::Closed => 0,
        };
        if count == 0 && matches!(self.source, Source::Gzip(_)) && !buf.is_empty() {
            self.source = Source::GzipEnd;
        }
        Ok(count)
    }

    /// Takes note of bytes that `read` gave and that are what we believe they are.
    pub(crate) fn accept(&mut self, bytes: &[u8]) {
        self.head.advance(self.mark.offset, bytes);
        self.mark.advance(bytes);
    }

    /// Whether an open plain file still has before the position what was read there.
    pub(crate) fn is_unchanged(&self) -> io::Result<bool> {
        let Source::Plain(file) = &self.source else { return Ok(true) };
        let window = self.mark.window();
        let mut found = [0; WINDOW_BYTES];
        let found = &mut found[..window.len()];
        let count = read_at_most(file, found, self.mark.offset - window.len() as u64)?;
        Ok(count == window.len() && found == window)
    }

    /// Looks at the first bytes of a plain file that was empty when opened; a gzip file is then read as one.
    pub(crate) fn sniff(&mut self) -> io::Result<Sniff> {
        let Source::Plain(file) = &self.source else { return Ok(Sniff::Known) };
        let mut magic = [0; GZIP_MAGIC.len()];
        let count = read_at_most(file, &mut magic, 0)?;
        if magic == GZIP_MAGIC {
            let decoder = MultiGzDecoder::new(file.try_clone()?);
            self.source = Source::Gzip(Box::new(decoder));
            return Ok(Sniff::Gzip);
        }
        Ok(if count == 1 && magic[0] == GZIP_MAGIC[0] { Sniff::Unsure } else { Sniff::Known })
    }

    /// The same open plain file, to be read from its start again.
    pub(crate) fn rewound(&self) -> io::Result<Option<Self>> {
        let Source::Plain(file) = &self.source else { return Ok(None) };
        let file = file.try_clone()?;
        Ok(Some(Self {
            source: Source::Plain(file),
            id: self.id,
            stamp: self.stamp,
            mark: Mark::default(),
            head: Head::default(),
        }))
    }

    /// Status of the open plain file.
    pub(crate) fn metadata(&self) -> io::Result<Option<Metadata>> {
        match &self.source {
            Source::Plain(file) => file.metadata().map(Some),
            _ => Ok(None),
        }
    }
}

/// Which of the files `wanted`, each read to its end, is this one. A few lines may well be the start of another file
/// too: where they do not fill a window they must be all there is. `Err` also if a gzip file ends before it is known, and
/// if another file than `id` stands at the path by now: then this one is not there.
pub(crate) fn find_match(
    path: &Path,
    id: FileId,
    wanted: &[Fingerprint],
) -> Result<Option<usize>, Error> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|index| wanted[*index].offset);
    let mut file = OpenFile::open(path)?;
    if file.id != id {
        let source = io::ErrorKind::NotFound.into();
        return Err(Error::File { path: path.to_owned(), source });
    }
    for index in order {
        let fingerprint = &wanted[index];
        if file.mark.offset >= WINDOW_BYTES as u64
            && fingerprint.head.is_some_and(|head| file.head.digest() != Some(head))
        {
            // Its first bytes differ: no need to decompress the rest.
            continue;
        }
        match is_same(&mut file, fingerprint) {
            Ok(true) => return Ok(Some(index)),
            Ok(false) => {}
            Err(source) if is_damage(&source) => {
                let offset = file.mark.offset;
                return Err(Error::Gzip { path: path.to_owned(), offset, source });
            }
            Err(source) => return Err(Error::File { path: path.to_owned(), source }),
        }
    }
    Ok(None)
}

fn is_same(file: &mut OpenFile, wanted: &Fingerprint) -> io::Result<bool> {
    if !skip_both(file, wanted)? {
        return Ok(false);
    }
    if wanted.offset >= WINDOW_BYTES as u64 {
        return Ok(true);
    }
    file.skip_to(wanted.offset + 1)?;
    Ok(file.mark.offset == wanted.offset)
}

/// Moves over the head first, and on to the offset only if the head is right.
fn skip_both(file: &mut OpenFile, wanted: &Fingerprint) -> io::Result<bool> {
    if let Some(head) = wanted.head {
        if file.mark.offset < WINDOW_BYTES as u64 {
            file.skip_to(WINDOW_BYTES as u64)?;
        }
        if file.head.digest() != Some(head) {
            return Ok(false);
        }
    }
    file.skip_to(wanted.offset)?;
    Ok(wanted.matches(&file.mark, &file.head))
}

/// The window before `offset` and the head of a plain file; short if the file is.
fn peek(file: &File, offset: u64) -> io::Result<(Mark, Head)> {
    let mut bytes = [0; WINDOW_BYTES];
    let mut head = Head::default();
    let wanted = usize::try_from(offset).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
    let count = read_at_most(file, &mut bytes[..wanted], 0)?;
    head.advance(0, &bytes[..count]);
    let end = offset.min(file.metadata()?.len());
    let start = end.saturating_sub(WINDOW_BYTES as u64);
    let wanted = usize::try_from(end - start).unwrap_or(WINDOW_BYTES);
    let count = read_at_most(file, &mut bytes[..wanted], start)?;
    let mut mark = Mark::default();
    mark.start_at(start);
    mark.advance(&bytes[..count]);
    Ok((mark, head))
}

fn read_at_most(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        let at = offset + filled as u64;
        match retry_interrupted(|| file.read_at(&mut buf[filled..], at))? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn retry_interrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
