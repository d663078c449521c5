//! Scripts: any bytes are run as one, and called; whatever they are, that ends within the limits and nothing is left.

#![no_main]

use std::sync::Arc;

use heka_sandbox::{Exchange, Injected, Kind, Limits, Refusal, Sandbox, Script, Settings};
use libfuzzer_sys::fuzz_target;

/// Bytes that a call may take beside the limit: what functions of ours were given before they ask.
const SLACK: usize = 2 << 20;

/// Takes what is made.
struct Sink(usize);

impl Exchange for Sink {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        self.0 += match injected {
            Injected::Payload { text, .. } => text.len(),
            Injected::Message(message) | Injected::Encoded(message) => message.len(),
        };
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, source)) = data.split_first() else { return };
    let kinds = [Kind::Decoder, Kind::Filter, Kind::Encoder];
    let mut settings = Settings::new(kinds[usize::from(choice) % kinds.len()], "fuzzed");
    let memory = 1 << (19 + choice % 4);
    settings.limits = Limits { memory, instructions: 20_000, output: 4096 };
    settings.salvage = choice & 0x80 != 0;
    let script = Script { name: "fuzzed.lua".to_owned(), source: Arc::from(source) };
    let mut sink = Sink(0);
    let Ok(mut sandbox) = Sandbox::start(&settings, &script, None, &mut sink) else { return };
    for tick in 0..3 {
        let ended = sandbox.process_message(None, &mut sink).is_err()
            || sandbox.timer_event(tick, &mut sink).is_err();
        assert!(sandbox.usage().memory_max <= memory + SLACK);
        if ended {
            return assert!(sandbox.is_closed() || sandbox.preserve().is_ok());
        }
    }
    let Ok(data) = sandbox.preserve() else { return };
    // What was preserved can be restored, by the script that made it.
    let again = Sandbox::start(&settings, &script, Some(&data), &mut sink);
    if let Err(error) = again {
        assert!(error.to_string().starts_with("lsb_restore_global_data "), "{error}");
    }
});
