//! Messages on the standard output.
//!
//! Invariants: a record is written whole before the next one begins, also when a write was short and is tried
//! again; nothing is acknowledged before the standard output took it.

use std::sync::Arc;

use heka_datetime::{Location, Strftime};
use heka_plugin::{
    Ack, BoxFuture, Defaults, Delivery, Encoded, FieldProblems, Flush, NO_DEFAULTS, Output,
    OutputContext, OutputError, Plugin, PluginConfig, PluginCounts, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Bits of `log_flags`, as Go's package log has them; those that tell a place in the source mean nothing here.
const FLAG_DATE: u32 = 1;
const FLAG_TIME: u32 = 1 << 1;
const FLAG_MICROSECONDS: u32 = 1 << 2;
const FLAG_UTC: u32 = 1 << 5;

/// Prints messages on the standard output; has no options of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogOutputConfig {}

impl PluginConfig for LogOutputConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for LogOutput {
    const NAME: &'static str = "LogOutput";
    const PAGE: &'static str = include_str!("log_output.md");
    const DEFAULTS: Defaults = Defaults { needs_encoder: true, ..NO_DEFAULTS };
    type Config = LogOutputConfig;

    fn start(_: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Self::to(Box::new(tokio::io::stdout()), context.log_flags)
    }
}

/// See [`LogOutputConfig`].
pub struct LogOutput {
    sink: Box<dyn AsyncWrite + Send + Unpin>,
    prefix: Option<Strftime>,
    location: Location,
    encoded: Encoded,
    /// What is to be written, and how much of it was.
    pending: Vec<u8>,
    written: usize,
    acks: Vec<Ack>,
}

impl std::fmt::Debug for LogOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LogOutput({} bytes pending)", self.pending.len())
    }
}

impl LogOutput {
    fn to(sink: Box<dyn AsyncWrite + Send + Unpin>, flags: u32) -> Result<Self, StartError> {
        let zone = if flags & FLAG_UTC == 0 { "Local" } else { "UTC" };
        let location = Location::parse(zone)
            .map_err(|error| StartError::because("find the local time zone", error))?;
        Ok(Self {
            sink,
            prefix: prefix(flags),
            location,
            encoded: Encoded::new(),
            pending: Vec::new(),
            written: 0,
            acks: Vec::new(),
        })
    }

    fn take(&mut self, delivery: Delivery, context: &mut OutputContext) {
        self.encoded.clear();
        self.acks.push(context.encode(delivery, &mut self.encoded));
        let mut prefix = Vec::new();
        if let Some(format) = &self.prefix {
            format.format_into(context.clock.now_ns(), &self.location, &mut prefix);
        }
        let pending = &mut self.pending;
        let Ok(()) = self.encoded.each_record(|_, record| {
            pending.extend_from_slice(&prefix);
            pending.extend_from_slice(record);
            if record.last() != Some(&b'\n') {
                pending.push(b'\n');
            }
            Ok::<(), std::convert::Infallible>(())
        });
        self.encoded.clear();
    }

    async fn send(&mut self, counts: Arc<PluginCounts>) -> Result<(), OutputError> {
        let failed = "write to the standard output";
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            let written = self.sink.write(rest).await.map_err(OutputError::retry(failed))?;
            if written == 0 {
                let source = std::io::Error::from(std::io::ErrorKind::WriteZero);
                return Err(OutputError::retry(failed)(source));
            }
            self.written += written;
        }
        self.sink.flush().await.map_err(OutputError::retry(failed))?;
        counts.bytes.add(self.pending.len() as u64);
        self.pending.clear();
        self.written = 0;
        self.acks.drain(..).for_each(Ack::delivered);
        Ok(())
    }
}

/// The time before each record.
fn prefix(flags: u32) -> Option<Strftime> {
    let date = if flags & FLAG_DATE == 0 { "" } else { "%Y/%m/%d " };
    let time = match (flags & FLAG_TIME != 0, flags & FLAG_MICROSECONDS != 0) {
        (_, true) => "%H:%M:%S.%f ",
        (true, false) => "%H:%M:%S ",
        (false, false) => "",
    };
    let format = format!("{date}{time}");
    (!format.is_empty()).then(|| Strftime::parse(&format))
}

impl Output for LogOutput {
    fn write<'a>(
        &'a mut self,
        delivery: Delivery,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        self.take(delivery, context);
        Box::pin(std::future::ready(Ok(())))
    }

    fn flush<'a>(
        &'a mut self,
        _: Flush,
        context: &'a mut OutputContext,
    ) -> BoxFuture<'a, Result<(), OutputError>> {
        Box::pin(self.send(Arc::clone(&context.counts)))
    }

    fn pending_bytes(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Delivering, Pipe};

    /// 2014-02-10 16:46:41.25 in UTC.
    const NOW_NS: i64 = 1_392_050_801_250_000_000;

    fn printing(flags: u32, encoder: &str) -> (Delivering<LogOutput>, Pipe) {
        let pipe = Pipe::default();
        let sink = pipe.clone();
        let delivering = Delivering::to(encoder, |context, clock| {
            clock.advance(NOW_NS - context.clock.now_ns());
            LogOutput::to(Box::new(sink), flags).unwrap()
        });
        (delivering, pipe)
    }

    fn printed(flags: u32, encoder: &str) -> String {
        let (mut delivering, pipe) = printing(flags, encoder);
        delivering.write(&["hi"]).unwrap();
        delivering.flush(Flush::Idle).unwrap();
        pipe.text()
    }

    #[test]
    fn records_are_printed_behind_date_and_time() {
        assert_eq!(printed(0, ""), "hi\n");
        assert_eq!(printed(0, "append_newlines = false"), "hi\n");
        assert_eq!(printed(FLAG_UTC | 3, ""), "2014/02/10 16:46:41 hi\n");
        assert_eq!(printed(FLAG_UTC | FLAG_TIME, ""), "16:46:41 hi\n");
        assert_eq!(printed(FLAG_UTC | FLAG_MICROSECONDS, ""), "16:46:41.250000 hi\n");
    }

    #[test]
    fn acks_follow_the_write() {
        let (mut delivering, pipe) = printing(0, "");
        delivering.write(&["a", "b"]).unwrap();
        assert_eq!((delivering.delivered(), pipe.text().as_str()), (0, ""));
        assert_eq!(delivering.output.pending_bytes(), 4);
        delivering.write(&["c"]).unwrap();
        delivering.flush(Flush::Idle).unwrap();
        assert_eq!((delivering.delivered(), pipe.text().as_str()), (3, "a\nb\nc\n"));
        assert_eq!(delivering.output.pending_bytes(), 0);
    }

    #[test]
    fn a_failed_write_goes_on_where_it_stopped() {
        let (mut delivering, pipe) = printing(0, "");
        pipe.fail_after(3);
        delivering.write(&["one", "two"]).unwrap();
        let error = delivering.flush(Flush::Idle).unwrap_err();
        assert!(matches!(error, OutputError::Retry { .. }), "{error}");
        assert_eq!((delivering.delivered(), pipe.text().as_str()), (0, "one"));
        pipe.fail_after(usize::MAX);
        delivering.flush(Flush::Retry).unwrap();
        assert_eq!((delivering.delivered(), pipe.text().as_str()), (2, "one\ntwo\n"));
    }
}
