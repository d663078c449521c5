-- Decodes nginx's error log.
--
-- Configuration ([NAME.config]):
--   type          string, "nginx.error"   Type of the messages
--   payload_keep  bool, false             keeps the whole line as Payload, not only its text
--   tz            string, "UTC"           applied by the host: the zone of the log, which names none
--
--   [NginxError]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/nginx_error.lua"
--     [NginxError.config]
--     tz = "America/Los_Angeles"
--
-- Message: Timestamp, Severity (of the level), Pid, Payload (the text), and the fields tid and connection (DOUBLE).
-- A line that does not match, or with an unknown level, fails with status -1.

local grammar = require "common_log_format".nginx_error_grammar

local read_message, inject_message, pcall = read_message, inject_message, pcall

local msg_type = read_config("type") or "nginx.error"
local payload_keep = read_config("payload_keep")

function process_message()
    local line = read_message("Payload")
    local msg = grammar:match(line)
    if not msg then return -1 end

    if payload_keep then msg.Payload = line end
    msg.Type = msg_type
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
