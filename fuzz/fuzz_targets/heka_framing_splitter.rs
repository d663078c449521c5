//! HekaFramingSplitter: frames and their signers do not depend on how the stream was read.

#![no_main]

use heka_config::Secret;
use heka_fuzz::{assert_chunks_do_not_matter, choice, context};
use heka_message::NameRegistry;
use heka_plugin::Plugin;
use heka_plugin_core::{HekaFramingSplitter, HekaFramingSplitterConfig, SignerKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (seed, data) = choice(data);
    let key = SignerKey { hmac_key: Secret::new("key") };
    let config = HekaFramingSplitterConfig {
        signer: [("test_0".to_owned(), key)].into(),
        skip_authentication: seed & 0x40 != 0,
    };
    let context = context(NameRegistry::new());
    let mut splitter = HekaFramingSplitter::start(&config, &context).expect("valid");
    assert_chunks_do_not_matter(&mut splitter, seed, data);
});
