//! The standard input as a stream.
//!
//! The bytes are read by a thread of its own: a read of the standard input cannot be cancelled, and a task of the
//! runtime that is stuck in one would keep the daemon from ending. Invariant: at most one block is read ahead.

use std::io::Read;

use heka_plugin::{
    BoxFuture, Defaults, Feed, FieldProblems, Input, InputContext, InputError, NO_DEFAULTS, Plugin,
    PluginConfig, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Bytes read at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Reads the standard input of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StdinInputConfig {
    /// Shuts the daemon down in order once the input has ended and all of it is delivered; otherwise the daemon
    /// goes on with its other inputs.
    pub exit_at_end: bool,
}

impl PluginConfig for StdinInputConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for StdinInput {
    const NAME: &'static str = "StdinInput";
    const PAGE: &'static str = include_str!("stdin_input.md");
    const DEFAULTS: Defaults = Defaults { splitter: Some("TokenSplitter"), ..NO_DEFAULTS };
    type Config = StdinInputConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self { exit_at_end: config.exit_at_end })
    }
}

/// See [`StdinInputConfig`].
#[derive(Debug, Clone, Copy)]
pub struct StdinInput {
    exit_at_end: bool,
}

impl Input for StdinInput {
    fn run<'a>(
        &'a mut self,
        context: &'a mut InputContext,
    ) -> BoxFuture<'a, Result<(), InputError>> {
        Box::pin(self.read_from(std::io::stdin(), context))
    }
}

type Blocks = mpsc::Receiver<std::io::Result<Vec<u8>>>;

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Input,
    Stop,
}

impl StdinInput {
    async fn read_from(
        self,
        source: impl Read + Send + 'static,
        context: &mut InputContext,
    ) -> Result<(), InputError> {
        let mut feed = context.feed("", context.envelope())?;
        let mut blocks = spawn_reader(source)?;
        let end = pump(&mut blocks, &mut feed, context).await?;
        // What stands behind the last delimiter is a record if nothing can complete it any more.
        feed.end(end == End::Input).await?;
        if end == End::Stop {
            return Ok(());
        }
        tracing::info!(plugin = &*context.start.name, "the standard input has ended");
        if self.exit_at_end {
            if !context.settle(&feed.settled(), feed.consumed()).await {
                context.problem(&"the daemon ended before all of the input was delivered");
            }
        } else {
            context.stop.wait().await;
        }
        Ok(())
    }
}

fn spawn_reader(mut source: impl Read + Send + 'static) -> Result<Blocks, InputError> {
    let (sender, blocks) = mpsc::channel(1);
    let read = move || {
        loop {
            let mut block = vec![0; BLOCK_BYTES];
            let read = match source.read(&mut block) {
                Ok(0) => return,
                Ok(len) => {
                    block.truncate(len);
                    Ok(block)
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("stdin".to_owned());
    thread.spawn(read).map_err(InputError::io("start the thread that reads"))?;
    Ok(blocks)
}

async fn pump(
    blocks: &mut Blocks,
    feed: &mut Feed,
    context: &mut InputContext,
) -> Result<End, InputError> {
    loop {
        let flush_after = feed.flush_after().filter(|_| feed.pending() > 0);
        let flush = async {
            match flush_after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = context.stop.wait() => return Ok(End::Stop),
            () = flush => feed.end(true).await?,
            block = blocks.recv() => match block {
                Some(block) => {
                    commit(&block.map_err(InputError::io("read the standard input"))?, feed).await?;
                }
                None => return Ok(End::Input),
            },
        }
    }
}

async fn commit(mut block: &[u8], feed: &mut Feed) -> Result<(), InputError> {
    while !block.is_empty() {
        let space = feed.space();
        let (now, later) = block.split_at(block.len().min(space.len()));
        space[..now.len()].copy_from_slice(now);
        feed.commit(now.len()).await?;
        block = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Reading, texts};
    use crate::token_splitter::TokenSplitter;
    use std::io::{self, Cursor};

    fn input(exit_at_end: bool) -> StdinInput {
        StdinInput { exit_at_end }
    }

    #[test]
    fn all_is_delivered_before_it_ends() {
        let mut reading = Reading::of::<TokenSplitter>("");
        let text = "line\n".repeat(100_000) + "rest";
        let source = Cursor::new(text.clone().into_bytes());
        let (result, found) =
            reading.run(async move |context| input(true).read_from(source, context).await);
        result.unwrap();
        assert_eq!(found.concat(), text.as_bytes());
        assert_eq!(found.len(), 100_001);
        assert_eq!(reading.unsettled(), 0);
    }

    #[test]
    fn without_exit_at_end_it_waits_for_the_stop() {
        let mut reading = Reading::of::<TokenSplitter>("");
        let source = Cursor::new(b"a\nb".to_vec());
        let (result, found) = reading
            .run_until_found(2, async move |context| input(false).read_from(source, context).await);
        result.unwrap();
        assert_eq!(texts(&found), ["a\n", "b"]);
    }

    /// Gives a piece, then blocks until the test is over.
    struct Stuck(Option<Vec<u8>>, std::sync::mpsc::Receiver<()>);

    impl Read for Stuck {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.take() else {
                return match self.1.recv() {
                    Ok(()) | Err(_) => Ok(0),
                };
            };
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_stop_does_not_wait_for_the_reader() {
        let (release, stuck) = std::sync::mpsc::channel();
        let mut reading = Reading::of::<TokenSplitter>("");
        let source = Stuck(Some(b"a\nb\nunfinished".to_vec()), stuck);
        let (result, found) = reading
            .run_until_found(2, async move |context| input(true).read_from(source, context).await);
        result.unwrap();
        assert_eq!(texts(&found), ["a\n", "b\n"]);
        drop(release);
    }

    /// Fails after its first piece.
    struct Failing(bool);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("no more"));
            }
            buffer[..2].copy_from_slice(b"a\n");
            Ok(2)
        }
    }

    #[test]
    fn an_error_of_reading_ends_it() {
        let mut reading = Reading::of::<TokenSplitter>("");
        let (result, found) =
            reading.run(async move |context| input(true).read_from(Failing(false), context).await);
        assert_eq!(result.unwrap_err().to_string(), "cannot read the standard input: no more");
        assert_eq!(texts(&found), ["a\n"]);
    }
}
