//! Data in scripts: any bytes are decoded, matched and unpacked by the functions that scripts have for it.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry};
use heka_sandbox::{Exchange, Injected, Kind, Refusal, Sandbox, Script, Settings};
use libfuzzer_sys::fuzz_target;

/// Each function is given the payload; what is decoded is encoded again and must decode to the same length.
const SCRIPT: &str = r#"
require "string"
require "table"
local cjson, struct, re = require "cjson", require "struct", require "re"
require "circular_buffer"
require "snappy"

local function try(name, f, ...)
    local ok, result = pcall(f, ...)
    return ok and result or nil
end

function process_message()
    local data = read_message("Payload")
    local value = try("decode", cjson.decode, data)
    if value then try("encode", cjson.encode, value) end
    local message = try("decode_message", decode_message, data)
    if message then
        local bytes = try("encode_message", encode_message, message)
        if bytes then assert(decode_message(bytes)) end
    end
    local half = string.sub(data, 1, #data / 2)
    local rest = string.sub(data, #data / 2 + 1)
    try("find", string.find, rest, half)
    try("gsub", string.gsub, rest, half, rest)
    try("format", string.format, half, 1, rest, 2.5)
    try("unpack", struct.unpack, half, rest)
    local pattern = try("re", re.compile, half)
    if pattern then try("match", pattern.match, pattern, rest) end
    local cb = circular_buffer.new(10, 3, 1, true)
    try("fromstring", cb.fromstring, cb, data)
    try("payload", add_to_payload, cb)
    local packed = try("uncompress", snappy.uncompress, data)
    assert(snappy.uncompress(snappy.compress(data)) == data)
    return 0
end
"#;

/// Takes what is made.
struct Sink;

impl Exchange for Sink {
    fn inject(&mut self, _: Injected<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

thread_local! {
    static SANDBOX: RefCell<Option<Sandbox>> = const { RefCell::new(None) };
}

fn start() -> Sandbox {
    let mut settings = Settings::new(Kind::Filter, "fuzzed");
    settings.limits.output = 0;
    let script = Script { name: "data.lua".to_owned(), source: Arc::from(SCRIPT.as_bytes()) };
    match Sandbox::start(&settings, &script, None, &mut Sink) {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("{error}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let names = NameRegistry::new().snapshot();
    let mut builder = BatchBuilder::new(names, Arc::new(Envelope::new("in")), Buffer::empty(), 1);
    if builder.push_payload(data).is_err() {
        return;
    }
    let batch = builder.finish();
    let Some(record) = batch.record(0) else { return };
    SANDBOX.with_borrow_mut(|slot| {
        let sandbox = slot.get_or_insert_with(start);
        if let Err(ended) = sandbox.process_message(Some(&record), &mut Sink) {
            // Only a limit ends it: all else is caught.
            let text = ended.text();
            let limit = text.contains("instruction_limit") || text.contains("not enough memory");
            assert!(limit, "{text}");
            *slot = None;
        }
    });
});
