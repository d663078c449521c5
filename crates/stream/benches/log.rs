//! What the log costs over the disk: the same bytes written plainly and as records, with as many syncs.
//!
//! Runs of both are interleaved, since disks drift; the medians of their rates are shown. A directory to write in can be
//! given as argument; else the system's one for temporary files is used.
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, Names};
use heka_stream::{
    FileStorage, GrowingFile, LogSettings, LogState, LogWriter, RecordKind, RecordMeta, Storage,
};

/// Bytes of an input buffer, as inputs that are busy fill them.
const RAW_BYTES: usize = 256 << 10;
/// Bytes of a line.
const LINE_BYTES: usize = 237;
/// Bytes written in a run.
const RUN_BYTES: u64 = 1 << 30;
/// How often what was written is made safe.
const COMMIT_INTERVAL: Duration = Duration::from_millis(10);
/// Runs of each way.
const RUNS: usize = 7;

type Failure = Box<dyn std::error::Error>;

fn batch() -> Result<Batch, Failure> {
    let raw = Buffer::from(vec![b'x'; RAW_BYTES]);
    let envelope = Arc::new(Envelope::new("bench"));
    let mut builder = BatchBuilder::new(Arc::new(Names::default()), envelope, raw.clone(), 1);
    for line in raw.chunks(LINE_BYTES) {
        builder.push_payload(line)?;
    }
    Ok(builder.finish())
}

/// MB/s of plain writes of a batch's stored bytes.
fn plain(directory: &Path, batch: &Batch) -> Result<f64, Failure> {
    let mut rest = Vec::new();
    batch.write_stored(&mut rest);
    let path = directory.join("plain");
    let mut file: Box<dyn GrowingFile> = FileStorage.create(&path)?;
    let began = Instant::now();
    let (mut written, mut synced) = (0, Instant::now());
    while written < RUN_BYTES {
        file.append(&mut [IoSlice::new(batch.raw()), IoSlice::new(&rest)])?;
        written += (batch.raw().len() + rest.len()) as u64;
        if synced.elapsed() >= COMMIT_INTERVAL {
            file.sync()?;
            synced = Instant::now();
        }
    }
    file.sync()?;
    let rate = written as f64 / began.elapsed().as_secs_f64() / 1e6;
    FileStorage.remove(&path)?;
    Ok(rate)
}

/// MB/s of the log, with all it does for a batch.
fn log(directory: &Path, batch: &Batch) -> Result<f64, Failure> {
    let storage: Arc<dyn Storage> = Arc::new(FileStorage);
    let settings = LogSettings { directory: directory.join("log"), segment_bytes: 64 << 20 };
    let (mut writer, _) = LogWriter::open(storage, settings)?;
    let (mut group, mut state) = (writer.group(), LogState::default());
    let began = Instant::now();
    let (mut written, mut synced) = (0, Instant::now());
    while written < RUN_BYTES {
        let (kind, sequence) = (RecordKind::Batch, state.next_sequence);
        let meta = RecordMeta { kind, messages: batch.len(), sequence, time_ns: 1 };
        group.push(meta, batch.raw(), |out| batch.write_stored(out));
        state.next_sequence += 1;
        // Written in pieces, as plainly too: what is collected in memory is not safer for it.
        if group.bytes() >= 4 << 20 || synced.elapsed() >= COMMIT_INTERVAL {
            writer.write(&group, &state, 1)?;
            written += group.bytes();
            group.clear();
        }
        if synced.elapsed() >= COMMIT_INTERVAL {
            writer.sync()?;
            synced = Instant::now();
        }
    }
    writer.sync()?;
    let rate = written as f64 / began.elapsed().as_secs_f64() / 1e6;
    while writer.segments().next().is_some() {
        writer.remove_oldest()?;
    }
    Ok(rate)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() -> Result<(), Failure> {
    let given = std::env::args().nth(1).filter(|argument| !argument.starts_with("--"));
    let parent = given.map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(parent)?;
    let batch = batch()?;
    let (mut plains, mut logs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        plains.push(plain(directory.path(), &batch)?);
        logs.push(log(directory.path(), &batch)?);
    }
    let (plain, log) = (median(&mut plains), median(&mut logs));
    println!("plain write and fdatasync  {plain:8.0} MB/s   {plains:.0?}");
    println!("the log                    {log:8.0} MB/s   {logs:.0?}");
    println!("                           {:8.0} %", 100.0 * log / plain);
    Ok(())
}
